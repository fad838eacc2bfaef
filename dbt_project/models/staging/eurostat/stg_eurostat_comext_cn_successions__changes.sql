with source as (
    select * from {{ source('landing_eurostat_comext_cn_successions', 'changes') }}
)

select
    {{ landed_changes(["predecessor", "successor", "valid_from", "period"]) }}
from source
where {{ only_committed() }}
