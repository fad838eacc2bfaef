with source as (
    select * from {{ source('landing_eurostat_ds_059366', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
