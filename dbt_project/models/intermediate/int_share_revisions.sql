-- Eventual revision of a destination's share, percentage points: what later releases still change, at all ages.
-- A revision is the difference between two successive releases, at the age of the later one; the eventual revision is
-- the root of the sum over ages of their mean squares, as if revisions were independent. Two releases show every age:
-- of a recent month the first revision, of an old one a late one.
--
-- Grain: source, concept, scope, reporter, destination.
{# Offices revise for about two years; later changes are corrections. #}
{% set oldest_months = 24 %}

with vintages as (
    select * from {{ ref('int_scope_vintages') }}
),

versions as (
    select * from {{ ref('int_versions_by_concept') }}
    where period_type = 'month' and member_code not in ('total', 'not_loaded')
),

panels as (
    select
        *,
        {{ source_of('dataset_code') }} as source_code
    from {{ ref('int_panels_in_force') }}
    where valid_to is null
),

members as (
    select * from {{ ref('int_scopes_unioned') }}
),

successive as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        age_months,
        vintage_at as later_at,
        total_eur as later_total_eur,
        lag(vintage_at) over releases as earlier_at,
        lag(total_eur) over releases as earlier_total_eur
    from vintages
    window releases as (partition by source_code, concept_code, scope_code, reporter_code, month order by vintage_at)
    qualify earlier_at is not null and age_months <= {{ oldest_months }}
),

compared as (
    select
        successive.source_code,
        successive.concept_code,
        successive.scope_code,
        successive.reporter_code,
        successive.month,
        successive.age_months,
        successive.later_at,
        successive.earlier_total_eur,
        successive.later_total_eur,
        versions.member_code as destination_code,
        sum(members.sign * versions.value_eur) filter (
            where versions.valid_from <= successive.earlier_at
            and (versions.valid_to is null or versions.valid_to > successive.earlier_at)
        ) as earlier_eur,
        sum(members.sign * versions.value_eur) filter (
            where versions.valid_from <= successive.later_at
            and (versions.valid_to is null or versions.valid_to > successive.later_at)
        ) as later_eur
    from versions
    inner join panels on versions.group_no = panels.group_no
    inner join members
        on
            {{ is_member('members', 'panels') }}
    inner join successive
        on
            panels.source_code = successive.source_code
            and versions.concept_code = successive.concept_code
            and members.scope_code = successive.scope_code
            and panels.reporter_code = successive.reporter_code
            and panels.month = successive.month
    group by all
),

revised as (
    select
        *,
        {{ share_change_pp('later_eur', 'later_total_eur', 'earlier_eur', 'earlier_total_eur') }} as revision_pp
    from compared
),

by_age as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        age_months,
        count(revision_pp) as n_revisions,
        sum(revision_pp * revision_pp order by month, later_at) / count(revision_pp) as mean_square
    from revised
    group by all
    having count(revision_pp) > 0
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    destination_code,
    cast(sum(n_revisions) as integer) as n_revisions,
    sqrt(sum(mean_square order by age_months)) as eventual_revision_pp
from by_age
group by all
