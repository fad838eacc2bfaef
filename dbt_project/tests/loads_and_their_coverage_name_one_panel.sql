-- A cell counts while the partner set of its load is in force: a load whose coverage named another set would never
-- count.
select
    loads.load_id,
    loads.panel,
    coverage.panel as coverage_panel,
    coverage.has_all_partners
from {{ ref('stg_landing__loads') }} as loads
left join {{ ref('stg_landing__coverage') }} as coverage on loads.load_id = coverage.load_id
where
    coverage.panel is null
    or coverage.panel != loads.panel
    or coverage.has_all_partners != (coverage.panel = '*')
