-- Every partner code of the offices, and what it stands for. The seed knows most; of any other the office itself tells
-- what it is: CBS by the group of its code list, Comext by the form of the code. A country that the seed does not know
-- counts as the destination `unmapped`. Grain: office, office code.
with packaged as (
    select * from {{ ref('office_partners') }}
),

own as (
    select * from {{ ref('stg_journal__office_partners') }}
),

-- What the user says of a code counts, whatever the package says.
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

cbs_partners as (
    {% for dataset in cbs_goods_tables() %}
        select
            '{{ dataset }}' as dataset_code,
            partner_code as office_code,
            -- The newest load's; ids of loads begin with the dataset and the stamp.
            arg_max(group_id, load_id) as group_id
        from {{ ref('stg_' ~ dataset ~ '__partners') }}
        group by partner_code
        {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- A group without a country is one of aggregates.
cbs_groups as (
    select
        cbs_partners.dataset_code,
        cbs_partners.group_id,
        bool_and(listed.member_kind in ('aggregate', 'total')) as is_of_aggregates
    from cbs_partners
    inner join listed on cbs_partners.office_code = listed.office_code and listed.office = 'cbs'
    group by cbs_partners.dataset_code, cbs_partners.group_id
),

seen as (
    {% for dataset in cbs_goods_tables() + comext_datasets().keys() | list %}
        select distinct
            '{{ dataset }}' as dataset_code,
            '{{ dataset.split('_')[0] }}' as office,
            partner_code as office_code
        from {{ ref('stg_' ~ dataset ~ '__changes') }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

told as (
    select
        seen.office,
        seen.office_code,
        bool_or(coalesce(cbs_groups.is_of_aggregates, false) or patterns.office_code is not null) as is_aggregate
    from seen
    anti join listed on seen.office = listed.office and seen.office_code = listed.office_code
    left join cbs_partners
        on seen.dataset_code = cbs_partners.dataset_code and seen.office_code = cbs_partners.office_code
    left join cbs_groups
        on cbs_partners.dataset_code = cbs_groups.dataset_code and cbs_partners.group_id = cbs_groups.group_id
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
