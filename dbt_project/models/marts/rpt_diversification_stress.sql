{# How deep the largest markets fall, in per cent; the last one is a market that is lost. #}
{% set shocks = [10, 25, 50, 100] %}
{% set largest = 10 %}
{# Risk is measured over three years. #}
{% set window_months = 36 %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
    where destination_kind = 'country'
),

-- Weights of identified countries over 12 months.
weighted as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.month,
        months.destination_code,
        months.value_r12_eur,
        months.vintage_at,
        sum(months.value_r12_eur) over everywhere as identified_eur,
        {{ ratio('months.value_r12_eur', 'sum(months.value_r12_eur) over everywhere') }} as weight,
        row_number() over (
            partition by
                months.source_code, months.concept_code, months.scope_code, months.reporter_code, months.month
            order by months.value_r12_eur desc, months.destination_code asc
        ) as market_rank
    from months
    inner join countries on months.destination_code = countries.country_code
    where months.value_r12_eur > 0
    window everywhere as (
        partition by months.source_code, months.concept_code, months.scope_code, months.reporter_code, months.month
    )
),

portfolios as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        sum(weight * weight order by market_rank) as hhi,
        1 - sum(weight order by market_rank) filter (where market_rank <= {{ largest }}) as rest_weight
    from weighted
    group by all
),

large_markets as (
    select * from weighted
    where market_rank <= {{ largest }}
),

-- Exports over three months, by market and to all identified countries.
quarters as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.month,
        months.destination_code,
        case when count(months.value_eur) over last_three = 3 then sum(months.value_eur) over last_three end as r3m_eur
    from months
    inner join countries on months.destination_code = countries.country_code
    where months.is_complete
    window last_three as (
        partition by
            months.source_code, months.concept_code, months.scope_code, months.reporter_code, months.destination_code
        order by months.month range between interval 2 months preceding and current row
    )
),

all_by_month as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.month,
        sum(months.value_eur) as value_eur
    from months
    inner join countries on months.destination_code = countries.country_code
    where months.is_complete
    group by all
),

all_quarters as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        case when count(value_eur) over last_three = 3 then sum(value_eur) over last_three end as r3m_eur
    from all_by_month
    window last_three as (
        partition by source_code, concept_code, scope_code, reporter_code
        order by month range between interval 2 months preceding and current row
    )
),

-- The three years before each month and the year before them, for growth on a year earlier.
past_months as (
    select
        portfolios.source_code,
        portfolios.concept_code,
        portfolios.scope_code,
        portfolios.reporter_code,
        portfolios.month as as_of_month,
        all_quarters.month,
        all_quarters.r3m_eur
    from portfolios
    inner join all_quarters
        on
            portfolios.source_code = all_quarters.source_code
            and portfolios.concept_code = all_quarters.concept_code
            and portfolios.scope_code = all_quarters.scope_code
            and portfolios.reporter_code = all_quarters.reporter_code
            and portfolios.month >= all_quarters.month
            and all_quarters.month > portfolios.month - interval {{ window_months + 12 }} months
),

