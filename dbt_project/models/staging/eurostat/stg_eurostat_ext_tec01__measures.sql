with source as (
    select * from {{ source('landing_eurostat_ext_tec01', 'measures') }}
)

select
    {{ landed_measures() }}
from source
where {{ only_committed() }}
