-- Shares of identified countries among themselves, the input of concentration and risk: an unknown rest is not one
-- market. Grain: source, concept, scope, reporter, month, basis (`month` or `r12`), destination with exports.
with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
    where destination_kind = 'country'
),

amounts as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        'month' as basis,
        destination_code,
        value_eur,
        total_eur,
        vintage_at
    from months
    where is_complete
    union all
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        month,
        'r12' as basis,
        destination_code,
        value_r12_eur as value_eur,
        total_r12_eur as total_eur,
        vintage_at
    from months
    where total_r12_eur is not null
),

identified as (
    select
        amounts.*,
        sum(amounts.value_eur) over everywhere as identified_eur,
        row_number() over (everywhere order by amounts.value_eur desc, amounts.destination_code asc) as market_rank
    from amounts
    inner join countries on amounts.destination_code = countries.country_code
    where amounts.value_eur > 0
    window everywhere as (
        partition by
            amounts.source_code, amounts.concept_code, amounts.scope_code, amounts.reporter_code, amounts.month,
            amounts.basis
    )
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    month,
    basis,
    destination_code,
    value_eur,
    identified_eur,
    total_eur,
    {{ ratio('value_eur', 'identified_eur') }} as market_share,
    market_rank,
    vintage_at
from identified
