{# CBS tables that the facts read. #}
{% macro cbs_goods_tables() -%}
    {{ return(["cbs_85429ned", "cbs_85427ned"]) }}
{%- endmacro %}

{# Statements of a CBS goods table in the warehouse's own codes and euros: months and years side by side. #}
{% macro cbs_goods_conformed(dataset, statements, measures) -%}
    with statements as (
        select * from {{ ref(statements) }}
    ),

    measures as (
        select * from {{ ref(measures) }}
    ),

    measure_meanings as (
        select * from {{ ref('office_measures') }}
        where dataset_code = '{{ dataset }}'
    ),

    partners as (
        select * from {{ ref('int_partners') }}
        where office = 'cbs'
    )

    select
        statements.panel,
        statements.load_id,
        statements.request_no,
        statements.partner_code,
        statements.office_product_code,
        measure_meanings.flow_kind,
        partners.member_kind,
        partners.destination_code,
        case when statements.period_code like '____MM__' then 'month' else 'year' end as period_type,
        case
            when statements.period_code like '____MM__'
                then make_date(
                    cast(statements.period_code[1:4] as integer), cast(statements.period_code[7:8] as integer), 1
                )
            else make_date(cast(statements.period_code[1:4] as integer), 1, 1)
        end as period_start,
        cast({{ in_own_unit('statements.office_value', 'measures.factor') }} as decimal(18, 2)) as value_eur,
        statements.valid_from,
        statements.valid_to
    from statements
    inner join measures
        on statements.load_id = measures.load_id and statements.measure_code = measures.measure_code
    inner join measure_meanings on statements.measure_code = measure_meanings.measure_code
    left join partners on statements.partner_code = partners.office_code
    -- Quarters and weeks, which other tables have, would be added to their year.
    where statements.period_code like '____MM__' or statements.period_code like '____JJ__'
{%- endmacro %}
