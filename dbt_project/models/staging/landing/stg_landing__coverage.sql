with source as (
    select * from {{ source('landing', 'coverage') }}
)

select
    load_id,
    reporter_code,
    product_code as office_product_code,
    first_month,
    last_month,
    has_all_partners,
    panel
from source
where {{ only_committed() }}
