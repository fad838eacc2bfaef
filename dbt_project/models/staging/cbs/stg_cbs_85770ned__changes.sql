with source as (
    select * from {{ source('landing_cbs_85770ned', 'changes') }}
)

select
    {{ landed_changes(["product", "market", "period"]) }}
from source
where {{ only_committed() }}
