with countries as (
    select * from {{ ref('countries') }}
),

regions as (
    select * from {{ ref('regions') }}
),

office_partners as (
    select * from {{ ref('office_partners') }}
),

special_destinations as (
    select * from {{ ref('special_destinations') }}
),

office_codes as (
    select
        destination_code,
        min(office_code) filter (where office = 'cbs') as cbs_code,
        min(office_code) filter (where office = 'eurostat') as comext_code
    from office_partners
    where member_kind = 'country' and valid_to is null
    group by destination_code
)

select
    countries.country_code,
    countries.iso3_code,
    countries.country_name_en,
    countries.country_name_nl,
    'country' as destination_kind,
    countries.region_code,
    regions.region_name_en,
    regions.region_name_nl,
    regions.continent_code,
    office_codes.cbs_code,
    office_codes.comext_code
from countries
left join regions on countries.region_code = regions.region_code
left join office_codes on countries.country_code = office_codes.destination_code
union all
select
    destination_code as country_code,
    cast(null as varchar) as iso3_code,
    destination_name_en as country_name_en,
    destination_name_nl as country_name_nl,
    destination_kind,
    cast(null as varchar) as region_code,
    cast(null as varchar) as region_name_en,
    cast(null as varchar) as region_name_nl,
    cast(null as varchar) as continent_code,
    cast(null as varchar) as cbs_code,
    cast(null as varchar) as comext_code
from special_destinations
