with source as (
    select * from {{ source('landing_eurostat_ext_st_eu27_2020sitc', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
