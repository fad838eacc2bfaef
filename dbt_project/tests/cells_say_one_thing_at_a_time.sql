-- Law: a cell of a partner set has one current value. Two would be summed silently in the marts; it means that a load
-- marked a cell as new that an earlier load already had. The newest of them is to blame.
select
    dataset_code,
    panel,
    reporter_code,
    partner_code,
    office_product_code,
    period_code,
    measure_code,
    count(*) as current_values,
    arg_max(load_id, valid_from) as load_id
from {{ ref('int_goods_statements') }}
where valid_to is null
group by dataset_code, panel, reporter_code, partner_code, office_product_code, period_code, measure_code
having count(*) > 1
