-- CN codes with the title and validity of their newest entry in Eurostat's list. Grain: product.
with statements as (
    {{ cell_statements(
        'stg_landing__changes',
        [
            'office_product_code', 'first_day', 'last_day', 'product_title', 'title_first_day', 'title_last_day',
            'measure_code',
        ],
        dataset='eurostat_comext_cn_titles'
    ) | indent(4) }}
)

select
    office_product_code as product_code,
    product_title,
    cast(first_day as date) as valid_from,
    -- Eurostat writes the year 2500 for a code in use.
    case when last_day < '2500' then cast(last_day as date) end as valid_to
from statements
where valid_to is null
qualify row_number() over (
    partition by office_product_code order by first_day desc, title_first_day desc, product_title asc
) = 1
