-- Seasonally adjusted value, total and share of a destination. A month without shares has no total; its value is not
-- adjusted either. Grain: source, concept, scope, reporter, destination, month.
with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

seasonal_factors as (
    select * from {{ ref('int_seasonal_factors') }}
),

adjusted as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        months.month,
        {{ ratio('months.value_eur', 'seasonal_factors.factor') }} as value_sa_eur,
        {{ ratio('months.total_eur', 'total_factors.factor') }} as total_sa_eur
    from months
    inner join seasonal_factors
        on
            {{ same('months', 'seasonal_factors', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
            and month(months.month) = seasonal_factors.calendar_month
    left join seasonal_factors as total_factors
        on
            {{ same('months', 'total_factors', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
            and total_factors.destination_code = 'total'
            and month(months.month) = total_factors.calendar_month
    where months.is_complete
)

select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    destination_code,
    month,
    value_sa_eur,
    -- A ratio of two adjusted amounts; the share itself is never adjusted.
    {{ ratio('value_sa_eur', 'total_sa_eur') }} as share_sa
from adjusted
