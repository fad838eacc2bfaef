{#
    Table macros for common cuts of rpt_destination_shares, created after it. Defaults are set in the queries, so that
    published macros show them and the content hash covers them.
#}
{% macro create_destination_share(relation) -%}
    create or replace macro {{ relation.schema }}.destination_share(
        scope := null, reporter := null, source := null, concept := null, destination := null
    ) as table
    select
        shares.month,
        shares.destination_code,
        shares.destination_name_en,
        shares.destination_name_nl,
        shares.is_complete,
        shares.value_eur,
        shares.total_eur,
        shares.share,
        shares.share_lower,
        shares.share_upper,
        shares.share_r12,
        shares.source_code,
        shares.concept_code,
        shares.scope_code,
        shares.reporter_code,
        shares.vintage_at
    from {{ relation.schema }}.{{ relation.identifier }} as shares
    where
        shares.scope_code = coalesce(scope, 'metal_core_hs')
        and shares.reporter_code = coalesce(reporter, 'NL')
        and shares.source_code = coalesce(source, 'EUROSTAT')
        and shares.concept_code = coalesce(concept, 'community')
        and (destination is null or shares.destination_code = destination)
    order by shares.month, shares.destination_code
{%- endmacro %}

{% macro comment_on_destination_share(relation) -%}
    {%- set text -%}
Monthly shares of one view, from rpt_destination_shares: one row a month and destination. Defaults: scope
metal_core_hs, reporter NL, source EUROSTAT, concept community, all destinations. A value that does not exist gives no
rows.
    {%- endset -%}
    comment on macro table {{ relation.schema }}.destination_share is '{{ text | replace('\n', ' ') }}'
{%- endmacro %}

{% macro create_top_destinations(relation) -%}
    create or replace macro {{ relation.schema }}.top_destinations(
        scope := null, reporter := null, source := null, concept := null, to_month := null, n := null
    ) as table
    with months as (
        select shares.*
        from {{ relation.schema }}.{{ relation.identifier }} as shares
        where
            shares.scope_code = coalesce(scope, 'metal_core_hs')
            and shares.reporter_code = coalesce(reporter, 'NL')
            and shares.source_code = coalesce(source, 'EUROSTAT')
            and shares.concept_code = coalesce(concept, 'community')
            and shares.destination_rank_r12 is not null
    ),

    ranked as (
        select months.*
        from months
        qualify months.month = coalesce(cast(to_month as date), max(months.month) over ())
    )

    select
        ranked.destination_rank_r12,
        ranked.destination_code,
        ranked.destination_name_en,
        ranked.destination_name_nl,
        ranked.value_r12_eur,
        ranked.share_r12,
        ranked.month,
        ranked.source_code,
        ranked.concept_code,
        ranked.scope_code,
        ranked.reporter_code,
        ranked.vintage_at
    from ranked
    where ranked.destination_rank_r12 <= coalesce(n, 10)
    order by ranked.destination_rank_r12, ranked.destination_code
{%- endmacro %}

{% macro comment_on_top_destinations(relation) -%}
    {%- set text -%}
Largest destinations of one view over the 12 months up to and including to_month, from rpt_destination_shares: one
row a country. Defaults: scope metal_core_hs, reporter NL, source EUROSTAT, concept community, to_month the newest month
that has shares over 12 months, n 10. A value that does not exist gives no rows.
    {%- endset -%}
    comment on macro table {{ relation.schema }}.top_destinations is '{{ text | replace('\n', ' ') }}'
{%- endmacro %}
