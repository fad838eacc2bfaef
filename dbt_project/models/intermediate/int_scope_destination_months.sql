-- Scope exports on a gap-free calendar, with rolling and year-to-date sums and the figures of a year earlier.
--
-- Grain: source, concept, scope, reporter, destination, month. A destination is kept in the months in which it has a
-- value, or had one in the past year.
with scope_months as (
    select * from {{ ref('int_scope_months') }}
),

scope_exports as (
    select * from {{ ref('int_scope_exports') }}
),

first_seen as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        min(month) as first_month
    from scope_exports
    group by all
),

-- Months are summed, or compared with a year earlier, only if they cover the same goods.
denominators as (
    select
        *,
        coalesce(same_goods_from <= month - interval 1 year, true) as has_year_before,
        coalesce(same_goods_from <= month - interval 23 months, true) as has_same_goods_2_years,
        sum(total_eur) over rolling as total_r12_eur,
        count(total_eur) over rolling = 12 and coalesce(same_goods_from <= month - interval 11 months, true) as has_r12,
        sum(total_eur) over this_year as total_ytd_eur,
        count(total_eur) over this_year = month(month)
        and coalesce(same_goods_from <= date_trunc('year', month), true) as has_ytd
    from scope_months
    window
        rolling as (
            partition by source_code, concept_code, scope_code, reporter_code
            order by month range between interval 11 months preceding and current row
        ),
        this_year as (
            partition by source_code, concept_code, scope_code, reporter_code, year(month)
            order by month
        )
),

calendar as (
    select
        denominators.*,
        first_seen.destination_code
    from denominators
    inner join first_seen
        on
            {{ same('denominators', 'first_seen', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
            and denominators.month >= first_seen.first_month
),

filled as (
    select
        calendar.*,
        scope_exports.value_eur,
        -- Only months with shares enter the sums.
        case when calendar.is_complete then scope_exports.value_eur end as complete_value_eur
    from calendar
    left join scope_exports
        on
            {{ same('calendar', 'scope_exports', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
            ]) }}
),

summed as (
    select
        *,
        sum(complete_value_eur) over rolling as value_r12_sum,
        sum(complete_value_eur) over this_year as value_ytd_sum
    from filled
    window
        rolling as (
            partition by source_code, concept_code, scope_code, reporter_code, destination_code
            order by month range between interval 11 months preceding and current row
        ),
        this_year as (
            partition by source_code, concept_code, scope_code, reporter_code, destination_code, year(month)
            order by month
        )
),

with_year_before as (
    select
        this.source_code,
        this.concept_code,
        this.scope_code,
        this.reporter_code,
        this.destination_code,
        this.month,
        this.is_complete,
        this.incomplete_reason,
        this.value_eur,
        this.total_eur,
        this.unallocated_eur,
        this.not_loaded_eur,
        this.not_known_taken_out_eur,
        this.rounding_unit_eur,
        this.vintage_at,
        case when this.has_r12 then this.value_r12_sum end as value_r12_eur,
        case when this.has_r12 then this.total_r12_eur end as total_r12_eur,
        case when this.has_ytd then this.value_ytd_sum end as value_ytd_eur,
        case when this.has_ytd then this.total_ytd_eur end as total_ytd_eur,
        case when this.has_year_before then before.complete_value_eur end as value_year_before_eur,
        case when this.has_r12 and this.has_same_goods_2_years and before.has_r12 then before.value_r12_sum end
            as value_r12_year_before_eur,
        this.has_year_before,
        this.has_r12 and this.has_same_goods_2_years as has_r12_year_before
    from summed as this
    left join summed as before
        on
            {{ same('this', 'before', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
            and this.month = before.month + interval 1 year
),

-- The total a year earlier belongs to the scope, not to the destination: it exists even where the destination had not
-- appeared yet.
totals_year_before as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        total_eur,
        case when has_r12 then total_r12_eur end as total_r12_eur
    from denominators
)

select
    with_year_before.* exclude (with_year_before.has_year_before, with_year_before.has_r12_year_before),
    case when with_year_before.has_year_before then totals_year_before.total_eur end as total_year_before_eur,
    case when with_year_before.has_r12_year_before then totals_year_before.total_r12_eur end
        as total_r12_year_before_eur
from with_year_before
left join totals_year_before
    on
        {{ same('with_year_before', 'totals_year_before', [
            'source_code', 'concept_code', 'scope_code', 'reporter_code'
        ]) }}
        and with_year_before.month = totals_year_before.month + interval 1 year
where
    with_year_before.value_eur is not null
    or with_year_before.value_r12_eur is not null
    or with_year_before.value_ytd_eur is not null
    or with_year_before.value_year_before_eur is not null
