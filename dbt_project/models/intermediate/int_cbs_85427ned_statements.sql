-- What CBS says of a cell of 85427NED, and in which vintages. Grain: panel, cell, valid_from.
{{ cell_statements(
    'stg_cbs_85427ned__changes', ['partner_code', 'office_product_code', 'period_code', 'measure_code']
) }}
