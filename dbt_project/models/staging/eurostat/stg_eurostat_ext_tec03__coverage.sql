with source as (
    select * from {{ source('landing_eurostat_ext_tec03', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
