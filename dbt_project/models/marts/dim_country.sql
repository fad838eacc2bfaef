with countries as (
    select * from {{ ref('countries') }}
),

office_partners as (
    select * from {{ ref('office_partners') }}
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
    office_codes.cbs_code,
    office_codes.comext_code
from countries
left join office_codes on countries.country_code = office_codes.destination_code
union all
select
    'unallocated',
    null,
    'Not allocated (secret, not specified, stores)',
    'Niet toegedeeld (geheim, niet bepaald, boordprovisie)',
    'unallocated',
    null,
    null
union all
select
    'not_loaded',
    null,
    'Not loaded (rest of the office''s total)',
    'Niet geladen (rest van het totaal van het bureau)',
    'not_loaded',
    null,
    null
