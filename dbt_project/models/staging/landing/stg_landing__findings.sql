with source as (
    select * from {{ source('landing', 'findings') }}
)

select
    load_id,
    rule,
    subject,
    detail,
    mode
from source
where {{ only_committed() }}
