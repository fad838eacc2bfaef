with source as (
    select * from {{ source('landing_eurostat_sts_inpr_m', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
