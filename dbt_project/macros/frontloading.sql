{# True if a month is comparable with the fit period of a baseline: it has shares, and the same goods. #}
{% macro is_comparable(scope_months, fit_from) -%}
    {{ scope_months }}.is_complete and coalesce({{ scope_months }}.same_goods_from <= {{ fit_from }}, true)
{%- endmacro %}
