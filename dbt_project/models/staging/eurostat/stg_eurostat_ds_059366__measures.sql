with source as (
    select * from {{ source('landing_eurostat_ds_059366', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
