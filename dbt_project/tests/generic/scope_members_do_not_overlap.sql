{#
    A scope with a code and also a code below it would count the lower one twice. An excluded code must lie below an
    included one.
#}
{% test scope_members_do_not_overlap(model) %}
    with pairs as (
        select
            wide.scope_code,
            wide.product_code,
            wide.sign,
            narrow.product_code as product_code_below,
            narrow.sign as sign_below,
            narrow.valid_from as valid_from_below
        from {{ model }} as wide
        inner join {{ model }} as narrow
            on
                wide.scope_code = narrow.scope_code
                and wide.nomenclature_code = narrow.nomenclature_code
                and wide.product_code != narrow.product_code
                and (starts_with(narrow.product_code, wide.product_code) or wide.product_code = 'TOTAL')
                and coalesce(wide.valid_to, date '9999-12-31') >= narrow.valid_from
                and coalesce(narrow.valid_to, date '9999-12-31') >= wide.valid_from
    )

    select
        scope_code,
        product_code,
        product_code_below
    from pairs
    where sign = sign_below or sign < sign_below
    union all
    select
        members.scope_code,
        members.product_code,
        null as product_code_below
    from {{ model }} as members
    anti join pairs
        on
            members.scope_code = pairs.scope_code
            and members.product_code = pairs.product_code_below
            and members.valid_from = pairs.valid_from_below
            and pairs.sign = 1
    where members.sign = -1
{% endtest %}
