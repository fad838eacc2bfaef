with checks as (
    select * from {{ ref('stg_journal__checks') }}
)

select
    run_id,
    gate,
    subject,
    check_name,
    severity,
    is_passed,
    observed,
    message,
    checked_at
from checks
