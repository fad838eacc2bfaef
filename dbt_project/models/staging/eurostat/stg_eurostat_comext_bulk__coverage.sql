with source as (
    select * from {{ source('landing_eurostat_comext_bulk', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
