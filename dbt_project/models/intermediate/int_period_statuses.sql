-- Revision status that a load gives its periods. Grain: dataset, load, period type, period.
with panels as (
    select * from {{ ref('int_panels_in_force') }}
),

measure_meanings as (
    select * from {{ ref('office_measures') }}
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
    where dataset_code in (select measure_meanings.dataset_code from measure_meanings)
),

periods as (
    select
        loads.dataset_code,
        listed.*
    from {{ ref('stg_landing__periods') }} as listed
    inner join loads on listed.load_id = loads.load_id
    where {{ is_month('listed.period_code') }} or listed.period_code like '____JJ__'
),

eurostat_months as (
    select distinct
        dataset_code,
        confirming_load_id,
        confirmed_at,
        month
    from panels
    where starts_with(dataset_code, 'eurostat_') and valid_to is null
)

select
    dataset_code,
    load_id,
    case when {{ is_month('period_code') }} then 'month' else 'year' end as period_type,
    {{ first_day_of('period_code') }} as period_start,
    -- The current year's JJ code is the sum of the months so far; its title is then more than the year.
    {{ is_month('period_code') }} or trim(period_title) = period_code[1:4] as is_complete_period,
    case period_status
        when 'Definitief' then 'final'
        when 'NaderVoorlopig' then 'revised_provisional'
        when 'Voorlopig' then 'provisional'
    end as status_code
from periods
union all
select
    dataset_code,
    confirming_load_id as load_id,
    'month' as period_type,
    month as period_start,
    true as is_complete_period,
    -- Comext has no flag. Users quote Eurostat that data are preliminary until October of the following year; that is
    -- unverified.
    case
        when confirmed_at >= make_timestamp(year(month) + 1, 10, 1, 0, 0, 0) then 'final'
        else 'provisional'
    end as status_code
from eurostat_months
