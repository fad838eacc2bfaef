-- The offices' own totals. The parts of a concept that an office publishes (Dutch product, re-exports, transit) are
-- concepts of their own.
--
-- Grain: source, concept, reporter, nomenclature, product, period.
with totals as (
    select * from {{ ref('int_export_totals') }}
),

concepts as (
    select
        concept_code,
        coalesce(part_of, concept_code) as published_concept_code,
        flow_kind as published_flow_kind
    from {{ ref('concepts') }}
)

select totals.* exclude (totals.flow_kind) replace (concepts.concept_code as concept_code)
from totals
inner join concepts
    on
        totals.concept_code = concepts.published_concept_code
        and totals.flow_kind = concepts.published_flow_kind
