-- Exports and baseline summed over ranges of months, with the 95 % interval of the baseline.
--
-- Grain: series of int_frontloading_series, baseline method, sum kind, last month. A range is one month, or runs from
-- the news or from the month in which the tariff applies; it has a row if each of its months has a figure.
--
-- The error of a sum is the sum of the covariances of its months, in logarithms around the baseline: residual_spread^2
-- x (1 for a month with itself + the part that two months share because they are based on the same calendar month
-- before the news) + growth_spread^2 x the years that both lie ahead. The spreads are estimates, so the interval uses
-- Student's t, with degrees of freedom after Satterthwaite (1946).
with series as (
    select * from {{ ref('int_frontloading_series') }}
),

spreads as (
    select * from {{ ref('int_frontloading_spreads') }}
),

quantiles as (
    select * from {{ ref('t_quantiles') }}
),

months as (
    select * from {{ ref('int_frontloading_months') }}
    where phase != 'before_news' and value_eur is not null and baseline_eur is not null
),

stretches as (
    select
        series_code,
        baseline_method,
        'month' as sum_kind,
        month as first_month,
        month as last_month
    from months
    union all
    select
        months.series_code,
        months.baseline_method,
        'since_news' as sum_kind,
        series.news_month as first_month,
        months.month as last_month
    from months
    inner join series on months.series_code = series.series_code
    union all
    select
        months.series_code,
        months.baseline_method,
        'since_effect' as sum_kind,
        series.effective_month as first_month,
        months.month as last_month
    from months
    inner join series on months.series_code = series.series_code
    where months.month >= series.effective_month
),

amounts as (
    select
        stretches.series_code,
        stretches.baseline_method,
        stretches.sum_kind,
        stretches.first_month,
        stretches.last_month,
        count(*) as n_months,
        sum(months.value_eur) as value_eur,
        sum(months.baseline_eur order by months.month) as baseline_eur
    from stretches
    inner join months
        on
            stretches.series_code = months.series_code
            and stretches.baseline_method = months.baseline_method
            and months.month between stretches.first_month and stretches.last_month
    group by all
    having count(*) = datediff('month', stretches.first_month, stretches.last_month) + 1
),

-- Each month with itself and with those before it, which count twice: a sum over all pairs.
pairs as (
    select
        one.series_code,
        one.baseline_method,
        one.month as one_month,
        other.month as other_month,
        case when one.month = other.month then 1 else 2 end * one.baseline_eur * other.baseline_eur as product_eur2,
        case when one.month = other.month then 1 else 0 end
        + case
            when one.season_no != other.season_no then 0
            -- The mean of three years is off by the same amount in both.
            when one.baseline_method = 'seasonal_trend' then 1.0 / 3
            -- Both are based on one month: half of the variance of a yearly change. A month's own is in the spread.
            when one.month != other.month then 0.5
            else 0
        end as shared_noise,
        least(one.year_no, other.year_no) - 3 as shared_years
    from months as one
    inner join months as other
        on
            one.series_code = other.series_code
            and one.baseline_method = other.baseline_method
            and one.month >= other.month
),

-- What the last month of a range adds to it: ranges that begin together grow month by month.
additions as (
    select
        stretches.series_code,
        stretches.baseline_method,
        stretches.sum_kind,
        stretches.first_month,
        stretches.last_month,
        sum(pairs.product_eur2 * pairs.shared_noise order by pairs.other_month) as noise_eur2,
        sum(pairs.product_eur2 * pairs.shared_years order by pairs.other_month) as growth_eur2
    from stretches
    inner join pairs
        on
            stretches.series_code = pairs.series_code
            and stretches.baseline_method = pairs.baseline_method
            and stretches.last_month = pairs.one_month
            and stretches.first_month <= pairs.other_month
    group by all
),

added_up as (
    select
        series_code,
        baseline_method,
        sum_kind,
        last_month,
        sum(noise_eur2) over so_far as noise_eur2,
        sum(growth_eur2) over so_far as growth_eur2
    from additions
    window so_far as (partition by series_code, baseline_method, sum_kind, first_month order by last_month)
),

variances as (
    select
        amounts.*,
        spreads.residual_degrees,
        spreads.growth_degrees,
        pow(spreads.residual_spread, 2) * added_up.noise_eur2 / pow(amounts.baseline_eur, 2) as noise_variance,
        pow(spreads.growth_spread, 2) * added_up.growth_eur2 / pow(amounts.baseline_eur, 2) as growth_variance
    from amounts
    inner join added_up
        on
            {{ same('amounts', 'added_up', ['series_code', 'baseline_method', 'sum_kind', 'last_month']) }}
    inner join spreads
        on amounts.series_code = spreads.series_code and amounts.baseline_method = spreads.baseline_method
),

-- Rounded down: fewer degrees of freedom give the wider interval. Irrelevant for a series without noise.
measured as (
    select
        *,
        sqrt(noise_variance + growth_variance) as relative_error,
        cast(
            greatest(
                1,
                floor(
                    pow(noise_variance + growth_variance, 2)
                    / nullif(
                        pow(noise_variance, 2) / residual_degrees + pow(growth_variance, 2) / growth_degrees, 0
                    )
                    + 1e-9
                )
            ) as integer
        ) as degrees_of_freedom
    from variances
)

select
    measured.series_code,
    measured.baseline_method,
    measured.sum_kind,
    measured.first_month,
    measured.last_month,
    cast(measured.n_months as integer) as n_months,
    measured.value_eur,
    measured.baseline_eur,
    measured.baseline_eur * exp(-quantiles.quantile_975 * measured.relative_error) as baseline_lower_eur,
    measured.baseline_eur * exp(quantiles.quantile_975 * measured.relative_error) as baseline_upper_eur,
    measured.relative_error,
    measured.degrees_of_freedom
from measured
inner join quantiles on measured.degrees_of_freedom = quantiles.degrees_of_freedom
