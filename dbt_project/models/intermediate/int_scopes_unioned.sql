-- Shipped and user scopes, one row per member. A user scope must not use a shipped scope's code.
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
    shipped.is_dated,
    'shipped' as origin,
    shipped_members.source_code,
    shipped_members.nomenclature_code,
    shipped_members.product_code,
    shipped_members.sign,
    shipped_members.valid_from,
    shipped_members.valid_to,
    shipped_members.source as member_source,
    shipped_members.confidence as member_confidence
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
    false as is_dated,
    'user' as origin,
    cast(null as varchar) as source_code,
    nomenclature_code,
    product_code,
    1 as sign,
    coalesce(valid_from, date '1988-01-01') as valid_from,
    valid_to,
    'METAALEXPORT_SCOPES' as member_source,
    'user' as member_confidence
from user_scopes
