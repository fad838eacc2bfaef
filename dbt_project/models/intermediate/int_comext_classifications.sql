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
        cast(strptime(changes.period_code, '%Y%m') as date) as month,
        -- Nothing but X is no statement.
        {{ stated_class('changes.sitc_code') }} as sitc_code,
        {{ stated_class('changes.cpa21_code') }} as cpa21_code,
        {{ stated_class('changes.cpa22_code') }} as cpa22_code,
        {{ stated_class('changes.bec_code') }} as bec_code,
        {{ stated_class('changes.bec5_code') }} as bec5_code,
        {{ stated_class('changes.section_code') }} as section_code
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
    {{ only_class('sitc_code') }} as sitc_code,
    {{ only_class('cpa21_code') }} as cpa21_code,
    {{ only_class('cpa22_code') }} as cpa22_code,
    {{ only_class('bec_code') }} as bec_code,
    {{ only_class('bec5_code') }} as bec5_code,
    {{ only_class('section_code') }} as section_code,
    any_value(load_id) as load_id
from newest
group by product_code, month
