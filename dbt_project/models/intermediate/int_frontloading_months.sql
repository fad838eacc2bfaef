-- Expected exports to a market without the tariff, by two methods that use no data from after the news.
--
-- Grain: series of int_frontloading_series, baseline method, month. Years 1 to 3 end with the last month before the
-- news; later months carry the figures of year 3 forward, however many years ahead.
--
-- seasonal_trend: mean of the calendar month in the three years, at the level of the twelve months before the news.
-- control_group: the same month a year earlier, scaled by the change in exports to all other countries.
with series as (
    select * from {{ ref('int_frontloading_series') }}
    where is_fitted
),

countries as (
    select * from {{ ref('countries') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

exports as (
    select scope_exports.*
    from {{ ref('int_scope_exports') }} as scope_exports
    inner join countries on scope_exports.destination_code = countries.country_code
    where scope_exports.value_eur > 0
),

calendar as (
    select
        series.*,
        scope_months.month,
        {{ is_comparable('scope_months', 'series.fit_from') }} as is_comparable,
        case
            when scope_months.month < series.news_month then 'before_news'
            when scope_months.month < series.effective_month then 'front_loading'
            else 'payback'
        end as phase,
        datediff('month', series.fit_from, scope_months.month) // 12 + 1 as year_no,
        datediff('month', series.fit_from, scope_months.month) % 12 as season_no
    from series
    inner join scope_months
        on
            {{ same('series', 'scope_months', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
            and scope_months.month between series.fit_from and series.last_month
),

all_countries as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        sum(value_eur) as value_eur
    from exports
    group by all
),

valued as (
    select
        calendar.series_code,
        calendar.month,
        calendar.phase,
        calendar.year_no,
        calendar.season_no,
        calendar.is_comparable,
        case when calendar.is_comparable then own.value_eur end as value_eur,
        case
            when calendar.is_comparable
                then
                    all_countries.value_eur
                    - own.value_eur
                    - case when calendar.is_event_market then 0 else coalesce(event_market.value_eur, 0) end
        end as control_eur
    from calendar
    left join all_countries
        on
            {{ same('calendar', 'all_countries', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
    left join exports as own
        on
            {{ same('calendar', 'own', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month', 'destination_code'
            ]) }}
    left join exports as event_market
        on
            {{ same('calendar', 'event_market', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
            and calendar.market_code = event_market.destination_code
),

summed as (
    select
        *,
        sum(value_eur) filter (where year_no <= 3) over (partition by series_code, season_no) as season_eur,
        sum(value_eur) filter (where year_no <= 3) over (partition by series_code) as three_years_eur,
        case
            when year_no <= 3 then sum(value_eur) over (partition by series_code, year_no)
            else sum(value_eur) filter (where year_no = 3) over (partition by series_code)
        end as level_year_eur
    from valued
),

baselines as (
    select
        series_code,
        'seasonal_trend' as baseline_method,
        month,
        phase,
        year_no,
        season_no,
        is_comparable,
        value_eur,
        cast(season_eur as double) * {{ ratio('level_year_eur', 'three_years_eur') }} as baseline_eur
    from summed
    union all
    select
        this.series_code,
        'control_group' as baseline_method,
        this.month,
        this.phase,
        this.year_no,
        this.season_no,
        this.is_comparable,
        this.value_eur,
        cast(before.value_eur as double) * {{ ratio('this.control_eur', 'before.control_eur') }} as baseline_eur
    from valued as this
    inner join valued as before
        on
            this.series_code = before.series_code
            and this.season_no = before.season_no
            and before.year_no = least(this.year_no - 1, 3)
)

select
    series_code,
    baseline_method,
    month,
    phase,
    year_no,
    season_no,
    is_comparable,
    value_eur,
    baseline_eur,
    ln({{ ratio('value_eur', 'baseline_eur') }}) as log_residual
from baselines
