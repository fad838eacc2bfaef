with source as (
    select * from {{ source('landing_cbs_81234ned', 'changes') }}
)

select
    {{ landed_changes(["activity", "margin", "adjustment", "period"]) }}
from source
where {{ only_committed() }}
