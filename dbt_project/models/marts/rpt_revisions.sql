with vintages as (
    select * from {{ ref('int_scope_vintages') }}
),

measured as (
    select
        source_code,
        dataset_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        vintage_at,
        vintage_no,
        age_months,
        total_eur as value_eur,
        total_eur - total_before_eur as revision_eur,
        {{ growth_pct('total_eur', 'total_before_eur') }} as revision_pct,
        case when vintage_no > 1 then {{ growth_pct('total_eur', 'first_total_eur') }} end as revision_since_first_pct,
        vintage_no = max(vintage_no) over (
            partition by source_code, concept_code, scope_code, reporter_code, month
        ) as is_newest
    from vintages
)

select
    source_code,
    dataset_code,
    concept_code,
    scope_code,
    reporter_code,
    month,
    vintage_at,
    vintage_no,
    is_newest,
    age_months,
    value_eur,
    revision_eur,
    revision_pct,
    revision_since_first_pct,
    cast(count(revision_pct) over of_age as integer) as n_revisions_of_age,
    avg(revision_pct) over of_age as mean_revision_pct_of_age,
    avg(abs(revision_pct)) over of_age as mean_abs_revision_pct_of_age
from measured
-- In the order of months, so that the last digit does not depend on chance.
window of_age as (
    partition by source_code, concept_code, scope_code, reporter_code, age_months
    order by month, vintage_at
    rows between unbounded preceding and unbounded following
)
