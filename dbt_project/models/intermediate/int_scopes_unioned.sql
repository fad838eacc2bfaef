-- Shipped scopes and the user's own, one row a member. A user scope must not take a shipped scope's code.
with shipped as (
    select * from {{ ref('metal_scopes') }}
),

shipped_members as (
    select * from {{ ref('metal_scope_members') }}
),

user_scopes as (
    select * from {{ ref('stg_journal__user_scopes') }}
)

select
    shipped.scope_code,
    shipped.scope_name_en,
    shipped.scope_name_nl,
    shipped.description_en,
    shipped.description_nl,
    shipped.is_metal,
    'shipped' as origin,
    shipped_members.nomenclature_code,
    shipped_members.product_code,
    shipped_members.valid_from,
    shipped_members.valid_to,
    shipped_members.source as member_source
from shipped
inner join shipped_members on shipped.scope_code = shipped_members.scope_code
union all
select
    scope_code,
    scope_name_en,
    scope_name_nl,
    scope_name_en as description_en,
    scope_name_nl as description_nl,
    cast(null as boolean) as is_metal,
    'user' as origin,
    nomenclature_code,
    product_code,
    coalesce(valid_from, date '1988-01-01') as valid_from,
    valid_to,
    'METAALEXPORT_SCOPES' as member_source
from user_scopes
