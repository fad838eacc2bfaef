-- Goods exports in the warehouse's own codes and units: months and years alongside; each row holds euros or kilograms.
--
-- Grain: panel, dataset, reporter, office partner, office product, concept, flow kind, period type, period, quantity,
-- valid_from.
{% set cell = [
    'panel', 'dataset_code', 'reporter_code', 'partner_code', 'office_product_code', 'concept_code', 'flow_kind',
    'period_start', 'period_type'
] %}
{% set cell_of_total = cell | reject('equalto', 'partner_code') | list + ['measure_code'] %}
{% set cell_of_both_parts = cell | reject('equalto', 'flow_kind') | list %}

with statements as (
    select * from {{ ref('int_goods_statements') }}
    -- Quarters and weeks, which other tables have, would be added to their year.
    where {{ is_month('period_code') }} or period_code like '____JJ__'
),

measures as (
    select * from {{ ref('stg_landing__measures') }}
),

measure_meanings as (
    select * from {{ ref('office_measures') }}
),

datasets as (
    select * from {{ ref('stg_journal__datasets') }}
),

partners as (
    select * from {{ ref('int_partners') }}
),

meant as (
    select
        statements.*,
        measure_meanings.concept_code,
        measure_meanings.flow_kind,
        measure_meanings.quantity_kind,
        case when {{ is_month('statements.period_code') }} then 'month' else 'year' end as period_type,
        {{ first_day_of('statements.period_code') | indent(8) }} as period_start,
        {{ in_own_unit('statements.office_value', 'measures.factor') }} as amount
    from statements
    inner join measures
        on statements.load_id = measures.load_id and statements.measure_code = measures.measure_code
    inner join measure_meanings
        on
            statements.dataset_code = measure_meanings.dataset_code
            and statements.measure_code = measure_meanings.measure_code
),

values_eur as (
    select * from meant
    where quantity_kind = 'value'
),

-- A quantity counts while it has a value. The origin is the response of the newer of the two: a value revised next to
-- an unchanged weight must not trace back to the response with the old value.
quantities as (
    select
        amounts.* replace (
            case
                when values_eur.valid_from > amounts.valid_from then values_eur.load_id else amounts.load_id
            end as load_id,
            case
                when values_eur.valid_from > amounts.valid_from then values_eur.request_no else amounts.request_no
            end as request_no,
            {{ both_valid_from('amounts', 'values_eur') }} as valid_from,
            {{ both_valid_to('amounts', 'values_eur') }} as valid_to
        )
    from meant as amounts
    inner join values_eur
        on {{ same('amounts', 'values_eur', cell) }} and {{ both_valid('amounts', 'values_eur') }}
    where amounts.quantity_kind = 'quantity'
),

office_totals as (
    select meant.*
    from meant
    inner join datasets on meant.dataset_code = datasets.dataset_code and meant.partner_code = datasets.total_partner
),

first_parts as (
    select meant.*
    from meant
    inner join datasets on meant.dataset_code = datasets.dataset_code and meant.partner_code = datasets.total_parts[1]
),

second_parts as (
    select meant.*
    from meant
    inner join datasets on meant.dataset_code = datasets.dataset_code and meant.partner_code = datasets.total_parts[2]
),

-- If the office gives no total, it is the sum of its two parts; if only one of them exists it is missing.
derived_totals as (
    select
        first_parts.* replace (
            datasets.total_partner as partner_code,
            {{ origin_of_both('first_parts', 'second_parts') | indent(12) }},
            first_parts.amount + second_parts.amount as amount,
            {{ both_valid_from('first_parts', 'second_parts') }} as valid_from,
            {{ both_valid_to('first_parts', 'second_parts') }} as valid_to
        )
    from first_parts
    inner join second_parts
        on {{ same('first_parts', 'second_parts', cell_of_total) }} and {{ both_valid('first_parts', 'second_parts') }}
    inner join datasets on first_parts.dataset_code = datasets.dataset_code
    anti join office_totals on {{ same('first_parts', 'office_totals', cell_of_total) }}
),

amounts as (
    select * from values_eur
    union all by name
    select * from quantities
    union all by name
    select * from derived_totals
),

conformed as (
    select
        amounts.panel,
        amounts.dataset_code,
        amounts.load_id,
        amounts.request_no,
        amounts.reporter_code,
        amounts.partner_code,
        amounts.office_product_code,
        amounts.concept_code,
        amounts.flow_kind,
        partners.member_kind,
        partners.destination_code,
        amounts.period_type,
        amounts.period_start,
        cast(case when amounts.quantity_kind = 'value' then amounts.amount end as decimal(18, 2)) as value_eur,
        cast(case when amounts.quantity_kind = 'quantity' then amounts.amount end as decimal(18, 3)) as quantity_kg,
        amounts.valid_from,
        amounts.valid_to
    from amounts
    left join partners
        on amounts.partner_code = partners.office_code and starts_with(amounts.dataset_code, partners.office)
),

-- Without quasi-transit: the two parts as published, and their sum where both exist (missing is not zero).
parts_excluding_transit as (
    select conformed.* replace ('border_crossing_excl_transit' as concept_code)
    from conformed
    where
        conformed.concept_code = 'border_crossing_incl_transit'
        and conformed.flow_kind in ('re_export', 'domestic_product')
),

re_exports as (
    select * from parts_excluding_transit
    where flow_kind = 're_export'
),

domestic_products as (
    select * from parts_excluding_transit
    where flow_kind = 'domestic_product'
),

totals_excluding_transit as (
    select
        re_exports.* replace (
            {{ origin_of_both('re_exports', 'domestic_products') | indent(12) }},
            'total' as flow_kind,
            re_exports.value_eur + domestic_products.value_eur as value_eur,
            {{ both_valid_from('re_exports', 'domestic_products') }} as valid_from,
            {{ both_valid_to('re_exports', 'domestic_products') }} as valid_to
        )
    from re_exports
    inner join domestic_products
        on
            -- Per office code: two codes of one country must not combine their parts.
            {{ same('re_exports', 'domestic_products', cell_of_both_parts) }}
            and {{ both_valid('re_exports', 'domestic_products') }}
    -- Aggregates of countries overlap: they must not be summed.
    where re_exports.member_kind != 'aggregate'
)

select * from conformed
union all by name
select * from parts_excluding_transit
union all by name
select * from totals_excluding_transit
