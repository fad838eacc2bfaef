with source as (
    select * from {{ source('landing_eurostat_ds_045409', 'measures') }}
)

select
    load_id,
    measure_code,
    declared_unit,
    canonical_unit,
    cast(factor as decimal(18, 4)) as factor
from source
where {{ only_committed() }}
