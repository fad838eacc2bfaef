-- Successions of CN8 codes, according to the newest list. Grain: predecessor, successor, first day.
with statements as (
    {{ cell_statements(
        'stg_landing__changes',
        ['predecessor_code', 'successor_code', 'first_day', 'measure_code'],
        dataset='eurostat_comext_cn_successions'
    ) | indent(4) }}
)

select
    predecessor_code,
    successor_code,
    first_day,
    load_id
from statements
where valid_to is null
