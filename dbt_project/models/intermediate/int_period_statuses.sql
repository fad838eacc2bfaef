-- How final a load calls its periods. Grain: dataset, load, period type, period.
with panels as (
    select * from {{ ref('int_panels_in_force') }}
),

cbs_periods as (
    {% for dataset in cbs_goods_tables() %}
        select
            '{{ dataset }}' as dataset_code,
            *
        from {{ ref('stg_' ~ dataset ~ '__periods') }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}
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
    case when period_code like '____MM__' then 'month' else 'year' end as period_type,
    case
        when period_code like '____MM__'
            then make_date(cast(period_code[1:4] as integer), cast(period_code[7:8] as integer), 1)
        else make_date(cast(period_code[1:4] as integer), 1, 1)
    end as period_start,
    -- The current year's JJ code is the sum of the months so far; its title is then not just the year.
    period_code like '____MM__' or trim(period_title) = period_code[1:4] as is_complete_period,
    case period_status
        when 'Definitief' then 'final'
        when 'NaderVoorlopig' then 'revised_provisional'
        when 'Voorlopig' then 'provisional'
    end as status_code
from cbs_periods
where period_code like '____MM__' or period_code like '____JJ__'
union all
select
    dataset_code,
    confirming_load_id as load_id,
    'month' as period_type,
    month as period_start,
    true as is_complete_period,
    -- Comext has no flag. Users quote Eurostat that data are preliminary until October of the following year;
    -- that is unverified.
    case
        when confirmed_at >= make_timestamp(year(month) + 1, 10, 1, 0, 0, 0) then 'final'
        else 'provisional'
    end as status_code
from eurostat_months
