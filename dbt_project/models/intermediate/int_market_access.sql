-- A market as the exporter meets it on the last day of a month: the widest agreement that lowers its duties on EU
-- goods, less the importer's own measures on goods of the scope, and what the EU forbids to export. What the EU grants
-- does not count. A country without a row in the list of agreements is unknown, not closed.
--
-- Grain: scope, destination, month.
with market_months as (
    select distinct
        scope_code,
        destination_code,
        month,
        last_day(month) as day
    from {{ ref('rpt_eu_peer_position') }}
),

scale as (
    select * from {{ ref('market_access_scale') }}
),

eu_members as (
    select * from {{ ref('country_groups') }}
    where group_code = 'EU'
),

agreements as (
    select * from {{ ref('dim_trade_agreement') }}
    where agreement_kind != 'political_framework'
),

sanctions as (
    select * from {{ ref('export_sanctions') }}
),

events as (
    select * from {{ ref('dim_tariff_event') }}
),

scope_measures as (
    select * from {{ ref('int_scope_measures') }}
),

countries as (
    select distinct
        destination_code,
        month,
        day
    from market_months
),

listed as (
    select distinct country_code from agreements
),

-- Before the first row of a listed country there was no agreement.
preferences as (
    select
        countries.destination_code,
        countries.month,
        case when agreements.agreement_kind != 'none' then agreements.agreement_code end as agreement_code,
        case when agreements.agreement_kind != 'none' then agreements.agreement_name_en end as agreement_name_en,
        case
            when agreements.status is null or agreements.status in ('no_agreement', 'replaced') then 'none'
            when agreements.status not in ('provisionally_applied', 'in_force') then agreements.status
            when countries.day < agreements.exports_from then 'deferred'
            when countries.day < agreements.exports_free_from then 'phasing_in'
            else 'preferential'
        end as access_status
    from countries
    inner join listed on countries.destination_code = listed.country_code
    left join agreements
        on
            countries.destination_code = agreements.country_code
            and countries.day >= agreements.valid_from
            and (agreements.valid_to is null or countries.day <= agreements.valid_to)
),

widest as (
    select
        preferences.*,
        scale.access_score
    from preferences
    inner join scale on preferences.access_status = scale.access_status
    qualify row_number() over (
        partition by preferences.destination_code, preferences.month
        order by scale.access_score desc, preferences.agreement_code asc
    ) = 1
),

measures as (
    select
        market_months.scope_code,
        market_months.destination_code,
        market_months.month,
        events.event_code as measure_event_code,
        events.rate_pct as measure_rate_pct,
        case when events.rate_basis in ('beyond_quota', 'below_price') then 'quota' else 'surcharge' end
            as access_status
    from market_months
    inner join events
        on
            market_months.destination_code = events.imposed_by_code
            and events.event_kind = 'effective'
            and events.rate_pct is distinct from 0
            and market_months.day >= events.event_date
            and (events.effective_to is null or market_months.day <= events.effective_to)
    inner join scope_measures
        on
            events.event_code = scope_measures.event_code
            and market_months.scope_code = scope_measures.scope_code
            and market_months.day >= scope_measures.valid_from
            and (scope_measures.valid_to is null or market_months.day <= scope_measures.valid_to)
    -- The heaviest: a surcharge before a quota, an unknown rate before a known one, the highest rate.
    qualify row_number() over (
        partition by market_months.scope_code, market_months.destination_code, market_months.month
        order by access_status desc, events.rate_pct desc nulls first, events.event_code asc
    ) = 1
),

gathered as (
    select
        market_months.scope_code,
        market_months.destination_code,
        market_months.month,
        widest.agreement_code,
        widest.agreement_name_en,
        widest.access_score as preference_score,
        measures.measure_event_code,
        measures.measure_rate_pct,
        case
            when eu_members.country_code is not null then 'single_market'
            when sanctions.country_code is not null then 'sanctions'
            -- A measure closes a market that is not already as closed without it.
            when
                measures.access_status = 'surcharge'
                or (measures.access_status = 'quota' and widest.access_score >= of_measure.access_score)
                then measures.access_status
            else coalesce(widest.access_status, 'unknown')
        end as access_status
    from market_months
    left join widest
        on
            {{ same('market_months', 'widest', ['destination_code', 'month']) }}
    left join measures
        on
            {{ same('market_months', 'measures', ['scope_code', 'destination_code', 'month']) }}
    left join scale as of_measure on measures.access_status = of_measure.access_status
    left join eu_members
        on
            market_months.destination_code = eu_members.country_code
            and market_months.month >= eu_members.valid_from
            and (eu_members.valid_to is null or market_months.month <= eu_members.valid_to)
    left join sanctions
        on
            market_months.destination_code = sanctions.country_code
            and market_months.day >= sanctions.valid_from
            and (sanctions.valid_to is null or market_months.day <= sanctions.valid_to)
)

select
    gathered.scope_code,
    gathered.destination_code,
    gathered.month,
    gathered.access_status,
    gathered.agreement_code,
    gathered.agreement_name_en,
    gathered.measure_event_code,
    gathered.measure_rate_pct,
    scale.access_score
from gathered
left join scale on gathered.access_status = scale.access_status
