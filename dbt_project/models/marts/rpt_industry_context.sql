-- One column per figure, named after its code in seed `industry_series`.
{%- set figures = [
    'production_index',
    'production_calendar_adjusted_index',
    'production_seasonally_adjusted_index',
    'turnover_index',
    'turnover_calendar_adjusted_index',
    'turnover_seasonally_adjusted_index',
    'turnover_non_domestic_index',
    'turnover_non_domestic_calendar_adjusted_index',
    'turnover_non_domestic_seasonally_adjusted_index',
    'producer_price_index',
    'producer_price_domestic_index',
    'producer_price_export_index',
    'producer_confidence_seasonally_adjusted_balance',
    'expected_activity_seasonally_adjusted_balance',
    'order_book_seasonally_adjusted_balance',
] %}
-- Growth on a year earlier uses unadjusted series, whose season cancels out. A balance has no growth.
{%- set grown = [
    'production',
    'production_calendar_adjusted',
    'turnover',
    'turnover_calendar_adjusted',
    'turnover_non_domestic',
    'turnover_non_domestic_calendar_adjusted',
    'producer_price',
    'producer_price_domestic',
    'producer_price_export',
] %}
with series as (
    select * from {{ ref('int_industry_series') }}
),

activities as (
    select * from {{ ref('industry_activities') }}
),

compared as (
    select
        series.*,
        {{ growth_pct('series.amount', 'a_year_earlier.amount') }} as growth_pct
    from series
    left join series as a_year_earlier
        on
            {{ same('series', 'a_year_earlier', ['dataset_code', 'reporter_code', 'activity_code', 'figure_code']) }}
            and series.month = a_year_earlier.month + interval 1 year
)

select
    compared.source_code,
    compared.reporter_code,
    compared.activity_code,
    activities.activity_name_en,
    activities.activity_name_nl,
    compared.month,
    {%- for figure in figures %}
        max(compared.amount) filter (where compared.figure_code = '{{ figure }}') as {{ figure }},
    {%- endfor %}
    {%- for figure in grown %}
        max(compared.growth_pct) filter (where compared.figure_code = '{{ figure }}_index') as {{ figure }}_growth_pct,
    {%- endfor %}
    string_agg(compared.figure_code, ', ' order by compared.figure_code) filter (
        where compared.confidence = 'unverified'
    ) as unverified_figures,
    max(compared.vintage_at) as vintage_at
from compared
inner join activities on compared.activity_code = activities.activity_code
group by all
