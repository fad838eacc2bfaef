with products as (
    select * from {{ ref('tariff_event_products') }}
)

select
    event_code,
    nomenclature_code,
    product_code,
    sign,
    coverage,
    confidence,
    source as list_source
from products
