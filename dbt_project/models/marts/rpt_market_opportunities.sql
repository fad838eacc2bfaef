{# Growth of a smaller market is unreliable; it is listed without a score. #}
{% set least_market_eur = 1000000 %}

with positions as (
    select * from {{ ref('rpt_eu_peer_position') }}
),

agreements as (
    select * from {{ ref('dim_trade_agreement') }}
),

statuses as (
    select * from {{ ref('agreement_status_access') }}
),

eu_members as (
    select * from {{ ref('country_groups') }}
    where group_code = 'EU'
),

market_months as (
    select distinct
        destination_code,
        month
    from positions
),

-- The widest access on the last day of the month; ties by code.
access as (
    select
        market_months.destination_code,
        market_months.month,
        agreements.agreement_code,
        agreements.agreement_name_en,
        agreements.status as agreement_status,
        statuses.access_score
    from market_months
    inner join agreements
        on
            market_months.destination_code = agreements.country_code
            and last_day(market_months.month) >= agreements.valid_from
            and (agreements.valid_to is null or last_day(market_months.month) <= agreements.valid_to)
    inner join statuses on agreements.status = statuses.status
    qualify row_number() over (
        partition by market_months.destination_code, market_months.month
        order by statuses.access_score desc, agreements.agreement_code asc
    ) = 1
),

markets as (
    select
        positions.*,
        eu_members.country_code is not null as is_eu_member,
        {{ growth_pct('positions.eu_value_r12_eur', 'positions.eu_value_r12_before_eur') }} as eu_growth_pct,
        access.agreement_code,
        access.agreement_name_en,
        case
            when eu_members.country_code is not null then 'single_market'
            else coalesce(access.agreement_status, 'none')
        end as access_status,
        case when eu_members.country_code is not null then 1.0 else coalesce(access.access_score, 0) end as access_score
    from positions
    left join access
        on
            {{ same('positions', 'access', ['destination_code', 'month']) }}
    left join eu_members
        on
            positions.destination_code = eu_members.country_code
            and positions.month >= eu_members.valid_from
            and (eu_members.valid_to is null or positions.month <= eu_members.valid_to)
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
    where eu_growth_pct is not null and eu_value_r12_eur >= {{ least_market_eur }}
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
    scored.size_score,
    scored.growth_score,
    scored.gap_score,
    cast(unrealised.access_score as double) as access_score,
    (scored.size_score + scored.growth_score + scored.gap_score + unrealised.access_score) / 4 as opportunity_score,
    unrealised.vintage_at
from unrealised
left join scored
    on
        {{ same('unrealised', 'scored', [
            'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
        ]) }}
