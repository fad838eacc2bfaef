{#
    Observation intervals of a cell: from the vintage that brought a value to the one that changed it.

    `changes` (name of a staging model) holds only the cells that a load changed, so a cell's intervals are its changes
    in vintage order. Loads with another partner set are another series. A cell without a value (withdrawn, or a reason
    instead of a figure) has no interval.

    cell: columns that identify a cell, including the measure.
    dataset: restricts the changes to one dataset; default all.
#}
{% macro cell_statements(changes, cell, dataset=none) -%}
    {%- set key = ['panel'] + cell -%}
    {%- set same_cell -%}
        {%- for column in key -%}
            changes.{{ column }} = said_again.{{ column }}{{ ' and ' if not loop.last }}
        {%- endfor -%}
    {%- endset -%}
    with loads as (
        select * from {{ ref('stg_landing__loads') }}
    ),

    changes as (
        select
            landed.*,
            loads.panel,
            loads.vintage_at,
            loads.retrieved_at
        from {{ ref(changes) }} as landed
        inner join loads on landed.load_id = loads.load_id
        {{ "where landed.dataset_code = '" ~ dataset ~ "'" if dataset }}
    ),

    -- Most cells have one change; only the others need sorting.
    said_again as (
        select distinct {{ key | join(', ') }}
        from changes
        where change_kind != 'new'
    ),

    said as (
        select
            changes.*,
            cast(null as timestamp) as next_vintage_at
        from changes
        anti join said_again on {{ same_cell }}
        union all by name
        select
            changes.*,
            lead(changes.vintage_at) over (
                partition by {% for column in key %}changes.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
                order by changes.vintage_at, changes.retrieved_at, changes.load_id
            ) as next_vintage_at
        from changes
        semi join said_again on {{ same_cell }}
    )

    select
        panel,
        load_id,
        request_no,
        {{ cell | join(',\n        ') }},
        office_value,
        vintage_at as valid_from,
        next_vintage_at as valid_to
    from said
    where office_value is not null and vintage_at is distinct from next_vintage_at
{%- endmacro %}

{# Start and end of the overlap of two observation intervals. #}
{% macro both_valid_from(one, other) -%}
    greatest({{ one }}.valid_from, {{ other }}.valid_from)
{%- endmacro %}

{% macro both_valid_to(one, other) -%}
    least({{ one }}.valid_to, {{ other }}.valid_to)
{%- endmacro %}

{# Origin of a sum of two observations: the response that brought the newer one; within one vintage, the first. #}
{% macro origin_of_both(one, other) -%}
    case
        when {{ one }}.valid_from > {{ other }}.valid_from then {{ one }}.load_id
        when {{ one }}.valid_from < {{ other }}.valid_from then {{ other }}.load_id
        when {{ one }}.request_no <= {{ other }}.request_no then {{ one }}.load_id
        else {{ other }}.load_id
    end as load_id,
    case
        when {{ one }}.valid_from > {{ other }}.valid_from then {{ one }}.request_no
        when {{ one }}.valid_from < {{ other }}.valid_from then {{ other }}.request_no
        else least({{ one }}.request_no, {{ other }}.request_no)
    end as request_no
{%- endmacro %}

{# True if two observation intervals overlap. A null end is open. #}
{% macro both_valid(one, other) -%}
    ({{ one }}.valid_to is null or {{ other }}.valid_from < {{ one }}.valid_to)
    and ({{ other }}.valid_to is null or {{ one }}.valid_from < {{ other }}.valid_to)
{%- endmacro %}

{# Source code of a dataset. #}
{% macro source_of(dataset_code) -%}
    case when starts_with({{ dataset_code }}, 'cbs_') then 'CBS' else 'EUROSTAT' end
{%- endmacro %}

{#
    Table macro `marts.exports_as_of(as_of)`, created after the table that it reads. A date means the whole day: the
    state at its last microsecond, UTC. Any other timestamp is taken as is.
#}
{% macro create_exports_as_of(relation) -%}
    create or replace macro {{ relation.schema }}.exports_as_of(as_of) as table
    with moment as (
        select
            case
                when typeof(as_of) = 'DATE' or (typeof(as_of) = 'VARCHAR' and length(cast(as_of as varchar)) = 10)
                    then cast(as_of as timestamp) + interval 1 day
                when typeof(as_of) = 'TIMESTAMP WITH TIME ZONE'
                    then timezone('UTC', cast(as_of as timestamptz)) + interval 1 microsecond
                else cast(as_of as timestamp) + interval 1 microsecond
            end as ends_at
    )

    select versions.*
    from {{ relation.schema }}.{{ relation.identifier }} as versions
    inner join moment
        on
            versions.valid_from < moment.ends_at
            and (versions.valid_to is null or versions.valid_to >= moment.ends_at)
{%- endmacro %}

{% macro comment_on_exports_as_of(relation) -%}
    comment on macro table {{ relation.schema }}.exports_as_of is
    'Rows of fct_exports_vintages as the offices had them at a moment (UTC). A DATE means the whole day.'
{%- endmacro %}
