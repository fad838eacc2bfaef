with market_shares as (
    select * from {{ ref('int_market_shares') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

-- The fixed list of markets that an office can publish; needed for the normalised index and the extensive margin.
market_lists as (
    select
        'CBS' as source_code,
        count(cbs_code) as n_markets
    from countries
    union all
    select
        'EUROSTAT' as source_code,
        count(comext_code) as n_markets
    from countries
),

-- Ordered sums of doubles, so that two runs over the same data give the same last digit.
summed as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        basis,
        cast(count(*) as integer) as n_active_markets,
        any_value(identified_eur) as identified_eur,
        any_value(total_eur) as total_eur,
        sum(market_share * market_share order by market_rank) as hhi,
        -sum(market_share * ln(market_share) order by market_rank) as entropy,
        sum(market_share order by market_rank) filter (where market_rank <= 1) as top_1_share,
        sum(market_share order by market_rank) filter (where market_rank <= 3) as top_3_share,
        sum(market_share order by market_rank) filter (where market_rank <= 5) as top_5_share,
        sum(market_share order by market_rank) filter (where market_rank <= 10) as top_10_share,
        max(vintage_at) as vintage_at
    from market_shares
    group by all
)

select
    summed.source_code,
    summed.concept_code,
    summed.scope_code,
    summed.reporter_code,
    summed.month,
    summed.basis,
    summed.n_active_markets,
    cast(market_lists.n_markets as integer) as n_markets,
    {{ ratio('summed.identified_eur', 'summed.total_eur') }} as coverage_share,
    summed.hhi,
    case
        when summed.n_active_markets > 1
            then (summed.hhi - 1.0 / summed.n_active_markets) / (1 - 1.0 / summed.n_active_markets)
    end as hhi_normalised,
    1 / summed.hhi as equivalent_markets,
    ln(market_lists.n_markets) - summed.entropy as theil,
    ln(summed.n_active_markets) - summed.entropy as theil_within,
    ln(cast(market_lists.n_markets as double) / summed.n_active_markets) as theil_between,
    summed.top_1_share,
    summed.top_3_share,
    summed.top_5_share,
    summed.top_10_share,
    summed.vintage_at
from summed
inner join market_lists on summed.source_code = market_lists.source_code
