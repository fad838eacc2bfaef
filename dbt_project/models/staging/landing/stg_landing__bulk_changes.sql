with source as (
    select * from {{ source('landing', 'changes') }}
)

select
    load_id,
    request_no,
    change_kind,
    layout as layout_code,
    reporter as reporter_code,
    partner as partner_code,
    trade_type as trade_type_code,
    product as office_product_code,
    masked_class as masked_class_code,
    sitc as sitc_code,
    cpa21 as cpa21_code,
    cpa22 as cpa22_code,
    bec as bec_code,
    bec5 as bec5_code,
    section as section_code,
    flow as flow_code,
    stat_procedure as stat_procedure_code,
    suppl_unit as supplementary_unit_code,
    period as period_code,
    cast(value_eur as decimal(18, 4)) as value_eur,
    cast(value_nac as decimal(18, 4)) as value_nac,
    cast(quantity_kg as decimal(18, 4)) as quantity_kg,
    cast(supplementary_quantity as decimal(18, 4)) as supplementary_quantity
from source
where {{ only_committed() }} and layout is not null
