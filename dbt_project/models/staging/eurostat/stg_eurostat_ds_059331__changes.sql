with source as (
    select * from {{ source('landing_eurostat_ds_059331', 'changes') }}
)

select
    {{ landed_changes(["freq", "reporter", "partner", "product", "flow", "period"]) }}
from source
where {{ only_committed() }}
