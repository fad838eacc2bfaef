with vintages as (
    select * from {{ ref('int_scope_vintages') }}
),

sizes as (
    select * from {{ ref('int_revision_sizes') }}
)

select
    vintages.source_code,
    vintages.dataset_code,
    vintages.concept_code,
    vintages.scope_code,
    vintages.reporter_code,
    vintages.month,
    vintages.vintage_at,
    vintages.vintage_no,
    vintages.vintage_no = max(vintages.vintage_no) over (
        partition by
            vintages.source_code, vintages.concept_code, vintages.scope_code, vintages.reporter_code, vintages.month
    ) as is_newest,
    vintages.age_months,
    vintages.total_eur as value_eur,
    vintages.total_eur - vintages.total_before_eur as revision_eur,
    vintages.revision_pct,
    case when vintages.vintage_no > 1 then {{ growth_pct('vintages.total_eur', 'vintages.first_total_eur') }} end
        as revision_since_first_pct,
    coalesce(sizes.n_revisions, 0) as n_revisions_of_age,
    sizes.mean_revision_pct as mean_revision_pct_of_age,
    sizes.mean_abs_revision_pct as mean_abs_revision_pct_of_age
from vintages
left join sizes
    on
        {{ same('vintages', 'sizes', ['source_code', 'concept_code', 'scope_code', 'reporter_code', 'age_months']) }}
