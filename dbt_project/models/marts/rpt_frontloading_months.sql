with series as (
    select * from {{ ref('int_frontloading_series') }}
),

months as (
    select * from {{ ref('int_frontloading_months') }}
),

spreads as (
    select * from {{ ref('int_frontloading_spreads') }}
),

sums as (
    select * from {{ ref('int_frontloading_sums') }}
),

countries as (
    select * from {{ ref('dim_country') }}
)

select
    series.event_code,
    series.source_code,
    series.concept_code,
    series.scope_code,
    series.reporter_code,
    series.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    series.is_event_market,
    months.baseline_method,
    months.month,
    months.phase,
    months.is_comparable,
    months.value_eur,
    months.baseline_eur,
    single.baseline_lower_eur,
    single.baseline_upper_eur,
    months.value_eur - months.baseline_eur as excess_eur,
    case
        when months.phase != 'before_news'
            then {{ ratio('months.value_eur - months.baseline_eur', 'months.baseline_eur * spreads.residual_spread') }}
    end as z,
    since_news.value_eur - since_news.baseline_eur as cumulated_excess_eur,
    since_news.value_eur - since_news.baseline_upper_eur as cumulated_lower_eur,
    since_news.value_eur - since_news.baseline_lower_eur as cumulated_upper_eur,
    series.vintage_at
from months
inner join series on months.series_code = series.series_code
inner join countries on series.destination_code = countries.country_code
inner join spreads
    on months.series_code = spreads.series_code and months.baseline_method = spreads.baseline_method
left join sums as single
    on
        months.series_code = single.series_code
        and months.baseline_method = single.baseline_method
        and months.month = single.last_month
        and single.sum_kind = 'month'
left join sums as since_news
    on
        months.series_code = since_news.series_code
        and months.baseline_method = since_news.baseline_method
        and months.month = since_news.last_month
        and since_news.sum_kind = 'since_news'
