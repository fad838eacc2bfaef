-- Eurostat's classification of a CN8 code in a month, from the newest load that covers it. Grain: product, month.
with changes as (
    select * from {{ ref('stg_landing__bulk_changes') }}
    -- Whole-year files (`YYYY52`) repeat their months.
    where period_code not like '____52'
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

dated as (
    select
        changes.*,
        loads.vintage_at,
        loads.retrieved_at
    from changes
    inner join loads on changes.load_id = loads.load_id
),

-- A published code: the newest load counts.
shown as (
    select * from dated
    where masked_class_code is null and change_kind != 'withdrawn'
    qualify rank() over (
        partition by office_product_code, period_code
        order by vintage_at desc, retrieved_at desc, load_id desc
    ) = 1
),

-- A masked code has one row per class behind it, and a load brings only changed rows: take the newest of each.
masked as (
    select * from dated
    where masked_class_code is not null
    qualify row_number() over (
        partition by
            reporter_code, partner_code, trade_type_code, office_product_code, masked_class_code, flow_code,
            stat_procedure_code, supplementary_unit_code, period_code
        order by vintage_at desc, retrieved_at desc, load_id desc
    ) = 1
),

in_force as (
    select * from shown
    union all
    select * from masked
    where change_kind != 'withdrawn'
),

stated as (
    select
        load_id,
        office_product_code as product_code,
        cast(strptime(period_code, '%Y%m') as date) as month,
        -- A class of only X is null.
        {{ stated_class('sitc_code') }} as sitc_code,
        {{ stated_class('cpa21_code') }} as cpa21_code,
        {{ stated_class('cpa22_code') }} as cpa22_code,
        {{ stated_class('bec_code') }} as bec_code,
        {{ stated_class('bec5_code') }} as bec5_code,
        {{ stated_class('section_code') }} as section_code
    from in_force
)

select
    product_code,
    month,
    -- A masked code can cover goods of several classes: its class is then null.
    {{ only_class('sitc_code') }} as sitc_code,
    {{ only_class('cpa21_code') }} as cpa21_code,
    {{ only_class('cpa22_code') }} as cpa22_code,
    {{ only_class('bec_code') }} as bec_code,
    {{ only_class('bec5_code') }} as bec5_code,
    {{ only_class('section_code') }} as section_code,
    max(load_id) as load_id
from stated
group by product_code, month
