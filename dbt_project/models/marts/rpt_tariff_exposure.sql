with events as (
    select * from {{ ref('dim_tariff_event') }}
),

event_products as (
    select * from {{ ref('dim_tariff_event_product') }}
),

exports as (
    select * from {{ ref('int_exports_by_destination') }}
    where flow_kind = 'total'
),

panels as (
    select
        *,
        {{ source_of('dataset_code') }} as source_code
    from {{ ref('int_panels_in_force') }}
    where valid_to is null
),

countries as (
    select * from {{ ref('dim_country') }}
),

policy_lists as (
    select * from {{ ref('dim_policy_list') }}
    where list_code = 'tariffs'
),

measures as (
    select
        events.event_code,
        events.imposed_by_code as destination_code,
        events.rate_pct,
        events.rate_basis,
        announcements.event_date as announced_on,
        events.event_date as effective_from,
        events.effective_to,
        count(*) as n_products,
        bool_and(event_products.confidence = 'confirmed') as is_confirmed
    from events
    inner join event_products on events.event_code = event_products.event_code
    left join events as announcements on events.announced_by_event_code = announcements.event_code
    where events.event_kind = 'effective'
    group by all
),

-- Months in which all goods of a measure were requested: a sum without one of them is not the measure's.
asked as (
    select
        panels.source_code,
        event_products.event_code,
        panels.reporter_code,
        panels.month
    from panels
    inner join event_products
        on
            panels.nomenclature_code = event_products.nomenclature_code
            and panels.product_code = event_products.product_code
    inner join measures on event_products.event_code = measures.event_code
    group by all
    having count(*) = any_value(measures.n_products)
),

summed as (
    select
        exports.source_code,
        exports.concept_code,
        event_products.event_code,
        exports.reporter_code,
        exports.destination_code,
        exports.month,
        sum(event_products.sign * exports.value_eur) as value_eur,
        -- Goods taken out may belong to goods that are named only in part: the least is never below zero.
        greatest(
            0,
            coalesce(
                sum(event_products.sign * exports.value_eur) filter (
                    where event_products.coverage = 'listed' or event_products.sign = -1
                ),
                0
            )
        ) as value_lower_eur,
        max(exports.vintage_at) as vintage_at
    from exports
    inner join event_products
        on
            exports.nomenclature_code = event_products.nomenclature_code
            and exports.product_code = event_products.product_code
    inner join measures
        on
            event_products.event_code = measures.event_code
            and exports.destination_code = measures.destination_code
    group by all
),

dated as (
    select
        summed.*,
        measures.rate_pct,
        measures.rate_basis,
        measures.announced_on,
        measures.effective_from,
        measures.effective_to,
        measures.is_confirmed,
        greatest(
            0,
            least(coalesce(measures.effective_to, last_day(summed.month)), last_day(summed.month))
            - greatest(measures.effective_from, summed.month) + 1
        ) as days_in_force,
        day(last_day(summed.month)) as days_in_month
    from summed
    inner join measures on summed.event_code = measures.event_code
    inner join asked
        on
            {{ same('summed', 'asked', ['source_code', 'event_code', 'reporter_code', 'month']) }}
),

parts as (
    select
        *,
        days_in_force / days_in_month as part_in_force
    from dated
)

select
    parts.event_code,
    parts.source_code,
    parts.concept_code,
    parts.reporter_code,
    parts.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    parts.month,
    case
        when parts.days_in_force > 0 and parts.rate_pct is null then 'effective_rate_unknown'
        when parts.days_in_force > 0 then 'effective'
        when parts.month > parts.effective_to then 'expired'
        when last_day(parts.month) >= parts.announced_on then 'announced'
        else 'before'
    end as status,
    parts.announced_on,
    parts.effective_from,
    parts.effective_to,
    cast(parts.days_in_force as integer) as days_in_force,
    parts.rate_pct,
    parts.rate_basis,
    parts.value_eur,
    cast(least(parts.value_lower_eur, parts.value_eur) as decimal(38, 2)) as value_lower_eur,
    cast(parts.value_eur * parts.part_in_force as decimal(38, 2)) as value_in_force_eur,
    -- Duty at this rate on a whole month of these exports.
    cast(parts.value_eur * parts.rate_pct / 100 as decimal(38, 2)) as duty_at_rate_eur,
    -- Nothing is certain to be taxed beyond a quota, below a price, or on an unknown content.
    cast(
        case
            when parts.rate_pct is null then null
            when parts.rate_basis = 'customs_value'
                then least(parts.value_lower_eur, parts.value_eur) * parts.rate_pct / 100 * parts.part_in_force
            else least(0, parts.value_eur * parts.rate_pct / 100 * parts.part_in_force)
        end as decimal(38, 2)
    ) as duty_lower_eur,
    cast(parts.value_eur * parts.rate_pct / 100 * parts.part_in_force as decimal(38, 2)) as duty_upper_eur,
    parts.is_confirmed,
    last_day(parts.month) <= policy_lists.known_until as is_policy_known,
    parts.vintage_at
from parts
inner join countries on parts.destination_code = countries.country_code
cross join policy_lists
