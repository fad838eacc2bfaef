with source as (
    select * from {{ source('landing_cbs_85681ned', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
