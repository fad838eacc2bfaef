-- Unit value of a good to a destination relative to its mean of the year before, by month and by year, and whether the
-- comparison counts. Eurostat's method: unit value over the mean of the previous year, outliers dropped.
--
-- Grain: source, concept, scope, reporter, destination, item, period type, period.
{# Domain: outliers are more than 3 to 4 robust standard deviations from the median, or beyond a factor of 5. #}
{% set most_deviations = 4 %}
{% set most_factor = 5 %}
{# Fewer destinations do not establish what is usual. #}
{% set fewest_cells = 5 %}
{# A few kilograms are samples and spare parts: their unit value is not a price. #}
{% set least_kg = 100 %}

with items as (
    select * from {{ ref('int_scope_items') }}
    where value_eur > 0 and quantity_kg > 0
),

scope_months as (
    select
        *,
        -- An integer key: the heavy steps compare integers instead of text.
        dense_rank() over (order by source_code, concept_code, scope_code, reporter_code) as series_no
    from {{ ref('int_scope_months') }}
    where is_complete
),

countries as (
    select * from {{ ref('countries') }}
),

series as (
    select distinct
        series_no,
        source_code,
        concept_code,
        scope_code,
        reporter_code
    from scope_months
),

-- A year counts if each of its months is complete and covers the same goods.
whole_years as (
    select
        series_no,
        year(month) as year
    from scope_months
    where coalesce(same_goods_from <= date_trunc('year', month), true)
    group by all
    having count(*) = 12
),

monthly as (
    select
        scope_months.series_no,
        items.destination_code,
        items.item_code,
        items.month,
        year(items.month) as year,
        -- True if the year before covers the goods of the month.
        coalesce(
            scope_months.same_goods_from <= date_trunc('year', items.month) - interval 1 year, true
        ) as has_year_before,
        items.value_eur,
        items.quantity_kg
    from items
    inner join scope_months
        on
            {{ same('items', 'scope_months', ['source_code', 'concept_code', 'scope_code', 'reporter_code', 'month']) }}
    inner join countries on items.destination_code = countries.country_code
),

yearly as (
    select
        monthly.series_no,
        monthly.destination_code,
        monthly.item_code,
        monthly.year,
        sum(monthly.value_eur) as value_eur,
        sum(monthly.quantity_kg) as quantity_kg
    from monthly
    inner join whole_years
        on
            {{ same('monthly', 'whole_years', ['series_no', 'year']) }}
    group by all
),

periods as (
    select
        series_no,
        destination_code,
        item_code,
        'month' as period_type,
        month as period_start,
        year,
        value_eur,
        quantity_kg
    from monthly
    where has_year_before
    union all by name
    select
        series_no,
        destination_code,
        item_code,
        'year' as period_type,
        make_date(year, 1, 1) as period_start,
        year,
        value_eur,
        quantity_kg
    from yearly
),

compared as (
    select
        periods.*,
        yearly.value_eur as value_before_eur,
        (periods.value_eur / cast(periods.quantity_kg as double))
        / (yearly.value_eur / cast(yearly.quantity_kg as double)) as price_relative
    from periods
    inner join yearly
        on
            {{ same('periods', 'yearly', ['series_no', 'destination_code', 'item_code']) }}
            and periods.year = yearly.year + 1
    where periods.quantity_kg >= {{ least_kg }} and yearly.quantity_kg >= {{ least_kg }}
),

-- Common movement of all destinations of a good in a period, and the usual deviation from it. 1.4826 scales the median
-- absolute deviation to the standard deviation of a normal distribution.
centres as (
    select
        series_no,
        item_code,
        period_type,
        period_start,
        median(ln(price_relative)) as centre,
        1.4826 * mad(ln(price_relative)) as usual_deviation,
        count(*) as n_cells
    from compared
    group by all
)

select
    series.source_code,
    series.concept_code,
    series.scope_code,
    series.reporter_code,
    compared.destination_code,
    compared.item_code,
    compared.period_type,
    compared.period_start,
    compared.year,
    compared.value_eur,
    compared.value_before_eur,
    compared.price_relative,
    abs(ln(compared.price_relative)) > ln({{ most_factor }})
    or (
        centres.n_cells >= {{ fewest_cells }}
        and centres.usual_deviation > 0
        and abs(ln(compared.price_relative) - centres.centre) > {{ most_deviations }} * centres.usual_deviation
    ) as is_outlier
from compared
inner join centres
    on
        {{ same('compared', 'centres', ['series_no', 'item_code', 'period_type', 'period_start']) }}
inner join series on compared.series_no = series.series_no
