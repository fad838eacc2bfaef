{# A load exists once its commit marker does: rows of other folders are not there for anybody. #}
{% macro only_committed() -%}
    load_id in (select load_id from {{ source('landing', 'loads') }})
{%- endmacro %}

{# Columns of a landing table `changes`: what the office said anew, by the roles of the dataset's dimensions. #}
{% macro landed_changes(roles) -%}
    {%- set names = {
        "freq": "frequency_code",
        "reporter": "reporter_code",
        "partner": "partner_code",
        "product": "office_product_code",
        "flow": "flow_code",
        "market": "market_code",
        "activity": "activity_code",
        "size_class": "size_class_code",
        "margin": "margin_code",
        "adjustment": "adjustment_code",
        "indicator": "indicator_code",
        "statistic": "statistic_code",
        "currency": "currency_code",
        "predecessor": "predecessor_code",
        "successor": "successor_code",
        "valid_from": "first_day",
        "valid_to": "last_day",
        "title": "product_title",
        "title_from": "title_first_day",
        "title_to": "title_last_day",
        "period": "period_code",
    } -%}
    {%- set dimensions = [] -%}
    {%- for role in roles -%}
        {%- do dimensions.append(role ~ " as " ~ names[role]) -%}
    {%- endfor -%}
    load_id,
    request_no,
    change_kind,
    {{ dimensions | join(",\n    ") }},
    measure as measure_code,
    -- Of 18 digits: wider decimals are computed in software, and cost more than all else.
    cast(value as decimal(18, 4)) as office_value,
    status as office_status,
    confidentiality
{%- endmacro %}

{# Columns of a landing table `coverage`: what a load asked for. #}
{% macro landed_coverage() -%}
    load_id,
    reporter_code,
    product_code as office_product_code,
    first_month,
    last_month,
    has_all_partners,
    panel
{%- endmacro %}

{# Columns of a landing table `measures`: units as stated and as declared. #}
{% macro landed_measures() -%}
    load_id,
    measure_code,
    stated_unit,
    declared_unit,
    canonical_unit,
    cast(factor as decimal(18, 4)) as factor
{%- endmacro %}

{# Columns of the period list in a CBS landing table `codes`. #}
{% macro landed_periods() -%}
    load_id,
    code as period_code,
    title as period_title,
    status as period_status
{%- endmacro %}

{# Columns of the partner list in a CBS landing table `codes`. #}
{% macro landed_partners() -%}
    load_id,
    code as partner_code,
    title as partner_name,
    group_id
{%- endmacro %}

{# A figure in the warehouse's unit. In doubles: the product of two decimals is a wide one, and slow. #}
{% macro in_own_unit(office_value, factor) -%}
    cast({{ office_value }} as double) * cast({{ factor }} as double)
{%- endmacro %}
