-- Both offices, current vintage, in one shape. Grain: source, concept, flow kind, reporter, office member, product,
-- period; totals, aggregates and destinations still side by side.
with loads_current as (
    select * from {{ ref('int_loads_current') }}
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

cbs as (
    select * from {{ ref('int_cbs_85429ned_conformed') }}
),

eurostat as (
    select * from {{ ref('int_eurostat_ds_045409_conformed') }}
),

unioned as (
    select
        'CBS' as source_code,
        'cbs_85429ned' as dataset_code,
        'NL' as reporter_code,
        load_id,
        request_no,
        office_product_code,
        concept_code,
        flow_kind,
        member_kind,
        destination_code,
        nomenclature_code,
        product_code,
        period_type,
        period_start,
        is_complete_period,
        status_code,
        value_eur,
        cast(null as decimal(18, 3)) as quantity_kg
    from cbs
    union all by name
    select
        'EUROSTAT' as source_code,
        'eurostat_ds_045409' as dataset_code,
        reporter_code,
        load_id,
        request_no,
        office_product_code,
        concept_code,
        flow_kind,
        member_kind,
        destination_code,
        nomenclature_code,
        product_code,
        'month' as period_type,
        month as period_start,
        true as is_complete_period,
        status_code,
        value_eur,
        quantity_kg
    from eurostat
)

select
    unioned.source_code,
    unioned.dataset_code,
    unioned.reporter_code,
    unioned.concept_code,
    unioned.flow_kind,
    unioned.member_kind,
    unioned.destination_code,
    unioned.nomenclature_code,
    unioned.product_code,
    unioned.period_type,
    unioned.period_start,
    unioned.is_complete_period,
    unioned.status_code,
    unioned.value_eur,
    unioned.quantity_kg,
    loads_current.has_all_partners,
    unioned.load_id,
    loads.request_ids[unioned.request_no + 1] as request_id,
    loads.vintage_at
from unioned
inner join loads_current
    on
        unioned.dataset_code = loads_current.dataset_code
        and unioned.reporter_code = loads_current.reporter_code
        and unioned.office_product_code = loads_current.office_product_code
        and unioned.load_id = loads_current.load_id
        -- A year is current where its January is.
        and unioned.period_start = loads_current.month
inner join loads on unioned.load_id = loads.load_id
