with source as (
    select * from {{ source('journal', 'office_partners') }}
)

select *
from source
