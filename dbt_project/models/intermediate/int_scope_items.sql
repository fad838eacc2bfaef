-- The goods of a scope one by one: its members, each less its exclusions, CN8 codes by family. Value and weight by
-- destination, for every comparison of goods: prices, mix, market shares by product.
--
-- Grain: source, concept, scope, reporter, destination, item, month.
with exports as (
    select * from {{ ref('int_exports_by_concept') }}
),

members as (
    select * from {{ ref('int_scopes_unioned') }}
),

families as (
    select * from {{ ref('int_scope_families') }}
),

-- An exclusion counts for the member that it is subtracted from.
itemised as (
    select
        members.*,
        coalesce(families.family_code, wider.product_code, members.product_code) as item_code,
        members.sign = 1 or wider.product_code is null as is_whole
    from members
    left join families
        on
            members.sign = 1
            and members.scope_code = families.scope_code
            and members.product_code = families.product_code
    left join members as wider
        on
            members.sign = -1
            and wider.sign = 1
            and members.scope_code = wider.scope_code
            and members.nomenclature_code = wider.nomenclature_code
            and starts_with(members.product_code, wider.product_code)
    qualify row_number() over (
        partition by members.scope_code, members.nomenclature_code, members.product_code, members.valid_from
        order by wider.product_code desc, wider.valid_from asc
    ) = 1
)

select
    exports.source_code,
    exports.concept_code,
    itemised.scope_code,
    exports.reporter_code,
    exports.destination_code,
    itemised.item_code,
    exports.month,
    sum(itemised.sign * exports.value_eur) as value_eur,
    -- A weight missing for one part is unknown for the whole.
    case
        when count(exports.quantity_kg) = count(*) then sum(itemised.sign * exports.quantity_kg)
    end as quantity_kg,
    -- If a good is secret and an excluded part of it is not, only the subtraction remains.
    bool_or(itemised.is_whole) as is_published
from exports
inner join itemised
    on
        {{ is_member('itemised', 'exports') }}
group by all
