with source as (
    select * from {{ source('landing', 'loads') }}
)

select
    load_id,
    dataset as dataset_code,
    office as office_code,
    reporter as reporter_code,
    office_version,
    vintage_at,
    retrieved_at,
    transport,
    is_simulated,
    rows_read,
    rows_loaded,
    rows_rejected,
    rows_changed,
    rows_withdrawn,
    panel,
    is_full,
    protocol,
    request_ids,
    payload_sha256s
from source
