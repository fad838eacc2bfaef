with source as (
    select * from {{ source('landing_cbs_85806ned', 'changes') }}
)

select
    {{ landed_changes(["activity", "period"]) }}
from source
where {{ only_committed() }}
