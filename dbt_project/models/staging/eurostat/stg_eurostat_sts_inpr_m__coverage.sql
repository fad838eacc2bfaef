with source as (
    select * from {{ source('landing_eurostat_sts_inpr_m', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
