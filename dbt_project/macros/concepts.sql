{#
    Rows of a model with concept and flow kind, by concept alone: a total under its concept, and each part that the office
    publishes (Dutch product, re-exports, transit) under the concept that it is (docs/adr/0021).
#}
{% macro by_concept(model) -%}
with published as (
    select * from {{ ref(model) }}
),

concepts as (
    select
        concept_code,
        coalesce(part_of, concept_code) as published_concept_code,
        flow_kind as published_flow_kind
    from {{ ref('concepts') }}
)

select published.* exclude (published.flow_kind) replace (concepts.concept_code as concept_code)
from published
inner join concepts
    on
        published.concept_code = concepts.published_concept_code
        and published.flow_kind = concepts.published_flow_kind
{%- endmacro %}
