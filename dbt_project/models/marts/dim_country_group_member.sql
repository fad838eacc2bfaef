with members as (
    select * from {{ ref('country_groups') }}
),

names as (
    select * from {{ ref('country_group_names') }}
)

select
    members.group_code,
    names.group_name_en,
    names.group_name_nl,
    members.country_code,
    members.valid_from,
    members.valid_to,
    members.confidence,
    members.source as membership_source
from members
inner join names on members.group_code = names.group_code
