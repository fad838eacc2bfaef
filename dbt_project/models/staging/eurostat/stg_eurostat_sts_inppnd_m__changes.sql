with source as (
    select * from {{ source('landing_eurostat_sts_inppnd_m', 'changes') }}
)

select
    {{ landed_changes(["freq", "indicator", "activity", "adjustment", "reporter", "period"]) }}
from source
where {{ only_committed() }}
