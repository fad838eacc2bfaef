with source as (
    select * from {{ source('landing_eurostat_ext_tec03', 'changes') }}
)

select
    {{ landed_changes(["freq", "flow", "activity", "partner", "reporter", "period"]) }}
from source
where {{ only_committed() }}
