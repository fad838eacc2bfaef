-- CBS observations in the warehouse's own codes and euros. Months and (complete) years side by side.
with observations as (
    select * from {{ ref('stg_cbs_85429ned__observations') }}
),

measures as (
    select * from {{ ref('stg_cbs_85429ned__measures') }}
),

periods as (
    select * from {{ ref('stg_cbs_85429ned__periods') }}
),

measure_meanings as (
    select * from {{ ref('office_measures') }}
    where dataset_code = 'cbs_85429ned'
),

partners as (
    select * from {{ ref('office_partners') }}
    where office = 'cbs'
),

products as (
    select * from {{ ref('office_products') }}
    where office = 'cbs'
),

conformed as (
    select
        observations.load_id,
        observations.request_no,
        observations.partner_code,
        observations.office_product_code,
        measure_meanings.flow_kind,
        partners.member_kind,
        partners.destination_code,
        products.nomenclature_code,
        products.product_code,
        case when observations.period_code like '____MM__' then 'month' else 'year' end as period_type,
        case
            when observations.period_code like '____MM__'
                then make_date(
                    cast(observations.period_code[1:4] as integer), cast(observations.period_code[7:8] as integer), 1
                )
            else make_date(cast(observations.period_code[1:4] as integer), 1, 1)
        end as period_start,
        -- The current year's JJ code is the sum of the months so far; its title is then not just the year.
        observations.period_code like '____MM__'
        or trim(periods.period_title) = observations.period_code[1:4] as is_complete_period,
        case periods.period_status
            when 'Definitief' then 'final'
            when 'NaderVoorlopig' then 'revised_provisional'
            when 'Voorlopig' then 'provisional'
        end as status_code,
        cast(observations.office_value * measures.factor as decimal(18, 2)) as value_eur
    from observations
    inner join measures
        on observations.load_id = measures.load_id and observations.measure_code = measures.measure_code
    inner join measure_meanings on observations.measure_code = measure_meanings.measure_code
    left join partners on observations.partner_code = partners.office_code
    left join products on observations.office_product_code = products.office_code
    left join periods
        on observations.load_id = periods.load_id and observations.period_code = periods.period_code
    where observations.office_value is not null
),

including_transit as (
    select
        *,
        'border_crossing_incl_transit' as concept_code
    from conformed
),

-- Without quasi-transit: the two parts as published, and their sum where both are (missing is not zero).
parts_excluding_transit as (
    select
        *,
        'border_crossing_excl_transit' as concept_code
    from conformed
    where flow_kind in ('re_export', 'domestic_product')
),

total_excluding_transit as (
    select
        load_id,
        -- Of one office code: two codes of one country must not lend each other a part.
        partner_code,
        office_product_code,
        period_type,
        period_start,
        'border_crossing_excl_transit' as concept_code,
        'total' as flow_kind,
        min(request_no) as request_no,
        any_value(member_kind) as member_kind,
        any_value(destination_code) as destination_code,
        any_value(nomenclature_code) as nomenclature_code,
        any_value(product_code) as product_code,
        any_value(is_complete_period) as is_complete_period,
        any_value(status_code) as status_code,
        sum(value_eur) as value_eur
    from parts_excluding_transit
    -- Aggregates of countries overlap; they take no further part and must not be added together.
    where member_kind != 'aggregate'
    group by load_id, partner_code, office_product_code, period_type, period_start
    having count(distinct flow_kind) = 2
)

select * from including_transit
union all by name
select * from parts_excluding_transit
union all by name
select * from total_excluding_transit
