-- Law: a cell of a partner set has one current value. Two would be summed silently in the marts; it means that a load
-- marked a cell as new that an earlier load already had.
{% for dataset in ['cbs_85429ned', 'cbs_85427ned', 'eurostat_ds_045409'] %}
    select
        '{{ dataset }}' as dataset_code,
        cells.panel,
        cells.said_again
    from (
        select
            panel,
            columns(* exclude (panel, load_id, request_no, office_value, valid_from, valid_to)),
            count(*) as said_again
        from {{ ref('int_' ~ dataset ~ '_statements') }}
        where valid_to is null
        group by all
    ) as cells
    where cells.said_again > 1
    {{ 'union all' if not loop.last }}
{% endfor %}
