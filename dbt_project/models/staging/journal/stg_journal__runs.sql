with source as (
    select * from {{ source('journal', 'runs') }}
)

select *
from source
