{# Class to the detail that Eurostat publishes; null if the code is only X. #}
{% macro stated_class(column) -%}
    case when trim({{ column }}, 'X') != '' then {{ column }} end
{%- endmacro %}

{# The single class of a group of rows; null where the rows differ. #}
{% macro only_class(column) -%}
    case when count(distinct coalesce({{ column }}, '')) = 1 then min({{ column }}) end
{%- endmacro %}

{# ISO code of a country in Eurostat's main API, which differs for Greece and the United Kingdom. #}
{% macro country_of_main_host(column) -%}
    case {{ column }} when 'EL' then 'GR' when 'UK' then 'GB' else {{ column }} end
{%- endmacro %}
