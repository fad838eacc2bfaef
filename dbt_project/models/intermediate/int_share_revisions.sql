-- Usual revision of a destination's share after its first publication: mean absolute difference, in percentage points,
-- between its share in the first release of a month and in the newest one, over months first observed when recent and
-- released again since. Grain: source, concept, scope, reporter, destination.
{# Older figures hardly change; including them would understate the usual revision of a new figure. #}
{% set oldest_first_months = 6 %}

with vintages as (
    select * from {{ ref('int_scope_vintages') }}
),

versions as (
    select * from {{ ref('int_export_versions') }}
    where period_type = 'month' and flow_kind = 'total' and member_code not in ('total', 'not_loaded')
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

young as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        min(vintage_at) as first_at,
        max(vintage_at) as newest_at,
        arg_min(total_eur, vintage_at) as first_total_eur,
        arg_max(total_eur, vintage_at) as newest_total_eur
    from vintages
    group by all
    having count(*) > 1 and min(age_months) <= {{ oldest_first_months }}
),

compared as (
    select
        young.source_code,
        young.concept_code,
        young.scope_code,
        young.reporter_code,
        young.month,
        versions.member_code as destination_code,
        young.first_total_eur,
        young.newest_total_eur,
        sum(members.sign * versions.value_eur) filter (
            where versions.valid_from <= young.first_at
            and (versions.valid_to is null or versions.valid_to > young.first_at)
        ) as first_eur,
        sum(members.sign * versions.value_eur) filter (
            where versions.valid_from <= young.newest_at
            and (versions.valid_to is null or versions.valid_to > young.newest_at)
        ) as newest_eur
    from versions
    inner join panels on versions.group_no = panels.group_no
    inner join members
        on
            {{ is_member('members', 'panels') }}
    inner join young
        on
            panels.source_code = young.source_code
            and versions.concept_code = young.concept_code
            and members.scope_code = young.scope_code
            and panels.reporter_code = young.reporter_code
            and panels.month = young.month
    group by all
),

revised as (
    select
        *,
        {{ share_change_pp('newest_eur', 'newest_total_eur', 'first_eur', 'first_total_eur') }} as revision_pp
    from compared
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    destination_code,
    cast(count(revision_pp) as integer) as n_months,
    sum(abs(revision_pp) order by month) / count(revision_pp) as usual_revision_pp
from revised
group by all
having count(revision_pp) > 0
