-- Ownership transfer in the warehouse's own codes and euros. CBS publishes total and parts; nothing is derived.
with conformed as (
    {{ cbs_goods_conformed(
        'cbs_85427ned', 'int_cbs_85427ned_statements', 'stg_cbs_85427ned__measures'
    ) | indent(4) }}
)

select
    *,
    'ownership_transfer' as concept_code
from conformed
