-- Goods of a scope by destination over 12 months, and over the 12 months a year earlier: the input of market shares by
-- product. Identified countries only. Grain: source, concept, scope, reporter, destination, item, month.
with items as (
    select * from {{ ref('int_scope_items') }}
    where is_published
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

countries as (
    select * from {{ ref('countries') }}
),

-- Months whose own 12 months and those a year earlier are complete and cover the same goods.
counted as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        count(total_eur) over two_years = 24
        and coalesce(same_goods_from <= month - interval 23 months, true) as has_two_years
    from scope_months
    window
        two_years as (
            partition by source_code, concept_code, scope_code, reporter_code
            order by month range between interval 23 months preceding and current row
        )
),

series as (
    select
        items.source_code,
        items.concept_code,
        items.scope_code,
        items.reporter_code,
        items.destination_code,
        items.item_code,
        row_number() over () as series_no
    from items
    inner join countries on items.destination_code = countries.country_code
    group by all
),

numbered as (
    select
        series.series_no,
        items.month,
        items.value_eur
    from items
    inner join series
        on
            {{ same('items', 'series', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'item_code'
            ]) }}
),

-- On a gap-free calendar, so that months without trade have sums too. Heavy steps compare integers instead of text.
calendar as (
    select
        series.series_no,
        counted.month,
        counted.has_two_years,
        numbered.value_eur
    from series
    inner join counted
        on
            {{ same('series', 'counted', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
    left join numbered
        on
            series.series_no = numbered.series_no
            and counted.month = numbered.month
),

running as (
    select
        series_no,
        month,
        has_two_years,
        coalesce(sum(value_eur) over so_far, 0) as value_eur,
        count(value_eur) over so_far as n_months
    from calendar
    window so_far as (partition by series_no order by month rows between unbounded preceding and current row)
),

-- With two whole years, 12 rows back is 12 months back, and 24 rows back is everything before them.
differences as (
    select
        series_no,
        month,
        has_two_years,
        value_eur - lag(value_eur, 12, 0) over history as value_r12_eur,
        n_months - lag(n_months, 12, 0) over history as n_r12,
        lag(value_eur, 12, 0) over history - lag(value_eur, 24, 0) over history as value_r12_before_eur,
        lag(n_months, 12, 0) over history - lag(n_months, 24, 0) over history as n_r12_before
    from running
    window history as (partition by series_no order by month)
),

summed as (
    select
        series_no,
        month,
        case when n_r12 > 0 then value_r12_eur end as value_r12_eur,
        case when n_r12_before > 0 then value_r12_before_eur end as value_r12_before_eur
    from differences
    where has_two_years and (n_r12 > 0 or n_r12_before > 0)
)

select
    series.source_code,
    series.concept_code,
    series.scope_code,
    series.reporter_code,
    series.destination_code,
    series.item_code,
    summed.month,
    summed.value_r12_eur,
    summed.value_r12_before_eur
from summed
inner join series on summed.series_no = series.series_no
