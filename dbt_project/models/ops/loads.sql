with loads as (
    select * from {{ ref('stg_landing__loads') }}
)

select
    load_id,
    dataset_code,
    reporter_code,
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
    is_full,
    panel,
    protocol,
    cast(len(request_ids) as integer) as n_requests
from loads
