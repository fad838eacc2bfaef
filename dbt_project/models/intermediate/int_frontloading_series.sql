-- Markets tested for front-loading of a tariff, and whether their figures suffice.
--
-- Grain: event, source, concept, scope, reporter, destination; `series_code` concatenates the six.
{% set fit_months = 36 %}
{% set months_after = 12 %}
{# Smaller markets are a few shipments: their months vary more than any tariff effect. #}
{% set smallest_share = 0.005 %}

with news as (
    select * from {{ ref('frontloading_events') }}
),

event_scopes as (
    select * from {{ ref('frontloading_event_scopes') }}
),

tariffs as (
    select * from {{ ref('tariff_events') }}
),

countries as (
    select * from {{ ref('countries') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

scope_exports as (
    select * from {{ ref('int_scope_exports') }}
),

-- The market is the country that imposes the tariff.
events as (
    select
        news.event_code,
        event_scopes.scope_code,
        tariffs.imposed_by_code as market_code,
        news.control_group,
        news.payback_months,
        news.news_month,
        cast(date_trunc('month', tariffs.event_date) as date) as effective_month,
        cast(news.news_month - interval {{ fit_months }} months as date) as fit_from,
        cast(date_trunc('month', tariffs.event_date) + interval {{ months_after - 1 }} months as date) as last_month
    from news
    inner join event_scopes on news.event_code = event_scopes.event_code
    inner join tariffs on news.event_code = tariffs.event_code
),

scopes as (
    select
        events.*,
        scope_months.source_code,
        scope_months.concept_code,
        scope_months.reporter_code,
        datediff('month', events.news_month, events.effective_month) as n_window_months,
        count(*) filter (where scope_months.month < events.news_month) as n_fit_known,
        count(*) filter (
            where scope_months.month < events.news_month and {{ is_comparable('scope_months', 'events.fit_from') }}
        ) as n_fit_comparable,
        count(*) filter (
            where scope_months.month >= events.news_month and scope_months.month < events.effective_month
        ) as n_window_known,
        count(*) filter (
            where
            scope_months.month >= events.news_month
            and scope_months.month < events.effective_month
            and {{ is_comparable('scope_months', 'events.fit_from') }}
        ) as n_window_comparable,
        sum(scope_months.total_eur) filter (
            where
            scope_months.month >= events.news_month - interval 12 months and scope_months.month < events.news_month
        ) as total_year_before_eur,
        max(scope_months.vintage_at) as vintage_at
    from events
    inner join scope_months
        on
            events.scope_code = scope_months.scope_code
            and scope_months.month between events.fit_from and events.last_month
    group by all
),

-- Identified countries in months with shares.
exports as (
    select scope_exports.*
    from scope_exports
    inner join countries on scope_exports.destination_code = countries.country_code
    inner join scope_months
        on
            {{ same('scope_exports', 'scope_months', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
    where scope_months.is_complete and scope_exports.value_eur > 0
),

markets as (
    select
        scopes.*,
        exports.destination_code,
        exports.destination_code = scopes.market_code as is_event_market,
        count(*) filter (where exports.month < scopes.news_month) as n_fit_months,
        count(*) filter (
            where exports.month >= scopes.news_month and exports.month < scopes.effective_month
        ) as n_window_values,
        sum(exports.value_eur) filter (
            where exports.month >= scopes.news_month - interval 12 months and exports.month < scopes.news_month
        ) as year_before_eur
    from scopes
    inner join exports
        on
            {{ same('scopes', 'exports', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
            and exports.month between scopes.fit_from and scopes.last_month
    group by all
)

select
    concat_ws(
        '|', event_code, source_code, concept_code, scope_code, reporter_code, destination_code
    ) as series_code,
    event_code,
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    destination_code,
    is_event_market,
    market_code,
    control_group,
    payback_months,
    fit_from,
    news_month,
    effective_month,
    last_month,
    n_fit_months,
    {{ ratio('year_before_eur', 'total_year_before_eur') }} as share_before_news,
    -- A month without a figure is not a month without exports: no fit across it.
    n_fit_months = {{ fit_months }} and n_fit_comparable = {{ fit_months }} as is_fitted,
    case
        when n_fit_known < {{ fit_months }} then 'too_few_months'
        when n_window_known < n_window_months then 'window_not_over'
        when n_fit_comparable < {{ fit_months }} or n_window_comparable < n_window_months then 'not_comparable'
        when n_fit_months < {{ fit_months }} or n_window_values < n_window_months then 'gaps'
    end as missing_reason,
    vintage_at
from markets
where is_event_market or {{ ratio('year_before_eur', 'total_year_before_eur') }} >= {{ smallest_share }}
