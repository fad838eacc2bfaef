{# Fails for each row where the expression is false; null passes. #}
{% test expression_is_true(model, expression, where_clause='true') %}
    select *
    from {{ model }}
    where {{ where_clause }} and not ({{ expression }})
{% endtest %}
