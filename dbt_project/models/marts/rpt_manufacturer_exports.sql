with exports as (
    select * from {{ ref('int_manufacturer_exports') }}
),

activities as (
    select * from {{ ref('industry_activities') }}
),

countries as (
    select * from {{ ref('countries') }}
),

partner_groups as (
    select * from {{ ref('enterprise_partner_groups') }}
),

wholes as (
    select
        reporter_code,
        activity_code,
        year,
        max(value_eur) filter (where partner_code = 'WORLD') as total_eur,
        max(value_eur) filter (where partner_code = 'EXT_EU') as extra_eu_eur
    from exports
    group by all
),

shares as (
    select
        exports.*,
        countries.country_code is not null as is_country,
        coalesce(countries.country_name_en, partner_groups.partner_group_name_en, exports.partner_code)
            as partner_name_en,
        coalesce(countries.country_name_nl, partner_groups.partner_group_name_nl, exports.partner_code)
            as partner_name_nl,
        wholes.total_eur,
        {{ ratio('exports.value_eur', 'wholes.total_eur') }} as value_share,
        {{ ratio('exports.value_eur', 'wholes.extra_eu_eur') }} as share_of_extra_eu
    from exports
    inner join wholes
        on
            {{ same('exports', 'wholes', ['reporter_code', 'activity_code', 'year']) }}
    left join countries on exports.partner_code = countries.country_code
    left join partner_groups on exports.partner_code = partner_groups.partner_group_code
),

eu_members as (
    select * from {{ ref('country_groups') }}
    where group_code = 'EU'
)

select
    'EUROSTAT' as source_code,
    this.reporter_code,
    this.activity_code,
    activities.activity_name_en,
    activities.activity_name_nl,
    this.partner_code,
    this.partner_name_en,
    this.partner_name_nl,
    this.is_country,
    this.year,
    this.n_exporters,
    this.value_eur,
    this.total_eur,
    this.value_share,
    case when this.is_country and eu_members.country_code is null then this.share_of_extra_eu end as share_extra_eu,
    case
        when this.is_country and this.value_eur is not null
            then cast(
                rank() over (
                    partition by this.reporter_code, this.activity_code, this.year, this.is_country
                    order by this.value_eur desc nulls last
                ) as integer
            )
    end as partner_rank,
    100 * (this.value_share - before.value_share) as share_change_pp,
    {{ growth_pct('this.value_eur', 'before.value_eur') }} as growth_pct,
    this.vintage_at
from shares as this
inner join activities on this.activity_code = activities.activity_code
left join shares as before
    on
        {{ same('this', 'before', ['reporter_code', 'activity_code', 'partner_code']) }}
        and this.year = before.year + 1
left join eu_members
    on
        this.partner_code = eu_members.country_code
        and make_date(this.year, 12, 31) >= eu_members.valid_from
        and (eu_members.valid_to is null or make_date(this.year, 12, 31) <= eu_members.valid_to)
