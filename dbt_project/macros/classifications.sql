{# A class as far as Eurostat states it; a code of nothing but X states nothing. #}
{% macro stated_class(column) -%}
    case when trim({{ column }}, 'X') != '' then {{ column }} end
{%- endmacro %}

{# The one class of a group of rows; none where the rows differ. #}
{% macro only_class(column) -%}
    case when count(distinct coalesce({{ column }}, '')) = 1 then min({{ column }}) end
{%- endmacro %}
