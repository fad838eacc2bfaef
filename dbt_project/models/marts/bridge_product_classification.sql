with classified as (
    select
        *,
        [sitc_code, cpa21_code, cpa22_code, bec_code, bec5_code, section_code] as classes
    from {{ ref('int_comext_classifications') }}
),

compared as (
    select
        *,
        lag(classes) over (partition by product_code order by month) as classes_before
    from classified
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
where classes is distinct from classes_before
