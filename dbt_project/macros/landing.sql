{# A load exists once its commit marker does; rows in other folders are ignored. #}
{% macro only_committed() -%}
    load_id in (select load_id from {{ source('landing', 'loads') }})
{%- endmacro %}

{# Figure in the warehouse's unit. Doubles, because multiplying two decimals yields a wide, slow one. #}
{% macro in_own_unit(office_value, factor) -%}
    cast({{ office_value }} as double) * cast({{ factor }} as double)
{%- endmacro %}

{# True if a period code is a month: `2024MM01` of CBS, `2024-01` of Eurostat. #}
{% macro is_month(period_code) -%}
    ({{ period_code }} like '____MM__' or {{ period_code }} like '____-__')
{%- endmacro %}

{# First day of the month or year of a period code. #}
{% macro first_day_of(period_code) -%}
    make_date(
        cast({{ period_code }}[1:4] as integer),
        case when {{ is_month(period_code) }} then cast(right({{ period_code }}, 2) as integer) else 1 end,
        1
    )
{%- endmacro %}
