-- Every figure of the marts in every version: the office's total, and the destinations that sum to it (countries,
-- unallocated, and the part of the total beyond the published members). A version begins where value or quantity
-- changed. Grain: group, concept, flow kind, period type, member, valid_from.
with cells as (
    select * from {{ ref('int_export_cells') }}
),

panels as (
    select * from {{ ref('int_panels_in_force') }}
),

series_keys as (
    select distinct
        group_no,
        concept_code,
        flow_kind,
        period_type
    from cells
),

-- An integer key: the heavy steps compare integers instead of text.
series as (
    select
        cast(row_number() over (order by group_no, concept_code, flow_kind, period_type) as integer) as series_no,
        group_no,
        concept_code,
        flow_kind,
        period_type
    from series_keys
),

statements as (
    select
        series.series_no,
        cells.member_code,
        cells.value_eur,
        cells.quantity_kg,
        cast(cells.value_eur is not null as integer) as n_values,
        cast(cells.quantity_kg is not null as integer) as n_quantities,
        cells.origin_no,
        cells.valid_from,
        cells.valid_to
    from cells
    inner join series
        on
            {{ same('cells', 'series', ['group_no', 'concept_code', 'flow_kind', 'period_type']) }}
),

-- Sums change only where an observation begins or ends, so nothing is re-aggregated per vintage.
steps as (
    select
        series_no,
        member_code,
        valid_from as changed_at,
        value_eur,
        quantity_kg,
        n_values,
        n_quantities,
        origin_no
    from statements
    union all by name
    select
        series_no,
        member_code,
        valid_to as changed_at,
        -value_eur as value_eur,
        -quantity_kg as quantity_kg,
        -n_values as n_values,
        -n_quantities as n_quantities
    from statements
    where valid_to is not null
),

-- Two codes of one country, and the office's codes without a country, are one member.
member_steps as (
    select
        series_no,
        member_code,
        changed_at,
        coalesce(sum(value_eur), 0) as value_eur,
        coalesce(sum(quantity_kg), 0) as quantity_kg,
        sum(n_values) as n_values,
        sum(n_quantities) as n_quantities,
        min(origin_no) as origin_no
    from steps
    group by series_no, member_code, changed_at
),

-- Most members have one version; only the others need sorting.
changed_members as (
    select
        series_no,
        member_code
    from member_steps
    where member_code != 'unallocated'
    group by series_no, member_code
    having count(*) > 1
),

member_states as (
    select
        member_steps.series_no,
        member_steps.member_code,
        member_steps.changed_at,
        sum(member_steps.value_eur) over so_far as value_eur,
        sum(member_steps.quantity_kg) over so_far as quantity_kg,
        sum(member_steps.n_values) over so_far as n_values,
        sum(member_steps.n_quantities) over so_far as n_quantities,
        last_value(member_steps.origin_no ignore nulls) over so_far as origin_no
    from member_steps
    semi join changed_members
        on
            member_steps.series_no = changed_members.series_no
            and member_steps.member_code = changed_members.member_code
    window so_far as (partition by member_steps.series_no, member_steps.member_code order by member_steps.changed_at)
),

-- Components of a remainder: the total, its published members, and those members that are not a country.
series_steps as (
    select
        series_no,
        changed_at,
        sum(value_eur) filter (where member_code = 'total') as total_eur,
        sum(quantity_kg) filter (where member_code = 'total') as total_kg,
        sum(n_values) filter (where member_code = 'total') as n_totals,
        sum(n_quantities) filter (where member_code = 'total') as n_total_quantities,
        min(origin_no) filter (where member_code = 'total') as total_origin_no,
        sum(value_eur) filter (where member_code != 'total') as members_eur,
        sum(quantity_kg) filter (where member_code != 'total') as members_kg,
        min(origin_no) filter (where member_code != 'total') as members_origin_no,
        sum(value_eur) filter (where member_code = 'unallocated') as own_eur,
        sum(quantity_kg) filter (where member_code = 'unallocated') as own_kg,
        sum(n_values) filter (where member_code = 'unallocated') as n_own,
        sum(n_quantities) filter (where member_code = 'unallocated') as n_own_quantities,
        min(origin_no) filter (where member_code = 'unallocated') as own_origin_no
    from member_steps
    group by series_no, changed_at
),

