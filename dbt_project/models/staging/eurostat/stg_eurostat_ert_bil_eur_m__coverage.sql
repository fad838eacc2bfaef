with source as (
    select * from {{ source('landing_eurostat_ert_bil_eur_m', 'coverage') }}
)

select
    {{ landed_coverage() }}
from source
where {{ only_committed() }}
