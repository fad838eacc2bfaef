{#
    True if a product row belongs to a scope: same nomenclature and code, a member valid for that office, on the first
    day of the month.
#}
{% macro is_member(members, rows, month="month") -%}
    {{ rows }}.nomenclature_code = {{ members }}.nomenclature_code
    and {{ rows }}.product_code = {{ members }}.product_code
    and ({{ members }}.source_code is null or {{ rows }}.source_code = {{ members }}.source_code)
    and {{ rows }}.{{ month }} >= {{ members }}.valid_from
    and ({{ members }}.valid_to is null or {{ rows }}.{{ month }} <= {{ members }}.valid_to)
{%- endmacro %}
