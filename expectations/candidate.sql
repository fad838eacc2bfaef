-- Input of the publish gate, summarised into a small database to which the candidate and the published file are
-- attached. Without a published file, `published` holds the same tables without rows.
--
-- Variables: withdrawn (ids of withdrawn loads), problem (why nothing is compared), is_simulated.

create macro monthly(shares) as table
select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    month,
    bool_and(is_complete) as is_complete,
    any_value(total_eur) as total_eur,
    max(vintage_at) as vintage_at,
    sum(share) as share_sum,
    coalesce(sum(value_eur) filter (where destination_code = 'unallocated'), 0)
    / nullif(any_value(total_eur), 0) as unallocated_share,
    count(*) filter (where destination_code = 'not_loaded') > 0 as has_not_loaded
from query_table(shares)
group by all;

create table months as
select
    *,
    max(month) over (partition by source_code, reporter_code) as newest_month
from monthly('candidate.marts.rpt_destination_shares');

create table published_months as
from monthly('published.marts.rpt_destination_shares');

create table publication as
select getvariable('problem') as problem
where getvariable('problem') != '';

create table counts as
select
    (select count(*) from candidate.marts.fct_exports) as n_exports,
    (select count(*) from candidate.marts.rpt_destination_shares) as n_shares;

create table policy as
select
    list_code,
    known_until,
    (select max(month) from months where is_complete) as newest_month
from candidate.marts.dim_policy_list;

create table loads as
select
    load_id,
    dataset_code,
    reporter_code,
    is_simulated,
    transport,
    load_id not in (select load_id from published.ops.loads) as is_new
from candidate.ops.loads;

create table withdrawn as
select distinct
    dataset_code,
    reporter_code
from published.ops.loads
where list_contains(getvariable('withdrawn'), load_id);

create table slices as
with candidate_exports as (
    select
        dataset_code,
        reporter_code,
        count(*) as n
    from candidate.marts.fct_exports
    group by all
),

published_exports as (
    select
        dataset_code,
        reporter_code,
        count(*) as n
    from published.marts.fct_exports
    group by all
)

select
    published_exports.dataset_code,
    published_exports.reporter_code,
    coalesce(candidate_exports.n, 0) as n_exports,
    published_exports.n as n_published_exports,
    withdrawn.dataset_code is not null as is_withdrawn
from published_exports
left join candidate_exports using (dataset_code, reporter_code)
left join withdrawn using (dataset_code, reporter_code);

-- The dataset of a scope's figures: each source has one per nomenclature, concept and reporter.
create table origins as
with totals as (
    select source_code, concept_code, reporter_code, nomenclature_code, dataset_code
    from candidate.marts.fct_export_totals
    union
    select source_code, concept_code, reporter_code, nomenclature_code, dataset_code
    from published.marts.fct_export_totals
)

select distinct
    totals.source_code,
    totals.concept_code,
    members.scope_code,
    totals.reporter_code,
    totals.dataset_code
from totals
inner join candidate.marts.dim_metal_scope_member as members
    on
        totals.nomenclature_code = members.nomenclature_code
        and totals.source_code = coalesce(members.source_code, totals.source_code);

create table changes as
select
    before.source_code,
    before.concept_code,
    before.scope_code,
    before.reporter_code,
    before.month,
    before.total_eur as published_eur,
    now.total_eur as candidate_eur,
    coalesce(now.is_complete, false) as is_complete,
    now.total_eur / nullif(before.total_eur, 0) - 1 as revision,
    now.vintage_at,
    exists (
        from candidate.reference.accepted_revisions as accepted
        where
            accepted.source_code = before.source_code
            and accepted.reporter_code = before.reporter_code
            and before.month between accepted.month_from and accepted.month_to
            -- An acceptance for one release does not extend to the next.
            and accepted.vintage_on = now.vintage_at::date
    ) as is_accepted,
    exists (
        from origins
        inner join withdrawn using (dataset_code, reporter_code)
        where
            origins.source_code = before.source_code
            and origins.concept_code = before.concept_code
            and origins.scope_code = before.scope_code
            and origins.reporter_code = before.reporter_code
    ) as is_withdrawn
from published_months as before
left join months as now using (source_code, concept_code, scope_code, reporter_code, month)
where
    before.is_complete
    -- A user scope removed by the user is not a loss.
    and before.scope_code in (select scope_code from candidate.marts.dim_metal_scope);

create table unusual as
with newest as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        max(month) as month
    from candidate.marts.rpt_destination_shares
    where is_complete
    group by all
)

select
    concat(
        source_code, ' ', concept_code, ', ', scope_code, ', ', reporter_code, ' to ', destination_code, ', ',
        strftime(month, '%Y-%m'),
        format(': {:.1f} mln euro, {:.2g} times the expected', value_eur / 1e6, value_to_expected_ratio),
        format(', value a kg {:.2g} times', unit_value_to_expected_ratio)
    ) as finding
from candidate.marts.rpt_destination_shares
inner join newest using (source_code, concept_code, scope_code, reporter_code, month)
where is_unusual
order by abs(ln(value_to_expected_ratio)) desc, finding;

create table anchors as
select
    anchor_code,
    source_code,
    concept_code,
    reporter_code,
    severity,
    is_superseded,
    outcome,
    holds_in_simulation or not getvariable('is_simulated') as counts_here,
    concat(
        anchor_code, ' (', title_en, ', ', concept_code, '): published ',
        case unit_code
            when 'eur' then format('{:.0f} mln euro', published_value / 1e6)
            else format('{:.4g}', published_value)
        end,
        ' (', source, '), here ',
        case unit_code
            when 'eur' then format('{:.0f} mln euro', warehouse_value / 1e6)
            else format('{:.4g}', warehouse_value)
        end,
        format(', {:+.1f} %', difference_pct),
        coalesce(format('; at most {:g} %', tolerance_pct), format('; {:g} to {:g}', lower_value, upper_value))
    ) as finding
from candidate.ops.anchors;

create table identities as
select
    identity_code,
    'CBS' as source_code,
    concept_code,
    reporter_code,
    is_kept,
    concat(
        concept_code, ', ', flow_kind, ', product ', product_code, ', ', period_type, ' of ', period_start,
        format(
            ': parts {:.0f} mln euro, total {:.0f}; rounding explains {:.1f}',
            parts_eur / 1e6, whole_eur / 1e6, rounding_bound_eur / 1e6
        )
    ) as finding
from candidate.intermediate.int_total_identities;
