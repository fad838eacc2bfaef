with source as (
    select * from {{ source('landing_eurostat_ext_tec01', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
