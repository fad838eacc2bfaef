-- Size of the revisions of a scope's total by age: a revision is the difference between a release and the one before,
-- at the age of the later one. Grain: source, concept, scope, reporter, age.
with vintages as (
    select * from {{ ref('int_scope_vintages') }}
    where revision_pct is not null
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    age_months,
    cast(count(*) as integer) as n_revisions,
    -- Ordered sums, so that the last digit is deterministic.
    sum(revision_pct order by month, vintage_at) / count(*) as mean_revision_pct,
    sum(abs(revision_pct) order by month, vintage_at) / count(*) as mean_abs_revision_pct
from vintages
group by all
