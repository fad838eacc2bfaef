-- Goods of a scope by destination over 12 months, and over the 12 months a year before: what market shares by product
-- are made of. Identified countries only. Grain: source, concept, scope, reporter, destination, item, month.
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

-- Months whose own 12 months and those of a year before are complete and hold the same goods.
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

-- On a calendar without gaps, so that sums are there in months without trade. Heavy steps compare numbers, not texts.
calendar as (
    select
        series.series_no,
        counted.month,
        counted.has_two_years,
        items.value_eur
    from series
    inner join counted
        on
            {{ same('series', 'counted', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
    left join items
        on
            {{ same('series', 'items', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'item_code'
            ]) }}
            and counted.month = items.month
),

summed as (
    select
        series_no,
        month,
        has_two_years,
        sum(value_eur) over (
            partition by series_no
            order by month range between interval 11 months preceding and current row
        ) as value_r12_eur,
        sum(value_eur) over (
            partition by series_no
            order by month range between interval 23 months preceding and interval 12 months preceding
        ) as value_r12_before_eur
    from calendar
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
where
    summed.has_two_years
    and (summed.value_r12_eur is not null or summed.value_r12_before_eur is not null)
