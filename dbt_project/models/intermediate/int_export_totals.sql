-- The office's own total over all destinations. Grain: source, concept, flow kind, reporter, product, period.
with exports as (
    select * from {{ ref('int_exports_current') }}
)

select
    source_code,
    dataset_code,
    concept_code,
    flow_kind,
    reporter_code,
    nomenclature_code,
    product_code,
    period_type,
    period_start,
    is_complete_period,
    status_code,
    value_eur,
    quantity_kg,
    has_all_partners,
    load_id,
    request_id,
    vintage_at
from exports
where member_kind = 'total'
