-- Deviation of a month's value, and of its value per kilogram, from the destination's own history. Grain: source,
-- concept, scope, reporter, destination, month.
--
-- Expected is the median of the 12 months before, or the same month a year earlier if that is closer: a season is not
-- unusual. Usual is the median deviation of the three years before. Bounds: docs/adr/0015.
{% set least_known_months = 9 %}
{% set least_deviations = 12 %}
{% set factor = 1.5 %}
{% set deviations = 8 %}
{# In series that hardly vary, any change would be unusual. #}
{% set least_spread = 0.03 %}
{# Destinations below this share of the scope's total, in the month and as expected, are too lumpy to test. #}
{% set least_share = 0.002 %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
    where is_complete
),

items as (
    select * from {{ ref('int_scope_items') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

accepted as (
    select * from {{ ref('accepted_unusual_months') }}
),

weights as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month,
        -- A weight missing for one part is unknown for the whole.
        case when count(quantity_kg) = count(*) then sum(quantity_kg) end as quantity_kg
    from items
    group by all
),

logs as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        months.month,
        months.vintage_at,
        months.value_eur,
        months.total_eur,
        scope_months.same_goods_from,
        ln(cast(months.value_eur as double)) as value_log,
        case
            when weights.quantity_kg > 0
                then ln(cast(months.value_eur as double)) - ln(cast(weights.quantity_kg as double))
        end as unit_value_log
    from months
    inner join scope_months
        on
            {{ same('months', 'scope_months', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'month'
            ]) }}
    left join weights
        on
            {{ same('months', 'weights', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
            ]) }}
    where months.value_eur > 0
),

around as (
    select
        *,
        median(value_log) over before as value_level,
        count(value_log) over before as n_values,
        any_value(value_log) over year_before as value_year_before,
        median(unit_value_log) over before as unit_value_level,
        count(unit_value_log) over before as n_unit_values,
        any_value(unit_value_log) over year_before as unit_value_year_before
    from logs
    window
        before as (
            partition by source_code, concept_code, scope_code, reporter_code, destination_code, same_goods_from
            order by month range between interval 12 months preceding and interval 1 month preceding
        ),
        year_before as (
            partition by source_code, concept_code, scope_code, reporter_code, destination_code, same_goods_from
            order by month range between interval 12 months preceding and interval 12 months preceding
        )
),

deviations as (
    select
        *,
        case
            when n_values >= {{ least_known_months }}
                then {{ nearer_deviation('value_log', 'value_level', 'value_year_before') }}
        end as value_deviation,
        case
            when n_unit_values >= {{ least_known_months }}
                then {{ nearer_deviation('unit_value_log', 'unit_value_level', 'unit_value_year_before') }}
        end as unit_value_deviation
    from around
),

spreads as (
    select
        *,
        1.4826 * median(abs(value_deviation)) over three_years as value_spread,
        count(value_deviation) over three_years as n_value_deviations,
        1.4826 * median(abs(unit_value_deviation)) over three_years as unit_value_spread,
        count(unit_value_deviation) over three_years as n_unit_value_deviations
    from deviations
    window three_years as (
        partition by source_code, concept_code, scope_code, reporter_code, destination_code, same_goods_from
        order by month range between interval 36 months preceding and interval 1 month preceding
    )
),

judged as (
    select
        *,
        case
            when n_value_deviations >= {{ least_deviations }}
                then
                    abs(value_deviation) > ln({{ factor }})
                    and abs(value_deviation) > {{ deviations }} * greatest(value_spread, {{ least_spread }})
        end as is_value_unusual,
        case
            when n_unit_value_deviations >= {{ least_deviations }}
                then
                    abs(unit_value_deviation) > ln({{ factor }})
                    and abs(unit_value_deviation)
                    > {{ deviations }} * greatest(unit_value_spread, {{ least_spread }})
        end as is_unit_value_unusual,
        greatest(cast(value_eur as double), exp(value_log - value_deviation))
        >= {{ least_share }} * cast(total_eur as double) as is_large
    from spreads
)

select
    judged.source_code,
    judged.concept_code,
    judged.scope_code,
    judged.reporter_code,
    judged.destination_code,
    judged.month,
    exp(judged.value_deviation) as value_to_expected_ratio,
    exp(judged.unit_value_deviation) as unit_value_to_expected_ratio,
    accepted.month is not null as is_accepted,
    -- Unknown without enough history.
    case
        when judged.is_value_unusual is not null
            then
                judged.is_large
                and accepted.month is null
                and (judged.is_value_unusual or coalesce(judged.is_unit_value_unusual, false))
    end as is_unusual
from judged
left join accepted
    on
        {{ same('judged', 'accepted', [
            'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
        ]) }}
        -- An acceptance for one release does not extend to the next.
        and accepted.vintage_on = cast(judged.vintage_at as date)
