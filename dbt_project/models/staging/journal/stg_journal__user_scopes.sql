with source as (
    select * from {{ source('journal', 'user_scopes') }}
)

select *
from source
