{# Fails for each row where the expression is false; a null result is not a failure. #}
{% test expression_is_true(model, expression, where_clause='true') %}
    select *
    from {{ model }}
    where {{ where_clause }} and not ({{ expression }})
{% endtest %}
