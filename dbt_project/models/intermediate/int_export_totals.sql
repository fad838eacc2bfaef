-- The office's own total over all destinations, newest vintage.
--
-- Grain: source, concept, flow kind, reporter, nomenclature, product, period.
with versions as (
    select * from {{ ref('int_export_versions') }}
    where valid_to is null and member_code = 'total'
),

panels as (
    select * from {{ ref('int_panels_in_force') }}
    where valid_to is null
),

statuses as (
    select * from {{ ref('int_period_statuses') }}
),

origins as (
    select * from {{ ref('int_origins') }}
)

select
    {{ source_of('panels.dataset_code') }} as source_code,
    panels.dataset_code,
    versions.concept_code,
    versions.flow_kind,
    panels.reporter_code,
    panels.nomenclature_code,
    panels.product_code,
    versions.period_type,
    panels.month as period_start,
    coalesce(statuses.is_complete_period, versions.period_type = 'month') as is_complete_period,
    statuses.status_code,
    versions.value_eur,
    cast(versions.quantity_kg as decimal(18, 3)) as quantity_kg,
    origins.load_id,
    origins.request_id,
    panels.confirmed_at as vintage_at
from versions
inner join panels on versions.group_no = panels.group_no
inner join origins on versions.origin_no = origins.origin_no
left join statuses
    on
        panels.dataset_code = statuses.dataset_code
        and panels.confirming_load_id = statuses.load_id
        and versions.period_type = statuses.period_type
        and panels.month = statuses.period_start
