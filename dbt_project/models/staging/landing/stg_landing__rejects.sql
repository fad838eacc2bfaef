with source as (
    select * from {{ source('landing', 'rejects') }}
)

select
    load_id,
    request_no,
    rule,
    row_content
from source
where {{ only_committed() }}
