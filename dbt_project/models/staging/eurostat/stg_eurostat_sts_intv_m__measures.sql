with source as (
    select * from {{ source('landing_eurostat_sts_intv_m', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
