-- Total exports of a scope by destination. Grain: source, concept, scope, reporter, destination, month.
with exports as (
    select * from {{ ref('int_exports_by_destination') }}
    where flow_kind = 'total'
),

members as (
    select * from {{ ref('int_scopes_unioned') }}
)

select
    exports.source_code,
    exports.concept_code,
    members.scope_code,
    exports.reporter_code,
    exports.destination_code,
    exports.month,
    -- A member with the sign -1 is taken out of the one above it.
    sum(members.sign * exports.value_eur) as value_eur
from exports
inner join members
    on
        {{ is_member('members', 'exports') }}
group by all
