-- Total exports of a scope by destination. Grain: source, concept, scope, reporter, destination, month.
with items as (
    select * from {{ ref('int_scope_items') }}
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    -- A part is subtracted where its whole is counted: for a secret good, that is unallocated.
    case when is_published or destination_code = 'not_loaded' then destination_code else 'unallocated' end
        as destination_code,
    month,
    sum(value_eur) as value_eur
from items
group by all
