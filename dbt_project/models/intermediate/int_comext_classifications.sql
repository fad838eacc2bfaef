-- How Eurostat classifies a CN8 code in a month, by the newest load that says so. Grain: product, month.
with changes as (
    select * from {{ ref('stg_eurostat_comext_bulk__changes') }}
    -- Files of a whole year (`YYYY52`) repeat what their months say.
    where change_kind != 'withdrawn' and period_code not like '____52'
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

stated as (
    select distinct
        changes.load_id,
        loads.vintage_at,
        loads.retrieved_at,
        changes.office_product_code as product_code,
        strptime(changes.period_code, '%Y%m')::date as month,
        -- Nothing but X is no statement.
        {% for column in ['sitc', 'cpa21', 'cpa22', 'bec', 'bec5', 'section'] -%}
            case when trim(changes.{{ column }}_code, 'X') != '' then changes.{{ column }}_code end as {{ column }}_code
            {{- ',' if not loop.last }}
        {% endfor %}
    from changes
    inner join loads on changes.load_id = loads.load_id
),

newest as (
    select * from stated
    qualify rank() over (
        partition by product_code, month
        order by vintage_at desc, retrieved_at desc, load_id desc
    ) = 1
)

select
    product_code,
    month,
    -- A masked code can stand for goods of several classes: then it belongs to none of them.
    {% for column in ['sitc', 'cpa21', 'cpa22', 'bec', 'bec5', 'section'] -%}
        case when count(distinct coalesce({{ column }}_code, '')) = 1 then min({{ column }}_code) end
            as {{ column }}_code,
    {% endfor -%}
    any_value(load_id) as load_id
from newest
group by product_code, month
