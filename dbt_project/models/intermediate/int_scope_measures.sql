-- Scopes that a measure of an importer touches: at least one of their goods is among those that it names. Scopes of
-- SITC and CPA by the Combined Nomenclature's codes of their goods, if a bulk file is loaded.
--
-- Grain: event, scope, first day of the member.
with members as (
    select distinct
        scope_code,
        nomenclature_code,
        product_code,
        valid_from,
        valid_to
    from {{ ref('int_scopes_unioned') }}
    where sign = 1
),

classified as (
    select distinct
        product_code,
        'SITC' as nomenclature_code,
        sitc_code as class_code
    from {{ ref('int_comext_classifications') }}
    union
    select distinct
        product_code,
        'CPA22' as nomenclature_code,
        cpa22_code as class_code
    from {{ ref('int_comext_classifications') }}
),

scope_goods as (
    select
        scope_code,
        product_code,
        valid_from,
        valid_to
    from members
    where nomenclature_code = 'CN' or product_code = 'TOTAL'
    union
    select
        members.scope_code,
        classified.product_code,
        members.valid_from,
        members.valid_to
    from members
    inner join classified
        on
            members.nomenclature_code = classified.nomenclature_code
            and starts_with(classified.class_code, members.product_code)
),

event_goods as (
    select
        products.event_code,
        products.product_code,
        products.sign
    from {{ ref('dim_tariff_event_product') }} as products
    inner join {{ ref('dim_tariff_event') }} as events on products.event_code = events.event_code
    where events.event_kind = 'effective' and products.nomenclature_code = 'CN'
),

named as (
    select distinct
        scope_goods.scope_code,
        scope_goods.product_code,
        scope_goods.valid_from,
        scope_goods.valid_to,
        event_goods.event_code
    from scope_goods
    inner join event_goods
        on
            event_goods.sign = 1
            and (
                'TOTAL' in (event_goods.product_code, scope_goods.product_code)
                or starts_with(scope_goods.product_code, event_goods.product_code)
                or starts_with(event_goods.product_code, scope_goods.product_code)
            )
)

select distinct
    named.event_code,
    named.scope_code,
    named.valid_from,
    named.valid_to
from named
left join event_goods as taken_out
    on
        taken_out.sign = -1
        and named.event_code = taken_out.event_code
        and starts_with(named.product_code, taken_out.product_code)
where taken_out.event_code is null
