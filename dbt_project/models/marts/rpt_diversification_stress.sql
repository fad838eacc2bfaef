{# Falls of the largest markets, per cent; the last is the loss of the market. #}
{% set shocks = [10, 25, 50, 100] %}
{% set largest = 10 %}
{# Window of the risk estimate: three years. #}
{% set window_months = 36 %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
    where destination_kind = 'country'
),

market_shares as (
    select * from {{ ref('int_market_shares') }}
    where basis = 'r12'
),

concentrations as (
    select * from {{ ref('rpt_market_concentration') }}
    where basis = 'r12'
),

portfolios as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        hhi,
        1 - top_{{ largest }}_share as rest_weight,
        row_number() over (order by source_code, concept_code, scope_code, reporter_code, month) as portfolio_no
    from concentrations
),

large_markets as (
    select
        market_shares.source_code,
        market_shares.concept_code,
        market_shares.scope_code,
        market_shares.reporter_code,
        market_shares.month,
        market_shares.destination_code,
        market_shares.value_eur as value_r12_eur,
        market_shares.identified_eur,
        market_shares.market_share as weight,
        market_shares.market_rank,
        market_shares.vintage_at,
        portfolios.portfolio_no,
        portfolios.hhi,
        portfolios.rest_weight
    from market_shares
    inner join portfolios
        on
            {{ same('market_shares', 'portfolios', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
    where market_shares.market_rank <= {{ largest }}
),

-- Exports to each country and to all of them, in months with shares.
monthly as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        months.month,
        months.value_eur
    from months
    inner join countries on months.destination_code = countries.country_code
    where months.is_complete and months.value_eur is not null
    union all by name
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        'all' as destination_code,
        months.month,
        sum(months.value_eur) as value_eur
    from months
    inner join countries on months.destination_code = countries.country_code
    where months.is_complete
    group by all
),

-- Over three months, and over the same three a year earlier. Heavy steps compare one integer, not four texts.
quarters as (
    select
        dense_rank() over (order by source_code, concept_code, scope_code, reporter_code) as series_no,
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month,
        case when count(value_eur) over this_quarter = 3 then sum(value_eur) over this_quarter end as r3m_eur,
        case when count(value_eur) over year_before = 3 then sum(value_eur) over year_before end as r3m_before_eur
    from monthly
    window
        this_quarter as (
            partition by source_code, concept_code, scope_code, reporter_code, destination_code
            order by month range between interval 2 months preceding and current row
        ),
        year_before as (
            partition by source_code, concept_code, scope_code, reporter_code, destination_code
            order by month range between interval 14 months preceding and interval 12 months preceding
        )
),

series as (
    select distinct
        series_no,
        source_code,
        concept_code,
        scope_code,
        reporter_code
    from quarters
),

numbered_markets as (
    select
        large_markets.portfolio_no,
        series.series_no,
        large_markets.destination_code,
        large_markets.month,
        large_markets.weight,
        large_markets.rest_weight
    from large_markets
    inner join series
        on
            {{ same('large_markets', 'series', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
),

-- Growth of each large market in the three years up to the month that sets the weights.
market_growth as (
    select
        numbered_markets.portfolio_no,
        numbered_markets.series_no,
        numbered_markets.destination_code,
        numbered_markets.weight,
        numbered_markets.rest_weight,
        quarters.month,
        quarters.r3m_eur,
        quarters.r3m_before_eur,
        ln(quarters.r3m_eur / quarters.r3m_before_eur) as log_growth
    from numbered_markets
    inner join quarters
        on
            numbered_markets.series_no = quarters.series_no
            and numbered_markets.destination_code = quarters.destination_code
            and numbered_markets.month >= quarters.month
            and numbered_markets.month - interval {{ window_months }} months < quarters.month
    where quarters.r3m_eur > 0 and quarters.r3m_before_eur > 0
),

large_growth as (
    select
        portfolio_no,
        series_no,
        rest_weight,
        month,
        count(*) as n_markets,
        sum(r3m_eur) as r3m_eur,
        sum(r3m_before_eur) as r3m_before_eur,
        sum(weight * log_growth order by destination_code) as weighted_growth
    from market_growth
    group by all
),

-- All other countries are one market. The portfolio's growth has current weights: its variance is the sum of all
-- weighted covariances.
portfolio_growth as (
    select
        large_growth.portfolio_no,
        large_growth.month,
        large_growth.weighted_growth + large_growth.rest_weight * ln(
            (quarters.r3m_eur - large_growth.r3m_eur) / (quarters.r3m_before_eur - large_growth.r3m_before_eur)
        ) as log_growth
    from large_growth
    inner join quarters
        on
            large_growth.series_no = quarters.series_no
            and large_growth.month = quarters.month
            and quarters.destination_code = 'all'
    where
        large_growth.n_markets = {{ largest }}
        and quarters.r3m_eur > large_growth.r3m_eur
        and quarters.r3m_before_eur > large_growth.r3m_before_eur
),

-- Risk requires three whole years of each market of the portfolio.
risks as (
    select
        market_growth.portfolio_no,
        market_growth.destination_code,
        var_samp(portfolio_growth.log_growth order by market_growth.month) as portfolio_variance,
        var_samp(market_growth.log_growth order by market_growth.month) as market_variance,
        covar_samp(portfolio_growth.log_growth, market_growth.log_growth order by market_growth.month) as covariance
    from market_growth
    inner join portfolio_growth
        on
            {{ same('market_growth', 'portfolio_growth', ['portfolio_no', 'month']) }}
    group by all
    having count(*) = {{ window_months }}
),

shocks as (
    select cast(unnest({{ shocks }}) as double) as shock_pct
),

stressed as (
    select
        large_markets.*,
        shocks.shock_pct,
        shocks.shock_pct / 100 * large_markets.weight as lost_weight,
        risks.portfolio_variance,
        risks.market_variance,
        risks.covariance
    from large_markets
    cross join shocks
    left join risks
        on
            {{ same('large_markets', 'risks', ['portfolio_no', 'destination_code']) }}
)

select
    stressed.source_code,
    stressed.concept_code,
    stressed.scope_code,
    stressed.reporter_code,
    stressed.month,
    stressed.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    cast(stressed.market_rank as integer) as market_rank,
    stressed.shock_pct,
    stressed.weight as market_share,
    stressed.identified_eur as identified_r12_eur,
    cast(stressed.value_r12_eur * stressed.shock_pct / 100 as decimal(38, 2)) as loss_eur,
    100 * stressed.lost_weight as loss_pct,
    stressed.hhi as hhi_before,
    -- The market weighs less, all others more.
    (stressed.hhi - stressed.weight * stressed.weight + pow(stressed.weight - stressed.lost_weight, 2))
    / pow(1 - stressed.lost_weight, 2) as hhi_after,
    100 * sqrt(stressed.portfolio_variance) as volatility_before_pct,
    -- greatest() ignores nulls and would turn an unknown risk into zero.
    case
        when stressed.portfolio_variance is not null
            then 100 * sqrt(greatest(
                0,
                stressed.portfolio_variance + pow(stressed.lost_weight, 2) * stressed.market_variance
                - 2 * stressed.lost_weight * stressed.covariance
            )) / (1 - stressed.lost_weight)
    end as volatility_after_pct,
    stressed.vintage_at
from stressed
inner join countries on stressed.destination_code = countries.country_code
where stressed.lost_weight < 1
