-- Law: wherever the office publishes a total, the destinations of fct_exports sum to it exactly.
with destinations as (
    select
        source_code,
        concept_code,
        flow_kind,
        reporter_code,
        nomenclature_code,
        product_code,
        month,
        sum(value_eur) as value_eur
    from {{ ref('fct_exports') }}
    group by all
)

select
    totals.*,
    destinations.value_eur as destinations_eur
from {{ ref('fct_export_totals') }} as totals
left join destinations
    on
        totals.source_code = destinations.source_code
        and totals.concept_code = destinations.concept_code
        and totals.flow_kind = destinations.flow_kind
        and totals.reporter_code = destinations.reporter_code
        and totals.nomenclature_code = destinations.nomenclature_code
        and totals.product_code = destinations.product_code
        and totals.period_start = destinations.month
where totals.period_type = 'month' and totals.value_eur != coalesce(destinations.value_eur, 0)
