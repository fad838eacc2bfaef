-- Origin of the bytes: one row per load and request, numbered in the order of requests. Grain: load, request_no.
with loads as (
    select * from {{ ref('stg_landing__loads') }}
),

requests as (
    select
        load_id,
        unnest(request_ids) as request_id,
        generate_subscripts(request_ids, 1) - 1 as request_no
    from loads
)

select
    cast(row_number() over (order by request_id, load_id, request_no) as integer) as origin_no,
    load_id,
    request_id,
    cast(request_no as integer) as request_no
from requests
