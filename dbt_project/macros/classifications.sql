{# A class as far as Eurostat states it; a code of nothing but X states nothing. #}
{% macro stated_class(column) -%}
    case when trim({{ column }}, 'X') != '' then {{ column }} end
{%- endmacro %}

{# The one class of a group of rows; none where the rows differ. #}
{% macro only_class(column) -%}
    case when count(distinct coalesce({{ column }}, '')) = 1 then min({{ column }}) end
{%- endmacro %}

{# ISO code of a country of Eurostat's main host, which differs for Greece and the United Kingdom. #}
{% macro country_of_main_host(column) -%}
    case {{ column }} when 'EL' then 'GR' when 'UK' then 'GB' else {{ column }} end
{%- endmacro %}
