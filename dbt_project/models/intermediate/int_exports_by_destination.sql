-- Leaf destinations that sum to the office's total, newest vintage.
--
-- Grain: source, concept, flow kind, reporter, destination, nomenclature, product, month.
with versions as (
    select * from {{ ref('int_export_versions') }}
    where valid_to is null and period_type = 'month' and member_code != 'total'
),

panels as (
    select * from {{ ref('int_panels_in_force') }}
    where valid_to is null
),

statuses as (
    select * from {{ ref('int_period_statuses') }}
    where period_type = 'month'
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
    versions.member_code as destination_code,
    panels.nomenclature_code,
    panels.product_code,
    panels.month,
    statuses.status_code,
    versions.value_eur,
    versions.quantity_kg,
    versions.has_remainder,
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
        and panels.month = statuses.period_start
