with source as (
    select * from {{ source('landing', 'codes') }}
)

select
    load_id,
    code as partner_code,
    title as partner_name,
    group_id
from source
-- As CBS calls them; Eurostat's lists of partners have no groups.
where {{ only_committed() }} and dimension = 'Landen'
