-- Exports in tonnes. Missing weights are missing, not zero: one good without a weight leaves the sum of a destination
-- without one.
{% set scope = ['source_code', 'concept_code', 'scope_code', 'reporter_code'] %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

items as (
    select * from {{ ref('int_scope_items') }}
),

totals as (
    select
        *,
        period_start as month
    from {{ ref('int_totals_by_concept') }}
    where period_type = 'month'
),

members as (
    select * from {{ ref('int_scopes_unioned') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

weighed as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month,
        case when count(quantity_kg) = count(*) then sum(quantity_kg) end as quantity_kg
    from items
    where is_published
    group by all
),

scope_weights as (
    select
        totals.source_code,
        totals.concept_code,
        members.scope_code,
        totals.reporter_code,
        totals.month,
        case when count(totals.quantity_kg) = count(*) then sum(members.sign * totals.quantity_kg) end as total_kg
    from totals
    inner join members
        on
            {{ is_member('members', 'totals') }}
    group by all
),

-- The total of a scope over the months to this one.
scope_sums as (
    select
        *,
        case when count(total_kg) over rolling = 12 then sum(total_kg) over rolling end as total_r12_kg
    from scope_weights
    window rolling as (
        partition by source_code, concept_code, scope_code, reporter_code
        order by month range between interval 11 months preceding and current row
    )
),

beside as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        months.month,
        months.is_complete,
        months.value_eur,
        months.total_r12_eur is not null as has_r12,
        months.total_r12_year_before_eur is not null as has_r12_year_before,
        case when months.is_complete then weighed.quantity_kg end as quantity_kg,
        case when months.is_complete then scope_sums.total_kg end as total_kg,
        scope_sums.total_r12_kg,
        months.vintage_at
    from months
    left join weighed
        on
            {{ same('months', 'weighed', scope + ['destination_code', 'month']) }}
    left join scope_sums
        on
            {{ same('months', 'scope_sums', scope + ['month']) }}
),

summed as (
    select
        *,
        case
            when has_r12 and count(*) filter (where value_eur is not null and quantity_kg is null) over rolling = 0
                then sum(quantity_kg) over rolling
        end as quantity_r12_kg
    from beside
    window rolling as (
        partition by source_code, concept_code, scope_code, reporter_code, destination_code
        order by month range between interval 11 months preceding and current row
    )
)

select
    this.source_code,
    this.concept_code,
    this.scope_code,
    this.reporter_code,
    this.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    this.month,
    this.is_complete,
    cast(this.quantity_kg / 1000 as decimal(18, 3)) as tonnes,
    cast(this.total_kg / 1000 as decimal(18, 3)) as total_tonnes,
    {{ ratio('this.quantity_kg', 'this.total_kg') }} as share_of_tonnes,
    cast(this.quantity_r12_kg / 1000 as decimal(18, 3)) as tonnes_r12,
    {{ ratio('this.quantity_r12_kg', 'this.total_r12_kg') }} as share_of_tonnes_r12,
    case
        when this.has_r12_year_before then {{ growth_pct('this.quantity_r12_kg', 'before.quantity_r12_kg') }}
    end as tonnes_r12_growth_pct,
    this.vintage_at
from summed as this
inner join countries on this.destination_code = countries.country_code
left join summed as before
    on
        {{ same('this', 'before', scope + ['destination_code']) }}
        and this.month = before.month + interval 1 year
where this.quantity_kg is not null or this.quantity_r12_kg is not null
