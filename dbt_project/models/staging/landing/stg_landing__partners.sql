with source as (
    select * from {{ source('landing', 'codes') }}
)

select
    load_id,
    code as partner_code,
    title as partner_name,
    group_id
from source
-- Name used by CBS; Eurostat's partner lists have no groups.
where {{ only_committed() }} and dimension = 'Landen'
