with source as (
    select * from {{ source('landing_cbs_85429ned', 'codes') }}
)

select
    load_id,
    code as period_code,
    title as period_title,
    status as period_status
from source
where {{ only_committed() }} and dimension = 'Perioden'
