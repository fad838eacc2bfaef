with source as (
    select * from {{ source('landing_eurostat_ext_st_eu27_2020sitc', 'changes') }}
)

select
    {{ landed_changes(["freq", "flow", "indicator", "partner", "product", "reporter", "period"]) }}
from source
where {{ only_committed() }}
