with source as (
    select * from {{ source('landing_eurostat_comext_bulk', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
