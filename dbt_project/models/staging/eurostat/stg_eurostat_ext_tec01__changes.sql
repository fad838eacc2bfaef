with source as (
    select * from {{ source('landing_eurostat_ext_tec01', 'changes') }}
)

select
    {{ landed_changes(["freq", "flow", "activity", "size_class", "partner", "reporter", "period"]) }}
from source
where {{ only_committed() }}
