{{ config(post_hook=["{{ create_exports_as_of(this) }}", "{{ comment_on_exports_as_of(this) }}"]) }}

with versions as (
    select * from {{ ref('int_export_versions') }}
    where period_type = 'month' and member_code != 'total'
),

panels as (
    select * from {{ ref('int_panels_in_force') }}
    where valid_to is null
),

origins as (
    select * from {{ ref('int_origins') }}
)

select
    {{ source_of('panels.dataset_code') }} as source_code,
    versions.concept_code,
    versions.flow_kind,
    panels.reporter_code,
    versions.member_code as destination_code,
    panels.nomenclature_code,
    panels.product_code,
    panels.month,
    versions.valid_from,
    versions.valid_to,
    versions.value_eur,
    versions.quantity_kg,
    case when versions.has_remainder then 'derived' else 'published' end as value_origin,
    panels.dataset_code,
    origins.load_id,
    origins.request_id
from versions
inner join panels on versions.group_no = panels.group_no
inner join origins on versions.origin_no = origins.origin_no
