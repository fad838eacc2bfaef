with members as (
    select * from {{ ref('int_scopes_unioned') }}
)

select
    scope_code,
    source_code,
    nomenclature_code,
    product_code,
    sign,
    valid_from,
    valid_to,
    member_source,
    member_confidence
from members
