-- Two promises: we looked (last request), and the office published (last vintage, newest month with a total).
with requests as (
    select
        dataset_code,
        max(retrieved_at) filter (where outcome = 'ok') as last_looked_at
    from {{ ref('stg_landing__requests') }}
    group by dataset_code
),

loads as (
    select
        dataset_code,
        max(vintage_at) as last_vintage_at
    from {{ ref('stg_landing__loads') }}
    group by dataset_code
),

totals as (
    select
        dataset_code,
        max(period_start) as newest_complete_month
    from {{ ref('int_export_totals') }}
    where period_type = 'month'
    group by dataset_code
),

datasets as (
    select * from {{ ref('stg_journal__datasets') }}
)

select
    datasets.dataset_code,
    requests.last_looked_at,
    loads.last_vintage_at,
    totals.newest_complete_month,
    datasets.release_note
from datasets
left join requests on datasets.dataset_code = requests.dataset_code
left join loads on datasets.dataset_code = loads.dataset_code
left join totals on datasets.dataset_code = totals.dataset_code
