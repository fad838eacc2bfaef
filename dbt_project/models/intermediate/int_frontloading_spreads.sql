-- Deviation of a market from its baseline before the news. Grain: series of int_frontloading_series, method. Two kinds
-- of error, both in logarithms: single months deviate within a year (`residual_spread`), and a whole year deviates from
-- the one before (`growth_spread`), because the market grew or shrank on its own.
{# 36 months less 3 years and 11 seasons: 22. 24 months less 2 years: also 22. #}
{% set residual_divisor = 22 %}
{#
    The two years of the control method share the year between them: their errors are correlated by -1/2 and are worth
    22 / (1 + 1/4) degrees of freedom.
#}
{% set control_degrees = 17 %}

with months as (
    select * from {{ ref('int_frontloading_months') }}
    where phase = 'before_news'
),

years as (
    select
        series_code,
        baseline_method,
        year_no,
        sum(value_eur) as year_eur,
        sum(log_residual order by month) / count(*) as mean_residual
    from months
    group by all
),

growths as (
    select
        series_code,
        baseline_method,
        year_no,
        mean_residual,
        case baseline_method
            when 'control_group' then mean_residual
            else ln({{ ratio(
                'year_eur', 'lag(year_eur) over (partition by series_code, baseline_method order by year_no)'
            ) }})
        end as growth
    from years
),

growth_spreads as (
    select
        series_code,
        baseline_method,
        -- Around zero, not their mean: the baseline expects no growth beyond that of its level or its control.
        sqrt(sum(growth * growth order by year_no) / count(growth)) as growth_spread,
        count(growth) as growth_degrees
    from growths
    group by all
),

strayed as (
    select
        months.series_code,
        months.baseline_method,
        months.month,
        months.log_residual
        - case months.baseline_method when 'control_group' then growths.mean_residual else 0 end as residual
    from months
    inner join growths
        on
            months.series_code = growths.series_code
            and months.baseline_method = growths.baseline_method
            and months.year_no = growths.year_no
),

residual_spreads as (
    select
        series_code,
        baseline_method,
        sqrt(sum(residual * residual order by month) / {{ residual_divisor }}) as residual_spread,
        case baseline_method when 'control_group' then {{ control_degrees }} else {{ residual_divisor }} end
            as residual_degrees
    from strayed
    group by all
)

select
    residual_spreads.series_code,
    residual_spreads.baseline_method,
    residual_spreads.residual_spread,
    residual_spreads.residual_degrees,
    growth_spreads.growth_spread,
    cast(growth_spreads.growth_degrees as integer) as growth_degrees
from residual_spreads
inner join growth_spreads
    on
        residual_spreads.series_code = growth_spreads.series_code
        and residual_spreads.baseline_method = growth_spreads.baseline_method
