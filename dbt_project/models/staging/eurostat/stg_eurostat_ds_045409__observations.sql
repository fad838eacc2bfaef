with source as (
    select * from {{ source('landing_eurostat_ds_045409', 'observations') }}
)

select
    load_id,
    request_no,
    reporter as reporter_code,
    partner as partner_code,
    product as office_product_code,
    flow as flow_code,
    measure as measure_code,
    cast(strptime(period, '%Y-%m') as date) as month,
    cast(value as decimal(24, 4)) as office_value
from source
where {{ only_committed() }}