large_sums as (
    select
        large_markets.source_code,
        large_markets.concept_code,
        large_markets.scope_code,
        large_markets.reporter_code,
        large_markets.month as as_of_month,
        quarters.month,
        sum(quarters.r3m_eur) as r3m_eur
    from large_markets
    inner join quarters
        on
            {{ same('large_markets', 'quarters', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
    group by all
),

market_past as (
    select
        past_months.source_code,
        past_months.concept_code,
        past_months.scope_code,
        past_months.reporter_code,
        past_months.as_of_month,
        past_months.month,
        large_markets.destination_code,
        large_markets.weight,
        quarters.r3m_eur
    from past_months
    inner join large_markets
        on
            past_months.source_code = large_markets.source_code
            and past_months.concept_code = large_markets.concept_code
            and past_months.scope_code = large_markets.scope_code
            and past_months.reporter_code = large_markets.reporter_code
            and past_months.as_of_month = large_markets.month
    left join quarters
        on
            past_months.source_code = quarters.source_code
            and past_months.concept_code = quarters.concept_code
            and past_months.scope_code = quarters.scope_code
            and past_months.reporter_code = quarters.reporter_code
            and past_months.month = quarters.month
            and large_markets.destination_code = quarters.destination_code
    union all by name
    -- All other countries are one market.
    select
        past_months.source_code,
        past_months.concept_code,
        past_months.scope_code,
        past_months.reporter_code,
        past_months.as_of_month,
        past_months.month,
        'rest' as destination_code,
        portfolios.rest_weight as weight,
        past_months.r3m_eur - large_sums.r3m_eur as r3m_eur
    from past_months
    inner join portfolios
        on
            past_months.source_code = portfolios.source_code
            and past_months.concept_code = portfolios.concept_code
            and past_months.scope_code = portfolios.scope_code
            and past_months.reporter_code = portfolios.reporter_code
            and past_months.as_of_month = portfolios.month
    inner join large_sums
        on
            past_months.source_code = large_sums.source_code
            and past_months.concept_code = large_sums.concept_code
            and past_months.scope_code = large_sums.scope_code
            and past_months.reporter_code = large_sums.reporter_code
            and past_months.as_of_month = large_sums.as_of_month
            and past_months.month = large_sums.month
),

growth as (
    select
        this.source_code,
        this.concept_code,
        this.scope_code,
        this.reporter_code,
        this.as_of_month,
        this.month,
        this.destination_code,
        this.weight,
        ln(this.r3m_eur / before.r3m_eur) as log_growth
    from market_past as this
    inner join market_past as before
        on
            this.source_code = before.source_code
            and this.concept_code = before.concept_code
            and this.scope_code = before.scope_code
            and this.reporter_code = before.reporter_code
            and this.as_of_month = before.as_of_month
            and this.destination_code = before.destination_code
            and this.month = before.month + interval 1 year
    where this.r3m_eur > 0 and before.r3m_eur > 0
),

-- Growth of the portfolio with the weights of today. Its variance is the sum of all weighted covariances.
portfolio_growth as (
    select
        *,
        sum(weight * log_growth) over (
            partition by source_code, concept_code, scope_code, reporter_code, as_of_month, month
            order by destination_code rows between unbounded preceding and unbounded following
        ) as portfolio_log_growth
    from growth
),

risks as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        as_of_month,
        destination_code,
        count(*) as n_months,
        var_samp(portfolio_log_growth order by month) as portfolio_variance,
        var_samp(log_growth order by month) as market_variance,
        covar_samp(portfolio_log_growth, log_growth order by month) as covariance
    from portfolio_growth
    group by all
),

-- Three whole years of each market of the portfolio, or no figure of risk.
whole_portfolios as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        as_of_month
    from risks
    group by all
    having min(n_months) = {{ window_months }} and count(*) = {{ largest + 1 }}
),

shocks as (
    select cast(unnest({{ shocks }}) as double) as shock_pct
),

stressed as (
    select
        large_markets.*,
        shocks.shock_pct,
        shocks.shock_pct / 100 * large_markets.weight as lost_weight,
        portfolios.hhi,
        risks.portfolio_variance,
        risks.market_variance,
        risks.covariance
    from large_markets
    cross join shocks
    inner join portfolios
        on
            {{ same('large_markets', 'portfolios', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
    left join whole_portfolios
        on
            large_markets.source_code = whole_portfolios.source_code
            and large_markets.concept_code = whole_portfolios.concept_code
            and large_markets.scope_code = whole_portfolios.scope_code
            and large_markets.reporter_code = whole_portfolios.reporter_code
            and large_markets.month = whole_portfolios.as_of_month
    left join risks
        on
            whole_portfolios.source_code = risks.source_code
            and whole_portfolios.concept_code = risks.concept_code
            and whole_portfolios.scope_code = risks.scope_code
            and whole_portfolios.reporter_code = risks.reporter_code
            and whole_portfolios.as_of_month = risks.as_of_month
            and large_markets.destination_code = risks.destination_code
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
    -- The market weighs less, and all others more.
    (stressed.hhi - stressed.weight * stressed.weight + pow(stressed.weight - stressed.lost_weight, 2))
    / pow(1 - stressed.lost_weight, 2) as hhi_after,
    100 * sqrt(stressed.portfolio_variance) as volatility_before_pct,
    100 * sqrt(greatest(
        0,
        stressed.portfolio_variance + pow(stressed.lost_weight, 2) * stressed.market_variance
        - 2 * stressed.lost_weight * stressed.covariance
    )) / (1 - stressed.lost_weight) as volatility_after_pct,
    stressed.vintage_at
from stressed
inner join countries on stressed.destination_code = countries.country_code
where stressed.lost_weight < 1
