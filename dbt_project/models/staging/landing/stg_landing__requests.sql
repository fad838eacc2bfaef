with source as (
    select * from {{ source('landing', 'requests') }}
)

select
    request_id,
    dataset as dataset_code,
    purpose,
    url,
    status as http_status,
    content_type,
    sha256,
    bytes,
    retrieved_at,
    transport,
    attempt,
    outcome,
    run_id
from source
