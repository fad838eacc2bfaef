{# A scope that holds a code and also a code below it would count the lower one twice. #}
{% test scope_members_do_not_overlap(model) %}
    select
        wide.scope_code,
        wide.product_code,
        narrow.product_code as product_code_below
    from {{ model }} as wide
    inner join {{ model }} as narrow
        on
            wide.scope_code = narrow.scope_code
            and wide.nomenclature_code = narrow.nomenclature_code
            and wide.product_code != narrow.product_code
            and (starts_with(narrow.product_code, wide.product_code) or wide.product_code = 'TOTAL')
            and coalesce(wide.valid_to, date '9999-12-31') >= narrow.valid_from
            and coalesce(narrow.valid_to, date '9999-12-31') >= wide.valid_from
{% endtest %}
