with concepts as (
    select * from {{ ref('concepts') }}
)

select
    concept_code,
    source_code,
    part_of as part_of_concept_code,
    flow_kind,
    concept_name_en,
    concept_name_nl,
    definition_en,
    definition_nl,
    includes_quasi_transit,
    source as definition_source
from concepts
