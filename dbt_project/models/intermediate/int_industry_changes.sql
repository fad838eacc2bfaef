-- What the tables of industry say anew of their months, in one shape: `-` where a table has no such dimension.
-- Grain: dataset, load, reporter, office activity, indicator, market, adjustment, period, measure.
with cbs_85806ned as (
    select * from {{ ref('stg_cbs_85806ned__changes') }}
),

cbs_85770ned as (
    select * from {{ ref('stg_cbs_85770ned__changes') }}
),

cbs_81234ned as (
    select * from {{ ref('stg_cbs_81234ned__changes') }}
),

eurostat_sts_inpr_m as (
    select * from {{ ref('stg_eurostat_sts_inpr_m__changes') }}
),

eurostat_sts_intv_m as (
    select * from {{ ref('stg_eurostat_sts_intv_m__changes') }}
),

eurostat_sts_inppd_m as (
    select * from {{ ref('stg_eurostat_sts_inppd_m__changes') }}
),

eurostat_sts_inppnd_m as (
    select * from {{ ref('stg_eurostat_sts_inppnd_m__changes') }}
),

eurostat_changes as (
    select
        'eurostat_sts_inpr_m' as dataset_code,
        *
    from eurostat_sts_inpr_m
    union all
    select
        'eurostat_sts_intv_m' as dataset_code,
        *
    from eurostat_sts_intv_m
    union all
    select
        'eurostat_sts_inppd_m' as dataset_code,
        *
    from eurostat_sts_inppd_m
    union all
    select
        'eurostat_sts_inppnd_m' as dataset_code,
        *
    from eurostat_sts_inppnd_m
)

select
    'cbs_85806ned' as dataset_code,
    load_id,
    request_no,
    change_kind,
    'NL' as reporter_code,
    activity_code as office_activity_code,
    '-' as indicator_code,
    '-' as market_code,
    '-' as adjustment_code,
    period_code,
    measure_code,
    office_value
from cbs_85806ned
where period_code like '____MM__'
union all
select
    'cbs_85770ned' as dataset_code,
    load_id,
    request_no,
    change_kind,
    'NL' as reporter_code,
    office_product_code as office_activity_code,
    '-' as indicator_code,
    market_code,
    '-' as adjustment_code,
    period_code,
    measure_code,
    office_value
from cbs_85770ned
where period_code like '____MM__'
union all
select
    'cbs_81234ned' as dataset_code,
    load_id,
    request_no,
    change_kind,
    'NL' as reporter_code,
    activity_code as office_activity_code,
    '-' as indicator_code,
    '-' as market_code,
    adjustment_code,
    period_code,
    measure_code,
    office_value
from cbs_81234ned
-- The value itself, not the bounds of its interval.
where period_code like '____MM__' and margin_code = 'MW00000'
union all
select
    dataset_code,
    load_id,
    request_no,
    change_kind,
    reporter_code,
    activity_code as office_activity_code,
    indicator_code,
    '-' as market_code,
    adjustment_code,
    period_code,
    measure_code,
    office_value
from eurostat_changes
where frequency_code = 'M'
