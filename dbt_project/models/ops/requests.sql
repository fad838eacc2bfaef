with requests as (
    select * from {{ ref('stg_landing__requests') }}
),

loads as (
    select
        load_id,
        unnest(request_ids) as request_id
    from {{ ref('stg_landing__loads') }}
),

first_loads as (
    select
        request_id,
        min(load_id) as load_id
    from loads
    group by request_id
)

select
    requests.request_id,
    requests.dataset_code,
    first_loads.load_id,
    requests.run_id,
    requests.purpose,
    requests.url,
    requests.http_status,
    requests.content_type,
    requests.sha256,
    requests.bytes,
    requests.retrieved_at,
    requests.transport,
    requests.attempt,
    requests.outcome
from requests
left join first_loads on requests.request_id = first_loads.request_id
