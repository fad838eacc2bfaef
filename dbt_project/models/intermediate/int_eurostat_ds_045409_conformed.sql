-- Comext observations in the warehouse's own codes, euros and kilograms; value and quantity side by side.
with observations as (
    select * from {{ ref('stg_eurostat_ds_045409__observations') }}
),

measures as (
    select * from {{ ref('stg_eurostat_ds_045409__measures') }}
),

measure_meanings as (
    select * from {{ ref('office_measures') }}
    where dataset_code = 'eurostat_ds_045409'
),

partners as (
    select * from {{ ref('office_partners') }}
    where office = 'eurostat'
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

pivoted as (
    select
        observations.load_id,
        observations.reporter_code,
        observations.partner_code,
        observations.office_product_code,
        observations.month,
        min(observations.request_no) as request_no,
        any_value(cast(observations.office_value * measures.factor as decimal(18, 2)))
        filter (where measure_meanings.quantity_kind = 'value') as value_eur,
        any_value(cast(observations.office_value * measures.factor as decimal(18, 3)))
        filter (where measure_meanings.quantity_kind = 'quantity') as quantity_kg
    from observations
    inner join measures
        on observations.load_id = measures.load_id and observations.measure_code = measures.measure_code
    inner join measure_meanings on observations.measure_code = measure_meanings.measure_code
    group by all
)

select
    pivoted.load_id,
    pivoted.request_no,
    pivoted.reporter_code,
    pivoted.office_product_code,
    'community' as concept_code,
    'total' as flow_kind,
    partners.member_kind,
    partners.destination_code,
    'CN' as nomenclature_code,
    pivoted.office_product_code as product_code,
    pivoted.month,
    -- Comext has no flag. Users quote Eurostat that data are preliminary until October of the following year;
    -- that is unverified.
    case
        when loads.vintage_at >= make_timestamp(year(pivoted.month) + 1, 10, 1, 0, 0, 0) then 'final'
        else 'provisional'
    end as status_code,
    pivoted.value_eur,
    pivoted.quantity_kg
from pivoted
inner join loads on pivoted.load_id = loads.load_id
left join partners on pivoted.partner_code = partners.office_code
where pivoted.value_eur is not null
