with source as (
    select * from {{ source('landing_eurostat_ert_bil_eur_m', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
