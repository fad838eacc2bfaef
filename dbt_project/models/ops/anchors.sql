with comparisons as (
    select * from {{ ref('int_anchor_comparisons') }}
)

select
    anchor_code,
    figure_code,
    title_en,
    measure,
    source_code,
    concept_code,
    flow_kind,
    reporter_code,
    destination_code,
    scope_code,
    nomenclature_code,
    product_code,
    period_from,
    period_to,
    published_month,
    unit_code,
    published_value,
    tolerance_pct,
    lower_value,
    upper_value,
    warehouse_value,
    difference_pct,
    outcome,
    severity,
    holds_in_simulation,
    vintage_at,
    source,
    confidence
from comparisons
