with source as (
    select * from {{ source('landing_eurostat_ds_045409', 'coverage') }}
)

select
    load_id,
    reporter_code,
    product_code as office_product_code,
    first_month,
    last_month,
    has_all_partners
from source
where {{ only_committed() }}
