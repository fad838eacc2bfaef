{{ config(post_hook=[
    "{{ create_destination_share(this) }}", "{{ comment_on_destination_share(this) }}",
    "{{ create_top_destinations(this) }}", "{{ comment_on_top_destinations(this) }}",
]) }}

{# A base that is small, or rounded away: growth from it is arithmetic, not news. #}
{% set least_base_eur = 1000000 %}
{% set least_base_units = 10 %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

share_revisions as (
    select * from {{ ref('int_share_revisions') }}
),

share_noise as (
    select * from {{ ref('int_share_noise') }}
),

adjusted_shares as (
    select * from {{ ref('int_adjusted_shares') }}
),

eu_members as (
    select * from {{ ref('country_groups') }}
    where group_code = 'EU'
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
        countries.destination_kind = 'country' and eu_members.country_code is null as is_extra_eu,
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
        months.total_r12_eur,
        months.value_year_before_eur,
        months.value_r12_year_before_eur,
        greatest({{ least_base_eur }}, {{ least_base_units }} * coalesce(months.rounding_unit_eur, 0))
            as least_base_eur,
        {{ growth_pct('months.value_r12_eur', 'months.value_r12_year_before_eur') }} as r12_growth_pct,
        {{ share_change_pp(
            'months.value_r12_eur', 'months.total_r12_eur',
            'months.value_r12_year_before_eur', 'months.total_r12_year_before_eur'
        ) }} as share_r12_change_pp,
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
        -- Revisions count as far as releases were seen.
        share_noise.quantile_975 * sqrt(
            share_noise.spread_pp * share_noise.spread_pp
            + coalesce(share_revisions.eventual_revision_pp * share_revisions.eventual_revision_pp, 0)
        ) as share_change_noise_pp,
        adjusted_shares.value_sa_eur,
        adjusted_shares.share_sa,
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
    left join share_noise
        on
            {{ same('months', 'share_noise', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
    left join adjusted_shares
        on
            {{ same('months', 'adjusted_shares', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
            ]) }}
    left join eu_members
        on
            months.destination_code = eu_members.country_code
            and months.month >= eu_members.valid_from
            and (eu_members.valid_to is null or months.month <= eu_members.valid_to)
    left join unusual_months
        on
            {{ same('months', 'unusual_months', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
            ]) }}
),

-- The basis of Eurostat's headlines: identified countries outside the EU. What is not allocated is in neither.
with_extra_eu as (
    select
        *,
        case
            when is_extra_eu and is_complete
                then {{ ratio('value_eur', 'sum(value_eur) filter (where is_extra_eu) over of_month') }}
        end as share_extra_eu,
        case
            when is_extra_eu and total_r12_eur is not null
                then {{ ratio('value_r12_eur', 'sum(value_r12_eur) filter (where is_extra_eu) over of_month') }}
        end as share_extra_eu_r12
    from measured
    window of_month as (partition by source_code, concept_code, scope_code, reporter_code, month)
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
    share_extra_eu,
    share_extra_eu_r12,
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
    value_year_before_eur < least_base_eur as is_small_base,
    share_change_pp,
    share_change_noise_pp,
    abs(share_change_pp) > share_change_noise_pp as is_change_beyond_noise,
    value_r12_year_before_eur,
    r12_growth_pct,
    value_r12_year_before_eur < 12 * least_base_eur as is_small_base_r12,
    share_r12_change_pp,
    -- Irregular parts of twelve months, independent of each other.
    share_change_noise_pp / sqrt(12) as share_r12_change_noise_pp,
    abs(share_r12_change_pp) > share_change_noise_pp / sqrt(12) as is_r12_change_beyond_noise,
    contribution_to_growth_pp,
    value_sa_eur,
    share_sa,
    value_to_expected_ratio,
    unit_value_to_expected_ratio,
    is_unusual,
    vintage_at
from with_extra_eu
