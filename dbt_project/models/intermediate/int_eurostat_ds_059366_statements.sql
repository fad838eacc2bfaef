-- What Eurostat says of a cell of DS-059366, and in which vintages. Grain: panel, cell, valid_from.
{{ cell_statements(
    'stg_eurostat_ds_059366__changes',
    ['frequency_code', 'reporter_code', 'partner_code', 'office_product_code', 'flow_code', 'period_code', 'measure_code']
) }}
