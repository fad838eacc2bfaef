-- Groups of countries as one destination. An association has two compositions: its present members in all months, so
-- that its share moves with trade only, and the members of each month. A region has one.
with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

regions as (
    select * from {{ ref('regions') }}
),

members as (
    select * from {{ ref('dim_country_group_member') }}
),

memberships as (
    select
        group_code,
        'association' as group_kind,
        group_name_en,
        group_name_nl,
        'fixed' as composition,
        country_code,
        cast(null as date) as valid_from,
        cast(null as date) as valid_to
    from members
    where valid_to is null
    union all
    select
        group_code,
        'association' as group_kind,
        group_name_en,
        group_name_nl,
        'of_month' as composition,
        country_code,
        valid_from,
        valid_to
    from members
    union all
    select
        regions.region_code as group_code,
        regions.region_kind as group_kind,
        regions.region_name_en as group_name_en,
        regions.region_name_nl as group_name_nl,
        'fixed' as composition,
        countries.country_code,
        cast(null as date) as valid_from,
        cast(null as date) as valid_to
    from regions
    inner join countries on regions.region_code in (countries.region_code, countries.continent_code)
),

-- Of the scope, the same for each destination.
scope_months as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        any_value(is_complete) as is_complete,
        any_value(total_eur) as total_eur,
        any_value(unallocated_eur + not_loaded_eur) as not_known_eur,
        any_value(not_known_taken_out_eur) as not_known_taken_out_eur,
        any_value(total_r12_eur) as total_r12_eur,
        any_value(total_r12_year_before_eur) as total_r12_year_before_eur,
        max(vintage_at) as vintage_at
    from months
    group by all
),

group_months as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        memberships.group_code,
        memberships.group_kind,
        memberships.group_name_en,
        memberships.group_name_nl,
        memberships.composition,
        months.month,
        count(months.value_eur) as n_members_with_value,
        sum(months.value_eur) as value_eur,
        sum(months.value_eur) filter (where months.is_complete) as complete_value_eur
    from months
    inner join memberships
        on
            months.destination_code = memberships.country_code
            and (memberships.valid_from is null or months.month >= memberships.valid_from)
            and (memberships.valid_to is null or months.month <= memberships.valid_to)
    group by all
),

summed as (
    select
        *,
        sum(complete_value_eur) over (
            partition by source_code, concept_code, scope_code, reporter_code, group_code, composition
            order by month range between interval 11 months preceding and current row
        ) as value_r12_sum
    from group_months
),

measured as (
    select
        summed.*,
        scope_months.is_complete,
        scope_months.total_eur,
        scope_months.not_known_eur,
        scope_months.not_known_taken_out_eur,
        scope_months.total_r12_eur,
        scope_months.total_r12_year_before_eur,
        case when scope_months.total_r12_eur is not null then summed.value_r12_sum end as value_r12_eur,
        scope_months.vintage_at
    from summed
    inner join scope_months
        on
            {{ same('summed', 'scope_months', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
)

select
    this.source_code,
    this.concept_code,
    this.scope_code,
    this.reporter_code,
    this.group_code,
    this.group_kind,
    this.group_name_en,
    this.group_name_nl,
    this.composition,
    this.month,
    cast(this.n_members_with_value as integer) as n_members_with_value,
    this.is_complete,
    this.value_eur,
    this.total_eur,
    case when this.is_complete then {{ ratio('this.value_eur', 'this.total_eur') }} end as share,
    -- Unknown exports, including those of excluded goods, may all belong to the group, or not at all.
    case
        when this.is_complete and this.total_eur != 0
            then greatest(
                0.0,
                {{ ratio('coalesce(this.value_eur, 0) - coalesce(this.not_known_taken_out_eur, 0)', 'this.total_eur') }}
            )
    end as share_lower,
    case
        when this.is_complete and this.total_eur != 0
            then least(
                1.0, {{ ratio('coalesce(this.value_eur, 0) + greatest(this.not_known_eur, 0)', 'this.total_eur') }}
            )
    end as share_upper,
    this.value_r12_eur,
    {{ ratio('this.value_r12_eur', 'this.total_r12_eur') }} as share_r12,
    case
        when this.total_r12_year_before_eur is not null
            then {{ growth_pct('this.value_r12_eur', 'before.value_r12_eur') }}
    end as r12_growth_pct,
    {{ share_change_pp(
        'this.value_r12_eur', 'this.total_r12_eur', 'before.value_r12_eur', 'this.total_r12_year_before_eur'
    ) }} as share_r12_change_pp,
    this.vintage_at
from measured as this
left join measured as before
    on
        {{ same('this', 'before', [
            'source_code', 'concept_code', 'scope_code', 'reporter_code', 'group_code', 'composition'
        ]) }}
        and this.month = before.month + interval 1 year
