-- Families of CN8 codes that succeeded each other within a scope, named after the smallest code. A code renamed, split
-- or merged on 1 January is then neither an exit nor an entry. Only codes in the scope are linked: goods that a
-- successor took from outside are new to the scope. Grain: scope, product; codes without a successor or predecessor in
-- their scope have no row.
with recursive members as (
    select distinct
        scope_code,
        product_code
    from {{ ref('int_scopes_unioned') }}
    where nomenclature_code = 'CN' and length(product_code) = 8 and sign = 1
),

successions as (
    select * from {{ ref('int_cn_successions') }}
),

links as (
    select
        older.scope_code,
        older.product_code as one_code,
        newer.product_code as other_code
    from successions
    inner join members as older on successions.predecessor_code = older.product_code
    inner join members as newer
        on successions.successor_code = newer.product_code and older.scope_code = newer.scope_code
    where older.product_code != newer.product_code
),

both_ways as (
    select
        scope_code,
        one_code,
        other_code
    from links
    union
    select
        scope_code,
        other_code as one_code,
        one_code as other_code
    from links
),

reached as (
    select
        scope_code,
        one_code as product_code,
        one_code as reached_code
    from both_ways
    union
    select
        reached.scope_code,
        reached.product_code,
        both_ways.other_code as reached_code
    from reached
    inner join both_ways
        on reached.scope_code = both_ways.scope_code and reached.reached_code = both_ways.one_code
)

select
    scope_code,
    product_code,
    min(reached_code) as family_code
from reached
group by scope_code, product_code
