with source as (
    select * from {{ source('landing_eurostat_sts_inppnd_m', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
