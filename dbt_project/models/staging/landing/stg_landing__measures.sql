with source as (
    select * from {{ source('landing', 'measures') }}
)

select
    load_id,
    measure_code,
    stated_unit,
    declared_unit,
    canonical_unit,
    cast(factor as decimal(18, 4)) as factor
from source
where {{ only_committed() }}
