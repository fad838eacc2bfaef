with source as (
    select * from {{ source('landing_cbs_85427ned', 'codes') }}
)

select
    {{ landed_partners() }}
from source
where {{ only_committed() }} and dimension = 'Landen'
