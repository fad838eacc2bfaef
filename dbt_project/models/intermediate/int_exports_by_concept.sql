-- Exports by destination. The parts of a concept that an office publishes (Dutch product, re-exports, transit) are
-- concepts of their own.
--
-- Grain: source, concept, reporter, destination, nomenclature, product, month.
with exports as (
    select * from {{ ref('int_exports_by_destination') }}
),

concepts as (
    select
        concept_code,
        coalesce(part_of, concept_code) as published_concept_code,
        flow_kind as published_flow_kind
    from {{ ref('concepts') }}
)

select exports.* exclude (exports.flow_kind) replace (concepts.concept_code as concept_code)
from exports
inner join concepts
    on
        exports.concept_code = concepts.published_concept_code
        and exports.flow_kind = concepts.published_flow_kind
