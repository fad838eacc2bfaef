-- Law: fct_exports holds exactly the last version of each figure. Rows are compared by hash: the two tables are the
-- largest of the marts, and equal in every correct build.
with current_exports as (
    select
        hash(
            source_code, concept_code, flow_kind, reporter_code, destination_code, nomenclature_code, product_code,
            month, value_eur, quantity_kg, load_id, request_id
        ) as row_hash,
        product_code,
        month
    from {{ ref('fct_exports') }}
),

open_versions as (
    select
        hash(
            source_code, concept_code, flow_kind, reporter_code, destination_code, nomenclature_code, product_code,
            month, value_eur, quantity_kg, load_id, request_id
        ) as row_hash,
        product_code,
        month
    from {{ ref('fct_exports_vintages') }}
    where valid_to is null
),

both_sides as (
    select
        *,
        1 as side
    from current_exports
    union all
    select
        *,
        -1 as side
    from open_versions
)

select
    row_hash,
    any_value(product_code) as product_code,
    any_value(month) as month,
    sum(side) as more_in_fct_exports
from both_sides
group by row_hash
having sum(side) != 0
