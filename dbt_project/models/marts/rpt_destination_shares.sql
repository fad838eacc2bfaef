{{ config(post_hook=[
    "{{ create_destination_share(this) }}", "{{ comment_on_destination_share(this) }}",
    "{{ create_top_destinations(this) }}", "{{ comment_on_top_destinations(this) }}",
]) }}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

share_revisions as (
    select * from {{ ref('int_share_revisions') }}
),

seasonal_factors as (
    select * from {{ ref('int_seasonal_factors') }}
),

unusual_months as (
    select * from {{ ref('int_unusual_months') }}
),

measured as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        countries.country_name_en as destination_name_en,
        countries.country_name_nl as destination_name_nl,
        countries.destination_kind,
        months.month,
        months.is_complete,
        months.incomplete_reason,
        months.value_eur,
        months.total_eur,
        case when months.is_complete then {{ ratio('months.value_eur', 'months.total_eur') }} end as share,
        -- Unknown exports, including those of excluded goods, may all belong to this country, or not at all. greatest()
        -- and least() ignore nulls and would invent a bound.
        case
            when countries.destination_kind = 'country' and months.is_complete and months.total_eur != 0
                then greatest(
                    0.0,
                    {{ ratio(
                        'coalesce(months.value_eur, 0) - coalesce(months.not_known_taken_out_eur, 0)',
                        'months.total_eur'
                    ) }}
                )
        end as share_lower,
        case
            when countries.destination_kind = 'country' and months.is_complete and months.total_eur != 0
                then least(
                    1.0,
                    {{ ratio(
                        'coalesce(months.value_eur, 0) + greatest(months.unallocated_eur, 0)'
                        ' + greatest(months.not_loaded_eur, 0)',
                        'months.total_eur'
                    ) }}
                )
        end as share_upper,
        {{ ratio('months.value_r12_eur', 'months.total_r12_eur') }} as share_r12,
        {{ ratio('months.value_ytd_eur', 'months.total_ytd_eur') }} as share_ytd,
        months.value_r12_eur,
        months.value_year_before_eur,
        case when months.is_complete then {{ growth_pct('months.value_eur', 'months.value_year_before_eur') }} end
            as yoy_growth_pct,
        {{ share_change_pp(
            'months.value_eur', 'months.total_eur', 'months.value_year_before_eur', 'months.total_year_before_eur'
        ) }} as share_change_pp,
        case
            when months.is_complete
                then {{ contribution_pp(
                    'months.value_eur', 'months.value_year_before_eur', 'months.total_year_before_eur'
                ) }}
        end as contribution_to_growth_pp,
        share_revisions.usual_revision_pp as usual_share_revision_pp,
        -- A month without shares has no total; its value is not adjusted either.
        case when months.is_complete then {{ ratio('months.value_eur', 'seasonal_factors.factor') }} end
            as value_sa_eur,
        {{ ratio('months.total_eur', 'total_factors.factor') }} as total_sa_eur,
        unusual_months.value_to_expected_ratio,
        unusual_months.unit_value_to_expected_ratio,
        unusual_months.is_unusual,
        months.vintage_at
    from months
    inner join countries on months.destination_code = countries.country_code
    left join share_revisions
        on
            {{ same('months', 'share_revisions', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
    left join seasonal_factors
        on
            {{ same('months', 'seasonal_factors', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
            and month(months.month) = seasonal_factors.calendar_month
    left join seasonal_factors as total_factors
        on
            {{ same('months', 'total_factors', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
            and total_factors.destination_code = 'total'
            and month(months.month) = total_factors.calendar_month
    left join unusual_months
        on
            {{ same('months', 'unusual_months', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
            ]) }}
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    destination_code,
    destination_name_en,
    destination_name_nl,
    destination_kind,
    month,
    is_complete,
    incomplete_reason,
    value_eur,
    total_eur,
    share,
    share_lower,
    share_upper,
    share_r12,
    share_ytd,
    value_r12_eur,
    case
        when destination_kind = 'country' and share is not null
            then cast(
                rank() over (
                    partition by source_code, concept_code, scope_code, reporter_code, month, destination_kind
                    order by share desc nulls last
                ) as integer
            )
    end as destination_rank,
    case
        when destination_kind = 'country' and share_r12 is not null
            then cast(
                rank() over (
                    partition by source_code, concept_code, scope_code, reporter_code, month, destination_kind
                    order by share_r12 desc nulls last
                ) as integer
            )
    end as destination_rank_r12,
    value_year_before_eur,
    yoy_growth_pct,
    share_change_pp,
    usual_share_revision_pp,
    abs(share_change_pp) > usual_share_revision_pp as is_change_beyond_revision,
    contribution_to_growth_pp,
    value_sa_eur,
    -- A ratio of two adjusted amounts; the share itself is never adjusted.
    {{ ratio('value_sa_eur', 'total_sa_eur') }} as share_sa,
    value_to_expected_ratio,
    unit_value_to_expected_ratio,
    is_unusual,
    vintage_at
from measured
