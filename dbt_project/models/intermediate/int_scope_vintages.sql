-- The office's total of a scope in a month, by release: the revision triangle. A release counts if all products of the
-- scope were requested in it and had their totals. Grain: source, concept, scope, reporter, month, vintage.
with versions as (
    select * from {{ ref('int_versions_by_concept') }}
    where period_type = 'month' and member_code = 'total'
),

panels as (
    select
        *,
        {{ source_of('dataset_code') }} as source_code
    from {{ ref('int_panels_in_force') }}
),

-- A partner set has a row for each of its spells; its group of cells is one.
cell_groups as (
    select distinct
        group_no,
        source_code,
        dataset_code,
        reporter_code,
        nomenclature_code,
        product_code,
        month
    from panels
),

members as (
    select * from {{ ref('int_scopes_unioned') }}
),

-- Sums change only where an observation begins or ends.
steps as (
    select
        group_no,
        concept_code,
        valid_from as changed_at,
        value_eur,
        1 as n_totals
    from versions
    union all
    select
        group_no,
        concept_code,
        valid_to as changed_at,
        -value_eur as value_eur,
        -1 as n_totals
    from versions
    where valid_to is not null
),

scope_steps as (
    select
        cell_groups.source_code,
        cell_groups.dataset_code,
        steps.concept_code,
        members.scope_code,
        cell_groups.reporter_code,
        cell_groups.month,
        steps.changed_at,
        sum(members.sign * steps.value_eur) as value_eur,
        sum(steps.n_totals) as n_totals
    from steps
    inner join cell_groups on steps.group_no = cell_groups.group_no
    inner join members
        on
            {{ is_member('members', 'cell_groups') }}
    group by all
),

scope_states as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        changed_at,
        sum(value_eur) over so_far as total_eur,
        sum(n_totals) over so_far as n_totals
    from scope_steps
    window so_far as (partition by source_code, concept_code, scope_code, reporter_code, month order by changed_at)
),

asked as (
    select
        source_code,
        dataset_code,
        reporter_code,
        nomenclature_code,
        product_code,
        month,
        unnest(vintages) as vintage_at
    from panels
),

scope_releases as (
    select
        asked.source_code,
        asked.dataset_code,
        members.scope_code,
        asked.reporter_code,
        asked.month,
        asked.vintage_at,
        count(*) as n_asked
    from asked
    inner join members
        on
            {{ is_member('members', 'asked') }}
    group by all
),

concepts as (
    select
        scope_steps.source_code,
        scope_steps.dataset_code,
        scope_steps.concept_code,
        scope_steps.scope_code,
        scope_steps.reporter_code,
        scope_steps.month,
        -- Products that were not traded have no total; a release in which fewer were requested is not the scope's.
        max(scope_releases.n_asked) as n_most_asked
    from scope_steps
    inner join scope_releases
        on
            {{ same('scope_steps', 'scope_releases', [
                'source_code', 'dataset_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
    group by all
),

shown as (
    select
        concepts.source_code,
        concepts.dataset_code,
        concepts.concept_code,
        concepts.scope_code,
        concepts.reporter_code,
        concepts.month,
        scope_releases.vintage_at,
        scope_states.total_eur,
        scope_states.n_totals,
        max(scope_states.n_totals) over (
            partition by
                concepts.source_code, concepts.concept_code, concepts.scope_code, concepts.reporter_code, concepts.month
        ) as n_most_totals
    from concepts
    inner join scope_releases
        on
            {{ same('concepts', 'scope_releases', [
                'source_code', 'dataset_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
            and concepts.n_most_asked = scope_releases.n_asked
    asof inner join scope_states
        on
            {{ same('concepts', 'scope_states', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
            and scope_releases.vintage_at >= scope_states.changed_at
)

select
    source_code,
    dataset_code,
    concept_code,
    scope_code,
    reporter_code,
    month,
    vintage_at,
    cast(row_number() over history as integer) as vintage_no,
    cast(datediff('month', month, vintage_at) as integer) as age_months,
    total_eur,
    lag(total_eur) over history as total_before_eur,
    {{ growth_pct('total_eur', 'lag(total_eur) over history') }} as revision_pct,
    first_value(total_eur) over history as first_total_eur,
    first_value(vintage_at) over history as first_vintage_at
from shown
where n_totals > 0 and n_totals = n_most_totals
window history as (
    partition by source_code, concept_code, scope_code, reporter_code, month
    order by vintage_at
    rows between unbounded preceding and current row
)
