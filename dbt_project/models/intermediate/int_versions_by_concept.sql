-- Versions of observations. The parts of a concept that an office publishes (Dutch product, re-exports, transit) are
-- concepts of their own.
--
-- Grain: group of cells, concept, period type, member, first vintage.
with versions as (
    select * from {{ ref('int_export_versions') }}
),

concepts as (
    select
        concept_code,
        coalesce(part_of, concept_code) as published_concept_code,
        flow_kind as published_flow_kind
    from {{ ref('concepts') }}
)

select versions.* exclude (versions.flow_kind) replace (concepts.concept_code as concept_code)
from versions
inner join concepts
    on
        versions.concept_code = concepts.published_concept_code
        and versions.flow_kind = concepts.published_flow_kind
