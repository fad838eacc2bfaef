-- Leaf destinations that add up to the office's total: countries, what the office itself could not allocate, and
-- what its total holds beyond the published members. Aggregates (WORLD, EU, continents) and parts of a country
-- that is published whole are left out.
with exports as (
    select * from {{ ref('int_exports_current') }}
    where period_type = 'month'
),

totals as (
    select * from {{ ref('int_export_totals') }}
    where period_type = 'month'
),

-- One load speaks for a reporter, product and month; what goes with the load and the month (source, status, vintage)
-- needs no part in the grouping.
published as (
    select
        load_id,
        concept_code,
        flow_kind,
        reporter_code,
        nomenclature_code,
        product_code,
        period_start as month,
        destination_code,
        any_value(source_code) as source_code,
        any_value(dataset_code) as dataset_code,
        any_value(status_code) as status_code,
        any_value(vintage_at) as vintage_at,
        min(request_id) as request_id,
        sum(value_eur) as value_eur,
        sum(quantity_kg) as quantity_kg
    from exports
    where member_kind in ('country', 'unallocated')
    group by
        load_id, concept_code, flow_kind, reporter_code, nomenclature_code, product_code, month, destination_code
),

published_sums as (
    select
        load_id,
        concept_code,
        flow_kind,
        reporter_code,
        nomenclature_code,
        product_code,
        month,
        sum(value_eur) as value_eur,
        sum(quantity_kg) as quantity_kg
    from published
    group by load_id, concept_code, flow_kind, reporter_code, nomenclature_code, product_code, month
),

-- A load of all partners: the rest of the total is secret, not specified, or rounding. A load of some partners:
-- the rest is what was not asked for, and nothing is known of it.
remainders as (
    select
        totals.load_id,
        totals.concept_code,
        totals.flow_kind,
        totals.product_code,
        totals.period_start as month,
        case when totals.has_all_partners then 'unallocated' else 'not_loaded' end as destination_code,
        totals.source_code,
        totals.dataset_code,
        totals.reporter_code,
        totals.nomenclature_code,
        totals.status_code,
        totals.vintage_at,
        totals.request_id,
        totals.value_eur - coalesce(published_sums.value_eur, 0) as value_eur,
        totals.quantity_kg - coalesce(published_sums.quantity_kg, 0) as quantity_kg
    from totals
    left join published_sums
        on
            totals.load_id = published_sums.load_id
            and totals.concept_code = published_sums.concept_code
            and totals.flow_kind = published_sums.flow_kind
            and totals.reporter_code = published_sums.reporter_code
            and totals.nomenclature_code = published_sums.nomenclature_code
            and totals.product_code = published_sums.product_code
            and totals.period_start = published_sums.month
),

-- What the office itself could not allocate and the remainder are one member.
unallocated_parts as (
    select
        *,
        false as is_remainder
    from published
    where destination_code = 'unallocated'
    union all by name
    select
        *,
        true as is_remainder
    from remainders
    where value_eur != 0
),

unallocated as (
    select
        load_id,
        concept_code,
        flow_kind,
        reporter_code,
        nomenclature_code,
        product_code,
        month,
        destination_code,
        any_value(source_code) as source_code,
        any_value(dataset_code) as dataset_code,
        any_value(status_code) as status_code,
        any_value(vintage_at) as vintage_at,
        min(request_id) as request_id,
        sum(value_eur) as value_eur,
        sum(quantity_kg) as quantity_kg,
        bool_or(is_remainder) as has_remainder
    from unallocated_parts
    group by
        load_id, concept_code, flow_kind, reporter_code, nomenclature_code, product_code, month, destination_code
)

select
    *,
    false as has_remainder
from published
where destination_code != 'unallocated'
union all by name
select * from unallocated
