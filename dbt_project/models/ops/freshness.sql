-- Two freshness SLAs: we polled (last successful poll), and the office published (newest vintage). Each has a deadline,
-- which the reader compares with the clock.
with looks as (
    select
        split_part(subject, ' ', 1) as dataset_code,
        max(finished_at) as last_looked_at
    from {{ ref('stg_journal__runs') }}
    where step = 'fetch' and outcome in ('done', 'unchanged')
    group by dataset_code
),

loads as (
    select
        dataset_code,
        max(vintage_at) as last_vintage_at,
        bool_or(transport = 'live') as is_live
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
    looks.last_looked_at,
    case when datasets.is_scheduled then looks.last_looked_at + to_hours(datasets.look_hours) end as look_due_at,
    loads.last_vintage_at,
    -- A simulated or recorded release does not predict the next one.
    case
        when datasets.is_scheduled and loads.is_live then loads.last_vintage_at + to_days(datasets.release_days)
    end as release_due_at,
    totals.newest_complete_month,
    datasets.release_note
from datasets
left join looks on datasets.dataset_code = looks.dataset_code
left join loads on datasets.dataset_code = loads.dataset_code
left join totals on datasets.dataset_code = totals.dataset_code
