-- Observation intervals of the cells of trade in goods. Grain: panel, cell, valid_from.
{{ cell_statements(
    'int_goods_changes',
    ['dataset_code', 'reporter_code', 'partner_code', 'office_product_code', 'period_code', 'measure_code']
) }}
