with members as (
    select * from {{ ref('int_scopes_unioned') }}
)

select
    scope_code,
    any_value(scope_name_en) as scope_name_en,
    any_value(scope_name_nl) as scope_name_nl,
    any_value(description_en) as description_en,
    any_value(description_nl) as description_nl,
    any_value(is_metal) as is_metal,
    any_value(is_dated) as is_dated,
    any_value(origin) as origin,
    count(*) as n_members
from members
group by scope_code
