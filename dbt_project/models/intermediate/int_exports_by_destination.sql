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

published as (
    select
        source_code,
        dataset_code,
        concept_code,
        flow_kind,
        reporter_code,
        nomenclature_code,
        product_code,
        period_start as month,
        destination_code,
        status_code,
        sum(value_eur) as value_eur,
        sum(quantity_kg) as quantity_kg,
        load_id,
        min(request_id) as request_id,
        vintage_at
    from exports
    where member_kind in ('country', 'unallocated')
    group by all
),

published_sums as (
    select
        source_code,
        concept_code,
        flow_kind,
        reporter_code,
        nomenclature_code,
        product_code,
        month,
        sum(value_eur) as value_eur,
        sum(quantity_kg) as quantity_kg
    from published
    group by all
),

-- A load of all partners: the rest of the total is secret, not specified, or rounding. A load of some partners:
-- the rest is what was not asked for, and nothing is known of it.
remainders as (
    select
        totals.source_code,
        totals.dataset_code,
        totals.concept_code,
        totals.flow_kind,
        totals.reporter_code,
        totals.nomenclature_code,
        totals.product_code,
        totals.period_start as month,
        case when totals.has_all_partners then 'unallocated' else 'not_loaded' end as destination_code,
        totals.status_code,
        totals.value_eur - coalesce(published_sums.value_eur, 0) as value_eur,
        totals.quantity_kg - coalesce(published_sums.quantity_kg, 0) as quantity_kg,
        totals.load_id,
        totals.request_id,
        totals.vintage_at
    from totals
    left join published_sums
        on
            totals.source_code = published_sums.source_code
            and totals.concept_code = published_sums.concept_code
            and totals.flow_kind = published_sums.flow_kind
            and totals.reporter_code = published_sums.reporter_code
            and totals.nomenclature_code = published_sums.nomenclature_code
            and totals.product_code = published_sums.product_code
            and totals.period_start = published_sums.month
),

allocated as (
    select
        *,
        false as is_remainder
    from published
    union all by name
    select
        *,
        true as is_remainder
    from remainders
    where value_eur != 0
)

select
    source_code,
    dataset_code,
    concept_code,
    flow_kind,
    reporter_code,
    nomenclature_code,
    product_code,
    month,
    destination_code,
    bool_or(is_remainder) as has_remainder,
    min(status_code) as status_code,
    sum(value_eur) as value_eur,
    sum(quantity_kg) as quantity_kg,
    min(load_id) as load_id,
    min(request_id) as request_id,
    min(vintage_at) as vintage_at
from allocated
group by all
