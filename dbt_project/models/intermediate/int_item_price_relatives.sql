-- How the unit value of a good to a destination stands to its mean of the year before, by month and by year, and whether
-- the comparison counts. Eurostat's method: unit value over the mean of the previous year, outliers dropped.
-- Grain: source, concept, scope, reporter, destination, item, period type, period.
{# Domain: outliers are more than 3 to 4 robust standard deviations from the median, or beyond a factor of 5. #}
{% set most_deviations = 4 %}
{% set most_factor = 5 %}
{# Fewer destinations do not tell what is usual. #}
{% set fewest_cells = 5 %}
{# A few kilograms are samples and spare parts: their unit value says nothing of a price. #}
{% set least_kg = 100 %}

with items as (
    select * from {{ ref('int_scope_items') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

countries as (
    select * from {{ ref('countries') }}
),

-- A year counts where each of its months is complete and holds the same goods.
whole_years as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        year(month) as year
    from scope_months
    where is_complete and coalesce(same_goods_from <= date_trunc('year', month), true)
    group by all
    having count(*) = 12
),

monthly as (
    select
        items.source_code,
        items.concept_code,
        items.scope_code,
        items.reporter_code,
        items.destination_code,
        items.item_code,
        items.month,
        year(items.month) as year,
        scope_months.same_goods_from,
        items.value_eur,
        items.quantity_kg
    from items
    inner join scope_months
        on
            items.source_code = scope_months.source_code
            and items.concept_code = scope_months.concept_code
            and items.scope_code = scope_months.scope_code
            and items.reporter_code = scope_months.reporter_code
            and items.month = scope_months.month
    inner join countries on items.destination_code = countries.country_code
    where scope_months.is_complete and items.value_eur > 0 and items.quantity_kg > 0
),

yearly as (
    select
        monthly.source_code,
        monthly.concept_code,
        monthly.scope_code,
        monthly.reporter_code,
        monthly.destination_code,
        monthly.item_code,
        monthly.year,
        sum(monthly.value_eur) as value_eur,
        sum(monthly.quantity_kg) as quantity_kg
    from monthly
    inner join whole_years
        on
            monthly.source_code = whole_years.source_code
            and monthly.concept_code = whole_years.concept_code
            and monthly.scope_code = whole_years.scope_code
            and monthly.reporter_code = whole_years.reporter_code
            and monthly.year = whole_years.year
    group by all
),

periods as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        item_code,
        'month' as period_type,
        month as period_start,
        year,
        value_eur,
        quantity_kg
    from monthly
    -- The year before holds the goods of the month.
    where coalesce(same_goods_from <= date_trunc('year', month) - interval 1 year, true)
    union all by name
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
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
        yearly.quantity_kg as quantity_before_kg,
        (periods.value_eur / cast(periods.quantity_kg as double))
        / (yearly.value_eur / cast(yearly.quantity_kg as double)) as price_relative
    from periods
    inner join yearly
        on
            periods.source_code = yearly.source_code
            and periods.concept_code = yearly.concept_code
            and periods.scope_code = yearly.scope_code
            and periods.reporter_code = yearly.reporter_code
            and periods.destination_code = yearly.destination_code
            and periods.item_code = yearly.item_code
            and periods.year = yearly.year + 1
    where periods.quantity_kg >= {{ least_kg }} and yearly.quantity_kg >= {{ least_kg }}
),

centred as (
    select
        *,
        ln(price_relative) - median(ln(price_relative)) over alike as deviation,
        count(*) over alike as n_cells
    from compared
    window
        alike as (
            partition by source_code, concept_code, scope_code, reporter_code, item_code, period_type, period_start
        )
),

spread as (
    select
        *,
        -- 1.4826 makes the median absolute deviation the standard deviation of a normal distribution.
        1.4826 * median(abs(deviation)) over (
            partition by source_code, concept_code, scope_code, reporter_code, item_code, period_type, period_start
        ) as usual_deviation
    from centred
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    destination_code,
    item_code,
    period_type,
    period_start,
    year,
    value_eur,
    quantity_kg,
    value_before_eur,
    quantity_before_kg,
    price_relative,
    abs(ln(price_relative)) > ln({{ most_factor }})
    or (
        n_cells >= {{ fewest_cells }}
        and usual_deviation > 0
        and abs(deviation) > {{ most_deviations }} * usual_deviation
    ) as is_outlier
from spread
