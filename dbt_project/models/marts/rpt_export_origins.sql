-- Exports by origin: what was made in the Netherlands, what was imported and sold on, what only passed through.
{% set kinds = ['domestic_product', 're_export', 'quasi_transit'] %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

concepts as (
    select * from {{ ref('concepts') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

parts as (
    select
        months.source_code,
        concepts.part_of as concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        months.month,
        concepts.flow_kind,
        months.is_complete,
        months.value_eur,
        months.value_r12_eur,
        months.value_r12_year_before_eur,
        months.vintage_at
    from months
    inner join concepts on months.concept_code = concepts.concept_code
    where concepts.part_of is not null
),

-- The office's totals over all destinations, secret ones included.
totals as (
    select
        months.source_code,
        concepts.part_of as concept_code,
        months.scope_code,
        months.reporter_code,
        'total' as destination_code,
        months.month,
        concepts.flow_kind,
        any_value(months.is_complete) as is_complete,
        any_value(months.total_eur) as value_eur,
        any_value(months.total_r12_eur) as value_r12_eur,
        any_value(months.total_r12_year_before_eur) as value_r12_year_before_eur,
        max(months.vintage_at) as vintage_at
    from months
    inner join concepts on months.concept_code = concepts.concept_code
    where concepts.part_of is not null
    group by all
),

gathered as (
    select * from parts
    union all by name
    select * from totals
),

beside as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month,
        bool_and(is_complete) as is_complete,
        {% for kind in kinds %}
            max(value_eur) filter (where flow_kind = '{{ kind }}') as {{ kind }}_eur,
            max(value_r12_eur) filter (where flow_kind = '{{ kind }}') as {{ kind }}_r12_eur,
            max(value_r12_year_before_eur) filter (where flow_kind = '{{ kind }}') as {{ kind }}_r12_year_before_eur,
        {% endfor %}
        max(vintage_at) as vintage_at
    from gathered
    group by all
)

select
    beside.source_code,
    beside.concept_code,
    beside.scope_code,
    beside.reporter_code,
    beside.destination_code,
    coalesce(countries.country_name_en, 'All destinations') as destination_name_en,
    coalesce(countries.country_name_nl, 'Alle bestemmingen') as destination_name_nl,
    beside.month,
    beside.is_complete,
    beside.domestic_product_eur,
    beside.re_export_eur,
    beside.quasi_transit_eur,
    {{ ratio('beside.domestic_product_eur', 'beside.domestic_product_eur + beside.re_export_eur') }}
        as domestic_product_share,
    beside.domestic_product_r12_eur,
    beside.re_export_r12_eur,
    beside.quasi_transit_r12_eur,
    {{ ratio('beside.domestic_product_r12_eur', 'beside.domestic_product_r12_eur + beside.re_export_r12_eur') }}
        as domestic_product_share_r12,
    {{ share_change_pp(
        'beside.domestic_product_r12_eur', 'beside.domestic_product_r12_eur + beside.re_export_r12_eur',
        'beside.domestic_product_r12_year_before_eur',
        'beside.domestic_product_r12_year_before_eur + beside.re_export_r12_year_before_eur'
    ) }} as domestic_product_share_r12_change_pp,
    {{ growth_pct('beside.domestic_product_r12_eur', 'beside.domestic_product_r12_year_before_eur') }}
        as domestic_product_r12_growth_pct,
    {{ growth_pct('beside.re_export_r12_eur', 'beside.re_export_r12_year_before_eur') }} as re_export_r12_growth_pct,
    beside.vintage_at
from beside
left join countries on beside.destination_code = countries.country_code
