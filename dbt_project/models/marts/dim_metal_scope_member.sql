with members as (
    select * from {{ ref('int_scopes_unioned') }}
)

select
    scope_code,
    nomenclature_code,
    product_code,
    valid_from,
    valid_to,
    member_source
from members
