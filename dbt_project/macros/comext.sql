{# Comext datasets that the facts read, each with the nomenclature of its products. #}
{% macro comext_datasets() -%}
    {{ return({
        "eurostat_ds_045409": "CN",
        "eurostat_ds_059331": "SITC",
        "eurostat_ds_059366": "CPA22",
    }) }}
{%- endmacro %}

{# Statements of a Comext dataset in the warehouse's own codes and units: one row a cell, euros or kilograms. #}
{% macro comext_conformed(dataset) -%}
    with statements as (
        select * from {{ ref('int_' ~ dataset ~ '_statements') }}
        -- Monthly exports; the dataset has years and imports too.
        where frequency_code = 'M' and flow_code = '2'
    ),

    measures as (
        select * from {{ ref('stg_' ~ dataset ~ '__measures') }}
    ),

    measure_meanings as (
        select * from {{ ref('office_measures') }}
        where dataset_code = '{{ dataset }}'
    ),

    partners as (
        select * from {{ ref('int_partners') }}
        where office = 'eurostat'
    ),

    datasets as (
        select * from {{ ref('stg_journal__datasets') }}
        where dataset_code = '{{ dataset }}'
    ),

    meant as (
        select
            statements.*,
            measure_meanings.flow_kind,
            measure_meanings.quantity_kind,
            cast(strptime(statements.period_code, '%Y-%m') as date) as period_start,
            {{ in_own_unit('statements.office_value', 'measures.factor') }} as amount
        from statements
        inner join measures
            on statements.load_id = measures.load_id and statements.measure_code = measures.measure_code
        inner join measure_meanings on statements.measure_code = measure_meanings.measure_code
    ),

    values_eur as (
        select * from meant
        where quantity_kind = 'value'
    ),

    -- A quantity counts while there is a value beside it. The reply that brought the newer of both brought the figure:
    -- a value that was revised beside an unchanged weight must not lead back to the reply with the old one.
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
            on
                amounts.panel = values_eur.panel
                and amounts.reporter_code = values_eur.reporter_code
                and amounts.partner_code = values_eur.partner_code
                and amounts.office_product_code = values_eur.office_product_code
                and amounts.period_start = values_eur.period_start
                and {{ both_valid('amounts', 'values_eur') }}
        where amounts.quantity_kind = 'quantity'
    ),

    office_totals as (
        select meant.*
        from meant
        inner join datasets on meant.partner_code = datasets.total_partner
    ),

    first_parts as (
        select
            meant.*,
            datasets.total_partner
        from meant
        inner join datasets on meant.partner_code = datasets.total_parts[1]
    ),

    second_parts as (
        select meant.*
        from meant
        inner join datasets on meant.partner_code = datasets.total_parts[2]
    ),

    -- Where the office gives no total, it is the sum of its two parts; where only one of them is there it is missing.
    derived_totals as (
        select
            first_parts.* exclude (total_partner)
            replace (
                first_parts.total_partner as partner_code,
                {{ origin_of_both('first_parts', 'second_parts') | indent(16) }},
                first_parts.amount + second_parts.amount as amount,
                {{ both_valid_from('first_parts', 'second_parts') }} as valid_from,
                {{ both_valid_to('first_parts', 'second_parts') }} as valid_to
            )
        from first_parts
        inner join second_parts
            on
                {{ same('first_parts', 'second_parts', [
                    'panel', 'reporter_code', 'office_product_code', 'period_start', 'measure_code'
                ]) }}
                and {{ both_valid('first_parts', 'second_parts') }}
        anti join office_totals
            on
                {{ same('first_parts', 'office_totals', [
                    'panel', 'reporter_code', 'office_product_code', 'period_start', 'measure_code'
                ]) }}
    ),

    cells as (
        select * from values_eur
        union all by name
        select * from quantities
        union all by name
        select * from derived_totals
    )

    select
        cells.panel,
        cells.load_id,
        cells.request_no,
        cells.reporter_code,
        cells.office_product_code,
        'community' as concept_code,
        cells.flow_kind,
        partners.member_kind,
        partners.destination_code,
        'month' as period_type,
        cells.period_start,
        cast(case when cells.quantity_kind = 'value' then cells.amount end as decimal(18, 2)) as value_eur,
        cast(case when cells.quantity_kind = 'quantity' then cells.amount end as decimal(18, 3)) as quantity_kg,
        cells.valid_from,
        cells.valid_to
    from cells
    left join partners on cells.partner_code = partners.office_code
{%- endmacro %}
