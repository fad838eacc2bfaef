with slices as (
    select * from {{ ref('stg_journal__slices') }}
)

select
    dataset_code,
    reporter_code,
    state,
    nullif(load_id, '') as load_id,
    nullif(office_version, '') as office_version,
    vintage_at,
    failed_at,
    nullif(step, '') as step,
    nullif(problem, '') as problem,
    nullif(found, '') as found,
    nullif(next_step, '') as next_step
from slices
