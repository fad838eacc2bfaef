with classified as (
    select * from {{ ref('int_comext_classifications') }}
),

compared as (
    select
        *,
        (sitc_code, cpa21_code, cpa22_code, bec_code, bec5_code, section_code)
        is distinct from lag((sitc_code, cpa21_code, cpa22_code, bec_code, bec5_code, section_code)) over history
            as is_changed
    from classified
    window history as (partition by product_code order by month)
)

select
    product_code,
    month as valid_from,
    cast(lead(month) over (partition by product_code order by month) - interval 1 day as date) as valid_to,
    product_code like '%X%' as is_masked,
    sitc_code,
    cpa21_code,
    cpa22_code,
    bec_code,
    bec5_code,
    section_code,
    load_id
from compared
where is_changed
