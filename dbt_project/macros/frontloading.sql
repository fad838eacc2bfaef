{# Whether a month can be held against the months that a baseline is fitted on: it carries shares, of the same goods. #}
{% macro is_comparable(scope_months, fit_from) -%}
    {{ scope_months }}.is_complete and coalesce({{ scope_months }}.same_goods_from <= {{ fit_from }}, true)
{%- endmacro %}
