with source as (
    select * from {{ source('journal', 'slices') }}
)

select *
from source
