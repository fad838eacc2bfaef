-- The verdict is stricter than the usual rule (`is_labelled`): every market is tested, and markets unaffected by a
-- tariff often have two high months out of four. Both methods' cumulated intervals must exclude zero.
{% set high_z = 1.64 %}
{% set high_months = 2 %}
{# A market in which a 10 % excess is undetectable has no verdict, unless the excess was larger still. #}
{% set smallest_effect_pct = 10 %}
{% set horizons = [3, 6, 12] %}

with series as (
    select
        series.*,
        methods.baseline_method
    from {{ ref('int_frontloading_series') }} as series
    cross join (values ('seasonal_trend'), ('control_group')) as methods (baseline_method)
),

spreads as (
    select * from {{ ref('int_frontloading_spreads') }}
),

sums as (
    select * from {{ ref('int_frontloading_sums') }}
),

ledger as (
    select * from {{ ref('rpt_frontloading_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

in_window as (
    select
        event_code,
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        baseline_method,
        sum(greatest(excess_eur, 0) order by month) as front_loading_eur,
        count(*) filter (where z > {{ high_z }}) as n_high_months
    from ledger
    where phase = 'front_loading'
    group by all
),

windows as (
    select sums.*
    from sums
    inner join series
        on
            sums.series_code = series.series_code
            and sums.baseline_method = series.baseline_method
            and sums.last_month = series.effective_month - interval 1 month
    where sums.sum_kind = 'since_news'
),

paybacks as (
    select
        series_code,
        baseline_method,
        {% for horizon in horizons -%}
            max(baseline_eur - value_eur) filter (where n_months = {{ horizon }}) as payback_{{ horizon }}_eur,
            max(baseline_lower_eur - value_eur) filter (where n_months = {{ horizon }})
                as payback_{{ horizon }}_lower_eur,
            max(baseline_upper_eur - value_eur) filter (where n_months = {{ horizon }})
                as payback_{{ horizon }}_upper_eur,
        {% endfor -%}
        max(n_months) as n_payback_months
    from sums
    where sum_kind = 'since_effect'
    group by all
),

-- Up to the first gap.
whole as (
    select
        series_code,
        baseline_method,
        max(n_months) as n_net_months,
        arg_max(value_eur - baseline_eur, n_months) as net_eur,
        arg_max(value_eur - baseline_upper_eur, n_months) as net_lower_eur,
        arg_max(value_eur - baseline_lower_eur, n_months) as net_upper_eur
    from sums
    where sum_kind = 'since_news'
    group by all
),

measured as (
    select
        series.*,
        spreads.residual_spread,
        spreads.growth_spread,
        windows.degrees_of_freedom,
        windows.value_eur,
        windows.baseline_eur,
        windows.value_eur - windows.baseline_eur as excess_eur,
        windows.value_eur - windows.baseline_upper_eur as excess_lower_eur,
        windows.value_eur - windows.baseline_lower_eur as excess_upper_eur,
        {{ growth_pct('windows.baseline_upper_eur', 'windows.baseline_eur') }} as smallest_detectable_pct,
        in_window.front_loading_eur,
        in_window.n_high_months,
        {% for horizon in horizons -%}
            paybacks.payback_{{ horizon }}_eur,
            paybacks.payback_{{ horizon }}_lower_eur,
            paybacks.payback_{{ horizon }}_upper_eur,
        {% endfor -%}
        case series.payback_months
            {% for horizon in horizons -%}
                when {{ horizon }} then paybacks.payback_{{ horizon }}_lower_eur
            {% endfor -%}
        end as judged_payback_lower_eur,
        coalesce(paybacks.n_payback_months, 0) as n_payback_months,
        coalesce(whole.n_net_months, 0) as n_net_months,
        whole.net_eur,
        whole.net_lower_eur,
        whole.net_upper_eur
    from series
    left join spreads
        on series.series_code = spreads.series_code and series.baseline_method = spreads.baseline_method
    left join windows
        on series.series_code = windows.series_code and series.baseline_method = windows.baseline_method
    left join in_window
        on
            {{ same('series', 'in_window', [
                'event_code', 'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code',
                'baseline_method'
            ]) }}
            and windows.value_eur is not null
    left join paybacks
        on series.series_code = paybacks.series_code and series.baseline_method = paybacks.baseline_method
    left join whole
        on series.series_code = whole.series_code and series.baseline_method = whole.baseline_method
),

-- One verdict per market: neither method decides alone.
agreed as (
    select
        *,
        bool_and(coalesce(excess_lower_eur > 0, false)) over (partition by series_code) as is_front_loaded,
        bool_and(coalesce(judged_payback_lower_eur > 0, false)) over (partition by series_code) as is_paid_back,
        bool_or(smallest_detectable_pct > {{ smallest_effect_pct }}) over (partition by series_code) as is_too_noisy,
        bool_and(baseline_eur is not null) over (partition by series_code) as is_measured
    from measured
),

judged as (
    select
        *,
        case
            when missing_reason is not null or not is_measured then 'not_detectable'
            when is_front_loaded and is_paid_back then 'front_loaded_and_paid_back'
            when is_front_loaded then 'front_loaded'
            when is_too_noisy then 'not_detectable'
            else 'none_found'
        end as verdict
    from agreed
)

select
    judged.event_code,
    judged.source_code,
    judged.concept_code,
    judged.scope_code,
    judged.reporter_code,
    judged.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    judged.is_event_market,
    judged.baseline_method,
    judged.control_group,
    judged.news_month,
    judged.effective_month,
    judged.payback_months,
    judged.share_before_news,
    cast(judged.n_fit_months as integer) as n_fit_months,
    judged.residual_spread,
    judged.growth_spread,
    judged.degrees_of_freedom,
    judged.value_eur,
    judged.baseline_eur,
    judged.excess_eur,
    judged.excess_lower_eur,
    judged.excess_upper_eur,
    {{ growth_pct('judged.value_eur', 'judged.baseline_eur') }} as excess_pct,
    judged.smallest_detectable_pct,
    judged.front_loading_eur,
    100 * {{ ratio('judged.front_loading_eur', 'judged.baseline_eur') }} as front_loading_pct,
    cast(judged.n_high_months as integer) as n_high_months,
    judged.n_high_months >= {{ high_months }} or judged.excess_lower_eur > 0 as is_labelled,
    {% for horizon in horizons -%}
        judged.payback_{{ horizon }}_eur,
        judged.payback_{{ horizon }}_lower_eur,
        judged.payback_{{ horizon }}_upper_eur,
        case
            when judged.is_front_loaded
                then {{ ratio('judged.payback_' ~ horizon ~ '_eur', 'judged.front_loading_eur') }}
        end as payback_{{ horizon }}_ratio,
    {% endfor -%}
    cast(judged.n_payback_months as integer) as n_payback_months,
    judged.net_eur,
    judged.net_lower_eur,
    judged.net_upper_eur,
    cast(judged.n_net_months as integer) as n_net_months,
    judged.verdict,
    case
        when judged.missing_reason is not null then judged.missing_reason
        when not judged.is_measured then 'no_control_group'
        when judged.verdict = 'not_detectable' then 'too_noisy'
    end as verdict_reason,
    judged.vintage_at
from judged
inner join countries on judged.destination_code = countries.country_code
