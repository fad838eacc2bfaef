{# One definition per metric. Formulas: docs/marts.md. #}

{# Ratio of two sums of one source, concept, scope and vintage; null where the denominator is zero or null. #}
{% macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0))
{%- endmacro %}

{# Growth on the same period a year earlier, per cent. Null without a positive base: missing is not zero. #}
{% macro growth_pct(value, base) -%}
    case when {{ base }} > 0 then 100 * ({{ ratio(value, base) }} - 1) end
{%- endmacro %}

{# Change of a share between two periods, percentage points. #}
{% macro share_change_pp(value, total, base, total_base) -%}
    100 * ({{ ratio(value, total) }} - {{ ratio(base, total_base) }})
{%- endmacro %}

{# Contribution to the growth of the total, in percentage points of the total's base. Sums to the total's growth. #}
{% macro contribution_pp(value, base, total_base) -%}
    100 * {{ ratio('(coalesce(' ~ value ~ ', 0) - coalesce(' ~ base ~ ', 0))', total_base) }}
{%- endmacro %}

{# Deviation of a logarithm from its level or from its value a year earlier, whichever is nearer. #}
{% macro nearer_deviation(value, level, year_before) -%}
    case
        when {{ year_before }} is null or abs({{ value }} - {{ level }}) <= abs({{ value }} - {{ year_before }})
            then {{ value }} - {{ level }}
        else {{ value }} - {{ year_before }}
    end
{%- endmacro %}
