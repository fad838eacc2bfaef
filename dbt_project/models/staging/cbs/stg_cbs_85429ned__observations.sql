with source as (
    select * from {{ source('landing_cbs_85429ned', 'observations') }}
)

select
    load_id,
    request_no,
    measure as measure_code,
    partner as partner_code,
    product as office_product_code,
    period as period_code,
    value_attribute,
    cast(value as decimal(24, 4)) as office_value
from source
where {{ only_committed() }}
