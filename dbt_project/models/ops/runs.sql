with runs as (
    select * from {{ ref('stg_journal__runs') }}
)

select
    run_id,
    step,
    subject,
    outcome,
    started_at,
    finished_at,
    detail
from runs
