with lists as (
    select * from {{ ref('policy_lists') }}
)

select
    list_code,
    list_name_en,
    list_name_nl,
    known_until,
    checked_on,
    source as list_source
from lists
