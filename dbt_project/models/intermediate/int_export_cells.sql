-- Cells of all offices in one shape, for the vintages in which their partner set is in force. Aggregates (EU,
-- continents) and parts of a country that is published as a whole are excluded.
--
-- Grain: group, concept, flow kind, period type, office cell, valid_from.
{#
    DuckDB underestimates the cells and builds its hash table on them, which spills. With ten million facts the order
    written here, panels as the build side, takes half the time.
#}
{{ config(
    pre_hook="set disabled_optimizers = 'build_side_probe_side'",
    post_hook="reset disabled_optimizers"
) }}

with cells as (
    select * from {{ ref('int_goods_conformed') }}
),

panels as (
    select * from {{ ref('int_panels_in_force') }}
),

origins as (
    select * from {{ ref('int_origins') }}
)

select
    panels.group_no,
    cells.concept_code,
    cells.flow_kind,
    cells.period_type,
    -- The office's own total is a separate member; `total` is not a country code.
    case cells.member_kind when 'total' then 'total' else cells.destination_code end as member_code,
    cells.value_eur,
    cells.quantity_kg,
    origins.origin_no,
    {{ both_valid_from('cells', 'panels') }} as valid_from,
    {{ both_valid_to('cells', 'panels') }} as valid_to
from cells
inner join panels
    on
        {{ same('cells', 'panels', ['dataset_code', 'reporter_code', 'office_product_code', 'panel']) }}
        -- A year is in force when its January is.
        and cells.period_start = panels.month
        and {{ both_valid('cells', 'panels') }}
inner join origins on cells.load_id = origins.load_id and cells.request_no = origins.request_no
where
    cells.member_kind = 'total'
    -- For years, only the office's own total.
    or (cells.member_kind in ('country', 'unallocated', 'unmapped') and cells.period_type = 'month')
