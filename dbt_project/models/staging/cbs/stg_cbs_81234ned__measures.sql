with source as (
    select * from {{ source('landing_cbs_81234ned', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
