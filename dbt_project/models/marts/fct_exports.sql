with exports as (
    select * from {{ ref('int_exports_by_destination') }}
)

select
    source_code,
    concept_code,
    flow_kind,
    reporter_code,
    destination_code,
    nomenclature_code,
    product_code,
    month,
    value_eur,
    quantity_kg,
    case when has_remainder then 'derived' else 'published' end as value_origin,
    status_code,
    status_code != 'final' as is_provisional,
    dataset_code,
    load_id,
    request_id,
    vintage_at
from exports
