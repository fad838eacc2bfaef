-- A cell counts while the partner set of its load is in force: a load whose coverage named another set would never
-- count.
with coverage as (
    {% for dataset in ['cbs_85429ned', 'cbs_85427ned', 'eurostat_ds_045409'] -%}
        select
            load_id,
            panel,
            has_all_partners
        from {{ ref('stg_' ~ dataset ~ '__coverage') }}
        {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select
    loads.load_id,
    loads.panel,
    coverage.panel as coverage_panel,
    coverage.has_all_partners
from {{ ref('stg_landing__loads') }} as loads
left join coverage on loads.load_id = coverage.load_id
where
    loads.dataset_code in ('cbs_85429ned', 'cbs_85427ned', 'eurostat_ds_045409')
    and (
        coverage.panel is null
        or coverage.panel != loads.panel
        or coverage.has_all_partners != (coverage.panel = '*')
    )
