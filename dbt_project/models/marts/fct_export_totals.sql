with totals as (
    select * from {{ ref('int_export_totals') }}
)

select
    source_code,
    concept_code,
    flow_kind,
    reporter_code,
    nomenclature_code,
    product_code,
    period_type,
    period_start,
    is_complete_period,
    value_eur,
    quantity_kg,
    status_code,
    status_code != 'final' as is_provisional,
    dataset_code,
    load_id,
    request_id,
    vintage_at
from totals
