with rejects as (
    select * from {{ ref('stg_landing__rejects') }}
)

select
    load_id,
    cast(row_number() over (partition by load_id order by request_no, rule, row_content) as integer) as reject_no,
    request_no,
    rule,
    row_content
from rejects
