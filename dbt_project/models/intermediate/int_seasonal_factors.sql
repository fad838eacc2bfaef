-- Usual ratio of a calendar month to the level of its year: median ratio of a value to its centred mean over 12 months,
-- over the last five years, with a mean of 1. Adequate for reading a curve; offices use more elaborate methods.
--
-- Grain: source, concept, scope, reporter, destination or `total`, calendar month.
{% set years = 5 %}
{# The median of two ratios is not robust to an outlier. #}
{% set fewest_ratios = 3 %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

values_eur as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        months.month,
        scope_months.same_goods_from,
        months.value_eur
    from months
    inner join scope_months
        on
            {{ same('months', 'scope_months', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
    where months.is_complete and months.value_eur > 0
    union all by name
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        'total' as destination_code,
        month,
        same_goods_from,
        total_eur as value_eur
    from scope_months
    where is_complete and total_eur > 0
),

-- Half of the first and the last of 13 months, so that each calendar month counts once.
centred as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month,
        value_eur,
        max(month) over series as newest_month,
        cast(
            2 * sum(value_eur) over year_around
            - first_value(value_eur) over year_around
            - last_value(value_eur) over year_around
            as double
        ) / 24 as level_eur,
        count(*) over year_around = 13
        and coalesce(min(same_goods_from) over year_around = max(same_goods_from) over year_around, true) as has_level
    from values_eur
    window
        series as (partition by source_code, concept_code, scope_code, reporter_code, destination_code),
        year_around as (
            partition by source_code, concept_code, scope_code, reporter_code, destination_code
            order by month range between interval 6 months preceding and interval 6 months following
        )
),

medians as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month(month) as calendar_month,
        median(cast(value_eur as double) / level_eur) as ratio
    from centred
    where has_level and month > newest_month - interval {{ years * 12 }} months
    group by all
    having count(*) >= {{ fewest_ratios }}
),

normalised as (
    select
        *,
        count(*) over series as n_months,
        avg(ratio) over series as mean_ratio
    from medians
    window series as (
        partition by source_code, concept_code, scope_code, reporter_code, destination_code
        order by calendar_month rows between unbounded preceding and unbounded following
    )
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    destination_code,
    cast(calendar_month as integer) as calendar_month,
    ratio / mean_ratio as factor
from normalised
where n_months = 12
