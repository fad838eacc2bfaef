-- Sums of CBS that hold except for rounding: sections and total, months and year, flow kinds and total. Only figures
-- confirmed by one release are summed. Grain: identity, concept, flow kind, reporter, product, period type, period.
{% set sections = 10 %}
{# Goods that never enter the Netherlands: in addition to the sections, by change of ownership only. #}
{% set not_in_country = "A051811" %}

with totals as (
    select * from {{ ref('int_export_totals') }}
    where source_code = 'CBS'
),

datasets as (
    select * from {{ ref('int_datasets_loaded') }}
),

figures as (
    select
        totals.*,
        datasets.rounding_unit_eur,
        -- Without quasi-transit the office publishes the parts, and the total is our sum of the two.
        case
            when totals.concept_code = 'border_crossing_excl_transit' and totals.flow_kind = 'total' then 2
            else 1
        end as n_rounded
    from totals
    inner join datasets on totals.dataset_code = datasets.dataset_code
),

sections_and_total as (
    select
        'sections_sum_to_total' as identity_code,
        concept_code,
        flow_kind,
        reporter_code,
        'TOTAL' as product_code,
        period_type,
        period_start,
        sum(value_eur) filter (where product_code = 'TOTAL') as whole_eur,
        sum(value_eur) filter (where product_code != 'TOTAL') as parts_eur,
        sum(n_rounded * rounding_unit_eur) / 2 as rounding_bound_eur,
        count(distinct vintage_at) as n_vintages,
        count(*) filter (where product_code != 'TOTAL') as n_parts,
        {{ sections }} + cast(concept_code = 'ownership_transfer' as integer) as n_parts_expected
    from figures
    where product_code in ('TOTAL', '{{ not_in_country }}') or (nomenclature_code = 'SITC' and length(product_code) = 1)
    group by all
),

years as (
    select * from figures
    where period_type = 'year' and is_complete_period
),

months_and_year as (
    select
        'months_sum_to_year' as identity_code,
        years.concept_code,
        years.flow_kind,
        years.reporter_code,
        years.product_code,
        years.period_type,
        years.period_start,
        any_value(years.value_eur) as whole_eur,
        sum(months.value_eur) as parts_eur,
        (any_value(years.n_rounded * years.rounding_unit_eur) + sum(months.n_rounded * months.rounding_unit_eur)) / 2
            as rounding_bound_eur,
        count(distinct months.vintage_at) + count(*) filter (where months.vintage_at != years.vintage_at) as n_vintages,
        count(*) as n_parts,
        12 as n_parts_expected
    from years
    inner join figures as months
        on
            {{ same(
                'years', 'months',
                ['dataset_code', 'concept_code', 'flow_kind', 'reporter_code', 'nomenclature_code', 'product_code']
            ) }}
            and months.period_type = 'month'
            and years.period_start = date_trunc('year', months.period_start)
    group by all
),

-- Where the total is our own sum there is nothing to check.
parts_and_total as (
    select
        'flow_kinds_sum_to_total' as identity_code,
        concept_code,
        'total' as flow_kind,
        reporter_code,
        product_code,
        period_type,
        period_start,
        sum(value_eur) filter (where flow_kind = 'total') as whole_eur,
        sum(value_eur) filter (where flow_kind != 'total') as parts_eur,
        sum(n_rounded * rounding_unit_eur) / 2 as rounding_bound_eur,
        count(distinct vintage_at) as n_vintages,
        count(*) filter (where flow_kind != 'total') as n_parts,
        case concept_code when 'border_crossing_incl_transit' then 3 else 2 end as n_parts_expected
    from figures
    where concept_code in ('border_crossing_incl_transit', 'ownership_transfer')
    group by concept_code, reporter_code, product_code, period_type, period_start
),

identities as (
    select * from sections_and_total
    union all by name
    select * from months_and_year
    union all by name
    select * from parts_and_total
)

select
    identity_code,
    concept_code,
    flow_kind,
    reporter_code,
    product_code,
    period_type,
    period_start,
    whole_eur,
    parts_eur,
    parts_eur - whole_eur as difference_eur,
    cast(rounding_bound_eur as decimal(18, 2)) as rounding_bound_eur,
    abs(parts_eur - whole_eur) <= rounding_bound_eur as is_kept
from identities
where n_vintages = 1 and n_parts = n_parts_expected and whole_eur is not null
