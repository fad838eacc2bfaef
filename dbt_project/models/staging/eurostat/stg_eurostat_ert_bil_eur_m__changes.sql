with source as (
    select * from {{ source('landing_eurostat_ert_bil_eur_m', 'changes') }}
)

select
    {{ landed_changes(["freq", "statistic", "currency", "period"]) }}
from source
where {{ only_committed() }}
