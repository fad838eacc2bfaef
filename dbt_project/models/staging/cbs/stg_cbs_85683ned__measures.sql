with source as (
    select * from {{ source('landing_cbs_85683ned', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
