with source as (
    select * from {{ source('landing_eurostat_ds_059331', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
