with source as (
    select * from {{ source('landing_eurostat_sts_intv_m', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
