{# A load exists once its commit marker does: rows of other folders are not there for anybody. #}
{% macro only_committed() -%}
    load_id in (select load_id from {{ source('landing', 'loads') }})
{%- endmacro %}
