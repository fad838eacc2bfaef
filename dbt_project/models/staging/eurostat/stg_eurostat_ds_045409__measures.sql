with source as (
    select * from {{ source('landing_eurostat_ds_045409', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
