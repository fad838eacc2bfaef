with titles as (
    select * from {{ ref('product_titles') }}
),

office_titles as (
    select * from {{ ref('int_cn_titles') }}
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
        -- CBS's own codes are alongside the SITC sections.
        when products.nomenclature_code = 'CBS' then 1
        else length(products.product_code)
    end as product_level,
    coalesce(titles.product_title_en, office_titles.product_title) as product_title_en,
    titles.product_title_nl,
    coalesce(
        titles.source,
        case when office_titles.product_code is not null then 'Eurostat Comext, Combined Nomenclature (CN.txt)' end
    ) as title_source,
    coalesce(titles.confidence, case when office_titles.product_code is not null then 'landed' end)
        as title_confidence,
    office_titles.valid_from,
    office_titles.valid_to
from products
left join office_titles
    on products.nomenclature_code = 'CN' and products.product_code = office_titles.product_code
left join titles
    on products.nomenclature_code = titles.nomenclature_code and products.product_code = titles.product_code
