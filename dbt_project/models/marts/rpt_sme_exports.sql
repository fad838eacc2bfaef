with exports as (
    select * from {{ ref('int_enterprise_exports') }}
),

activities as (
    select * from {{ ref('industry_activities') }}
),

size_classes as (
    select * from {{ ref('enterprise_size_classes') }}
),

partner_groups as (
    select * from {{ ref('enterprise_partner_groups') }}
),

totals as (
    select * from exports
    where size_kind = 'total'
)

select
    'EUROSTAT' as source_code,
    exports.reporter_code,
    exports.activity_code,
    activities.activity_name_en,
    activities.activity_name_nl,
    exports.size_class_code,
    size_classes.size_class_name_en,
    size_classes.size_class_name_nl,
    exports.size_kind,
    case when exports.year < 2022 then 'employees' else 'employees_and_self_employed' end as size_basis,
    exports.partner_group_code,
    partner_groups.partner_group_name_en,
    partner_groups.partner_group_name_nl,
    exports.year,
    exports.n_exporters,
    exports.value_eur,
    {{ ratio('exports.n_exporters', 'totals.n_exporters') }} as exporters_share,
    {{ ratio('exports.value_eur', 'totals.value_eur') }} as value_share,
    {{ ratio('exports.value_eur', 'exports.n_exporters') }} as value_per_exporter_eur,
    exports.vintage_at
from exports
inner join activities on exports.activity_code = activities.activity_code
inner join size_classes on exports.size_class_code = size_classes.size_class_code
inner join partner_groups on exports.partner_group_code = partner_groups.partner_group_code
left join totals
    on
        {{ same('exports', 'totals', ['reporter_code', 'activity_code', 'partner_group_code', 'year']) }}
