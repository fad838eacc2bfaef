with titles as (
    select * from {{ ref('product_titles') }}
),

members as (
    select distinct
        nomenclature_code,
        product_code
    from {{ ref('int_scopes_unioned') }}
),

totals as (
    select distinct
        nomenclature_code,
        product_code
    from {{ ref('int_export_totals') }}
),

exports as (
    select distinct
        nomenclature_code,
        product_code
    from {{ ref('int_exports_by_destination') }}
),

products as (
    select
        nomenclature_code,
        product_code
    from titles
    union
    select
        nomenclature_code,
        product_code
    from members
    union
    select
        nomenclature_code,
        product_code
    from totals
    union
    select
        nomenclature_code,
        product_code
    from exports
)

select
    products.nomenclature_code,
    products.product_code,
    case
        when products.product_code = 'TOTAL' then 0
        -- A code of CBS's own stands beside the sections of SITC.
        when products.nomenclature_code = 'CBS' then 1
        else length(products.product_code)
    end as product_level,
    titles.product_title_en,
    titles.product_title_nl,
    titles.source as title_source,
    titles.confidence as title_confidence
from products
left join titles
    on products.nomenclature_code = titles.nomenclature_code and products.product_code = titles.product_code
