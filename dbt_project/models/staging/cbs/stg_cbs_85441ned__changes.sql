with source as (
    select * from {{ source('landing_cbs_85441ned', 'changes') }}
)

select
    {{ landed_changes(["partner", "product", "period"]) }}
from source
where {{ only_committed() }}
