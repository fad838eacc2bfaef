{# All members together, as published by Comext. #}
{% set eu = "EU27_2020" %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
    where value_r12_eur is not null
),

items as (
    select * from {{ ref('int_scope_items_r12') }}
),

countries as (
    select * from {{ ref('dim_country') }}
    where destination_kind = 'country'
),

members as (
    select * from months
    where reporter_code != '{{ eu }}'
),

peers as (
    select * exclude (reporter_code)
    from months
    where reporter_code = '{{ eu }}'
),

-- All goods of the same 12 months: the base of a scope's weight in the exports to a market.
all_goods as (
    select * from months
    where scope_code = 'all_goods'
),

-- Growth of EU exports by good and market, by good, by market, and in total.
eu_items as (
    select
        source_code,
        concept_code,
        scope_code,
        month,
        destination_code,
        item_code,
        coalesce(value_r12_eur, 0) as eur,
        coalesce(value_r12_before_eur, 0) as before_eur,
        sum(coalesce(value_r12_eur, 0)) over good as good_eur,
        sum(coalesce(value_r12_before_eur, 0)) over good as good_before_eur,
        sum(coalesce(value_r12_eur, 0)) over market as market_eur,
        sum(coalesce(value_r12_before_eur, 0)) over market as market_before_eur,
        sum(coalesce(value_r12_eur, 0)) over everything as all_eur,
        sum(coalesce(value_r12_before_eur, 0)) over everything as all_before_eur
    from items
    where reporter_code = '{{ eu }}'
    window
        good as (partition by source_code, concept_code, scope_code, month, item_code),
        market as (partition by source_code, concept_code, scope_code, month, destination_code),
        everything as (partition by source_code, concept_code, scope_code, month)
),

eu_markets as (
    select distinct
        source_code,
        concept_code,
        scope_code,
        month,
        destination_code,
        market_before_eur
    from eu_items
),

eu_growth as (
    select
        source_code,
        concept_code,
        scope_code,
        month,
        destination_code,
        item_code,
        {{ ratio('(all_eur - all_before_eur)', 'all_before_eur') }} as r,
        {{ ratio('(good_eur - good_before_eur)', 'good_before_eur') }} as r_good,
        {{ ratio('(market_eur - market_before_eur)', 'market_before_eur') }} as r_market,
        {{ ratio('(eur - before_eur)', 'before_eur') }} as r_cell
    from eu_items
),

-- Constant market shares, to the cent. The terms depend on the order, goods first or markets first: take the mean.
-- Where the EU sold nothing a year earlier, neither did the member: all of it is competitiveness.
terms as (
    select
        items.source_code,
        items.concept_code,
        items.scope_code,
        items.reporter_code,
        items.destination_code,
        items.month,
        sum(coalesce(items.value_r12_eur, 0)) as eur,
        sum(coalesce(items.value_r12_before_eur, 0)) as before_eur,
        sum(cast(coalesce(eu_growth.r * items.value_r12_before_eur, 0) as decimal(38, 2))) as growth_effect_eur,
        sum(cast(coalesce(
            (eu_growth.r_good - eu_growth.r + eu_growth.r_cell - eu_growth.r_market) / 2 * items.value_r12_before_eur, 0
        ) as decimal(38, 2))) as product_effect_eur,
        sum(cast(coalesce(
            (eu_growth.r_cell - eu_growth.r_good + eu_growth.r_market - eu_growth.r) / 2 * items.value_r12_before_eur, 0
        ) as decimal(38, 2))) as market_effect_eur
    from items
    inner join eu_growth
        on
            {{ same('items', 'eu_growth', [
                'source_code', 'concept_code', 'scope_code', 'month', 'destination_code', 'item_code'
            ]) }}
    where items.reporter_code != '{{ eu }}'
    group by all
)

select
    members.source_code,
    members.concept_code,
    members.scope_code,
    members.reporter_code,
    members.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    members.month,
    members.value_r12_eur,
    peers.value_r12_eur as eu_value_r12_eur,
    terms.before_eur as value_r12_before_eur,
    eu_markets.market_before_eur as eu_value_r12_before_eur,
    -- Secrecy and late corrections occasionally leave a member above the EU: one of the figures is wrong.
    case
        when members.value_r12_eur <= peers.value_r12_eur
            then {{ ratio('members.value_r12_eur', 'peers.value_r12_eur') }}
    end as share_in_eu_exports,
    {{ ratio('members.total_r12_eur', 'peers.total_r12_eur') }} as share_in_eu_exports_all_markets,
    case
        when terms.before_eur <= eu_markets.market_before_eur
            then {{ ratio('terms.before_eur', 'eu_markets.market_before_eur') }}
    end as share_in_eu_exports_year_before,
    {{ ratio(
        ratio('members.total_r12_eur', 'member_goods.total_r12_eur'),
        ratio('peers.total_r12_eur', 'eu_goods.total_r12_eur')
    ) }} as rca_eu,
    {{ ratio(
        ratio('members.value_r12_eur', 'member_goods.value_r12_eur'),
        ratio('peers.value_r12_eur', 'eu_goods.value_r12_eur')
    ) }} as rca_eu_in_market,
    terms.eur - terms.before_eur as change_eur,
    terms.growth_effect_eur,
    terms.product_effect_eur,
    terms.market_effect_eur,
    terms.eur - terms.before_eur - terms.growth_effect_eur - terms.product_effect_eur - terms.market_effect_eur
        as competitiveness_effect_eur,
    members.vintage_at
from members
inner join peers
    on
        {{ same('members', 'peers', [
            'source_code', 'concept_code', 'scope_code', 'destination_code', 'month', 'vintage_at'
        ]) }}
inner join countries on members.destination_code = countries.country_code
left join terms
    on
        {{ same('members', 'terms', [
            'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
        ]) }}
left join eu_markets
    on
        {{ same('members', 'eu_markets', ['source_code', 'concept_code', 'scope_code', 'destination_code', 'month']) }}
left join all_goods as member_goods
    on
        {{ same('members', 'member_goods', [
            'source_code', 'concept_code', 'reporter_code', 'destination_code', 'month'
        ]) }}
left join all_goods as eu_goods
    on
        {{ same('members', 'eu_goods', ['source_code', 'concept_code', 'destination_code', 'month']) }}
        and eu_goods.reporter_code = '{{ eu }}'
