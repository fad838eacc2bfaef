with source as (
    select * from {{ source('landing_cbs_85683ned', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
