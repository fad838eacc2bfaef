{# Growth of a smaller market is unreliable; it is listed without a score. #}
{% set least_market_eur = 1000000 %}

with positions as (
    select * from {{ ref('rpt_eu_peer_position') }}
),

access as (
    select * from {{ ref('int_market_access') }}
),

-- Access rests on three lists; the oldest decides.
policy as (
    select min(known_until) as known_until from {{ ref('dim_policy_list') }}
    where list_code in ('tariffs', 'agreements', 'sanctions')
),

markets as (
    select
        positions.*,
        {{ growth_pct('positions.eu_value_r12_eur', 'positions.eu_value_r12_before_eur') }} as eu_growth_pct,
        access.access_status = 'single_market' as is_eu_member,
        access.access_status,
        access.access_score,
        access.agreement_code,
        access.agreement_name_en,
        access.measure_event_code,
        access.measure_rate_pct
    from positions
    inner join access
        on
            {{ same('positions', 'access', ['scope_code', 'destination_code', 'month']) }}
    where positions.destination_code != positions.reporter_code
),

-- The member's usual share in EU exports; markets inside and outside the EU are compared separately.
gaps as (
    select
        *,
        {{ ratio('sum(value_r12_eur) over alike', 'sum(eu_value_r12_eur) over alike') }} as usual_share_in_eu_exports
    from markets
    window alike as (partition by source_code, concept_code, scope_code, reporter_code, month, is_eu_member)
),

unrealised as (
    select
        *,
        cast(
            greatest(usual_share_in_eu_exports - share_in_eu_exports, 0) * cast(eu_value_r12_eur as double)
            as decimal(38, 2)
        ) as gap_eur
    from gaps
),

scored as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month,
        percent_rank() over (
            partition by source_code, concept_code, scope_code, reporter_code, month order by eu_value_r12_eur
        ) as size_score,
        percent_rank() over (
            partition by source_code, concept_code, scope_code, reporter_code, month order by eu_growth_pct
        ) as growth_score,
        percent_rank() over (
            partition by source_code, concept_code, scope_code, reporter_code, month order by gap_eur
        ) as gap_score
    from unrealised
    where
        eu_growth_pct is not null
        and eu_value_r12_eur >= {{ least_market_eur }}
        and access_status != 'sanctions'
)

select
    unrealised.source_code,
    unrealised.concept_code,
    unrealised.scope_code,
    unrealised.reporter_code,
    unrealised.destination_code,
    unrealised.destination_name_en,
    unrealised.destination_name_nl,
    unrealised.month,
    unrealised.is_eu_member,
    unrealised.value_r12_eur,
    unrealised.eu_value_r12_eur,
    unrealised.eu_growth_pct,
    unrealised.share_in_eu_exports,
    unrealised.usual_share_in_eu_exports,
    unrealised.gap_eur,
    unrealised.access_status,
    unrealised.agreement_code,
    unrealised.agreement_name_en,
    unrealised.measure_event_code,
    unrealised.measure_rate_pct,
    scored.size_score,
    scored.growth_score,
    scored.gap_score,
    cast(unrealised.access_score as double) as access_score,
    (scored.size_score + scored.growth_score + scored.gap_score + unrealised.access_score) / 4 as opportunity_score,
    last_day(unrealised.month) <= policy.known_until as is_policy_known,
    unrealised.vintage_at
from unrealised
cross join policy
left join scored
    on
        {{ same('unrealised', 'scored', [
            'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
        ]) }}