series_sums as (
    select
        series_no,
        changed_at,
        coalesce(sum(n_totals) over so_far, 0) > 0 as has_total,
        coalesce(sum(total_eur) over so_far, 0) - coalesce(sum(members_eur) over so_far, 0) as remainder_eur,
        case
            when sum(n_total_quantities) over so_far > 0
                then coalesce(sum(total_kg) over so_far, 0) - coalesce(sum(members_kg) over so_far, 0)
        end as remainder_kg,
        case when sum(n_own) over so_far > 0 then sum(own_eur) over so_far end as own_eur,
        case when sum(n_own_quantities) over so_far > 0 then sum(own_kg) over so_far end as own_kg,
        -- Newest change first; within one vintage the total and the office's own codes, then the other members.
        last_value(
            case
                when total_origin_no is not null
                    then { 'age': -epoch_us(changed_at), 'is_other': false, 'origin_no': total_origin_no }
            end ignore nulls
        ) over so_far as total_origin,
        last_value(
            case
                when own_origin_no is not null
                    then { 'age': -epoch_us(changed_at), 'is_other': false, 'origin_no': own_origin_no }
            end ignore nulls
        ) over so_far as own_origin,
        last_value(
            case
                when members_origin_no is not null
                    then { 'age': -epoch_us(changed_at), 'is_other': true, 'origin_no': members_origin_no }
            end ignore nulls
        ) over so_far as members_origin
    from series_steps
    window so_far as (partition by series_no order by changed_at)
),

-- All partners requested: the rest of the total is secret, not specified, or rounding. Some partners requested: the
-- rest is the partners not requested, and is unknown.
series_states as (
    select
        series_sums.*,
        series_sums.has_total and series_sums.remainder_eur != 0 and panels.has_all_partners as has_unallocated_rest,
        series_sums.has_total and series_sums.remainder_eur != 0 and not panels.has_all_partners as has_not_loaded,
        least(series_sums.total_origin, series_sums.members_origin).origin_no as rest_origin_no,
        least(series_sums.total_origin, series_sums.own_origin, series_sums.members_origin).origin_no
            as own_and_rest_origin_no
    from series_sums
    inner join series on series_sums.series_no = series.series_no
    inner join panels
        on
            series.group_no = panels.group_no
            and series_sums.changed_at >= panels.valid_from
            and (panels.valid_to is null or series_sums.changed_at < panels.valid_to)
    where series.period_type = 'month'
),

states as (
    select
        series_no,
        member_code,
        changed_at,
        n_values > 0 as is_there,
        case when n_values > 0 then value_eur end as value_eur,
        case when n_quantities > 0 then quantity_kg end as quantity_kg,
        false as has_remainder,
        origin_no
    from member_states
    union all by name
    -- The office's own unallocated figure and the remainder are one member.
    select
        series_no,
        'unallocated' as member_code,
        changed_at,
        own_eur is not null or has_unallocated_rest as is_there,
        case
            when has_unallocated_rest then coalesce(own_eur, 0) + remainder_eur
            else own_eur
        end as value_eur,
        case
            when not has_unallocated_rest then own_kg
            when own_kg is not null or remainder_kg is not null then coalesce(own_kg, 0) + coalesce(remainder_kg, 0)
        end as quantity_kg,
        has_unallocated_rest as has_remainder,
        case
            when has_unallocated_rest and own_eur is null then rest_origin_no
            when has_unallocated_rest then own_and_rest_origin_no
            else own_origin.origin_no
        end as origin_no
    from series_states
    union all by name
    select
        series_no,
        'not_loaded' as member_code,
        changed_at,
        has_not_loaded as is_there,
        case when has_not_loaded then remainder_eur end as value_eur,
        case when has_not_loaded then remainder_kg end as quantity_kg,
        true as has_remainder,
        rest_origin_no as origin_no
    from series_states
),

-- A release that only repeats a figure adds no version.
compared as (
    select
        *,
        { 'is_there': is_there, 'value_eur': value_eur, 'quantity_kg': quantity_kg } as state,
        lag({ 'is_there': is_there, 'value_eur': value_eur, 'quantity_kg': quantity_kg }) over history as state_before
    from states
    window history as (partition by series_no, member_code order by changed_at)
),

versions as (
    select
        series_no,
        member_code,
        value_eur,
        quantity_kg,
        has_remainder,
        origin_no,
        is_there,
        changed_at as valid_from,
        lead(changed_at) over (partition by series_no, member_code order by changed_at) as valid_to
    from compared
    where state is distinct from state_before
),

all_versions as (
    select
        series_no,
        member_code,
        value_eur,
        quantity_kg,
        has_remainder,
        origin_no,
        valid_from,
        valid_to
    from versions
    where is_there
    union all by name
    select
        member_steps.series_no,
        member_steps.member_code,
        member_steps.value_eur,
        case when member_steps.n_quantities > 0 then member_steps.quantity_kg end as quantity_kg,
        false as has_remainder,
        member_steps.origin_no,
        member_steps.changed_at as valid_from,
        cast(null as timestamp) as valid_to
    from member_steps
    anti join changed_members
        on
            member_steps.series_no = changed_members.series_no
            and member_steps.member_code = changed_members.member_code
    where member_steps.member_code != 'unallocated'
)

select
    series.group_no,
    series.concept_code,
    series.flow_kind,
    series.period_type,
    all_versions.member_code,
    all_versions.value_eur,
    all_versions.quantity_kg,
    all_versions.has_remainder,
    all_versions.origin_no,
    all_versions.valid_from,
    all_versions.valid_to
from all_versions
inner join series on all_versions.series_no = series.series_no
