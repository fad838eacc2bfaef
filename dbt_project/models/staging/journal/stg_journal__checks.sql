with source as (
    select * from {{ source('journal', 'checks') }}
)

select *
from source
