with source as (
    select * from {{ source('journal', 'datasets') }}
)

select *
from source
