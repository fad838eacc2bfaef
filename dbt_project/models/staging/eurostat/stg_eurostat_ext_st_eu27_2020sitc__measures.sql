with source as (
    select * from {{ source('landing_eurostat_ext_st_eu27_2020sitc', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
