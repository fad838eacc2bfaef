-- Every partner code of the offices and its meaning. The seed covers most codes; any other is classified from the
-- office itself: CBS by the group of its code list, Comext by the form of the code. A country missing from the seed is
-- the destination `unmapped`. Grain: office, office code.
with packaged as (
    select * from {{ ref('office_partners') }}
),

own as (
    select * from {{ ref('stg_journal__office_partners') }}
),

-- The user's own rows override the package.
listed as (
    select
        office,
        office_code,
        member_kind,
        case when member_kind = 'unmapped' then 'unmapped' else destination_code end as destination_code
    from own
    union all
    select
        packaged.office,
        packaged.office_code,
        packaged.member_kind,
        packaged.destination_code
    from packaged
    anti join own on packaged.office = own.office and packaged.office_code = own.office_code
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

office_groups as (
    select
        loads.dataset_code,
        partners.partner_code as office_code,
        -- From the newest load; load ids begin with the dataset and the stamp.
        arg_max(partners.group_id, partners.load_id) as group_id
    from {{ ref('stg_landing__partners') }} as partners
    inner join loads on partners.load_id = loads.load_id
    group by loads.dataset_code, partners.partner_code
),

-- A group without a country consists of aggregates.
group_kinds as (
    select
        office_groups.dataset_code,
        office_groups.group_id,
        bool_and(listed.member_kind in ('aggregate', 'total')) as is_of_aggregates
    from office_groups
    inner join listed
        on
            office_groups.office_code = listed.office_code
            and starts_with(office_groups.dataset_code, listed.office)
    group by office_groups.dataset_code, office_groups.group_id
),

seen as (
    select distinct
        split_part(dataset_code, '_', 1) as office,
        dataset_code,
        partner_code as office_code
    from {{ ref('int_goods_changes') }}
),

told as (
    select
        seen.office,
        seen.office_code,
        bool_or(
            coalesce(group_kinds.is_of_aggregates, false) or patterns.office_code is not null
        ) as is_aggregate
    from seen
    anti join listed on seen.office = listed.office and seen.office_code = listed.office_code
    left join office_groups
        on seen.dataset_code = office_groups.dataset_code and seen.office_code = office_groups.office_code
    left join group_kinds
        on office_groups.dataset_code = group_kinds.dataset_code and office_groups.group_id = group_kinds.group_id
    left join listed as patterns
        on
            seen.office = patterns.office
            and contains(patterns.office_code, '*')
            and seen.office_code glob patterns.office_code
    group by seen.office, seen.office_code
)

select
    office,
    office_code,
    member_kind,
    destination_code
from listed
where not contains(office_code, '*')
union all
select
    office,
    office_code,
    case when is_aggregate then 'aggregate' else 'unmapped' end as member_kind,
    case when not is_aggregate then 'unmapped' end as destination_code
from told
