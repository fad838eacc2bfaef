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
    sum(exports.value_eur) as value_eur
from exports
inner join members
    on
        exports.nomenclature_code = members.nomenclature_code
        and exports.product_code = members.product_code
        and exports.month >= members.valid_from
        and (members.valid_to is null or exports.month <= members.valid_to)
group by all
