with source as (
    select * from {{ source('landing_eurostat_ds_045409', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
