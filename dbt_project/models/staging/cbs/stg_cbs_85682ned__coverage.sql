with source as (
    select * from {{ source('landing_cbs_85682ned', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
