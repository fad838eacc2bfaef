with source as (
    select * from {{ source('landing', 'codes') }}
)

select
    load_id,
    code as period_code,
    title as period_title,
    status as period_status
from source
-- Name used by CBS; Eurostat gives periods no status.
where {{ only_committed() }} and dimension = 'Perioden'
