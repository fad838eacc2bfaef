-- Exports of enterprises by their activity and by partner, current figures. Grain: reporter, activity, partner, year.
with statements as (
    {{ cell_statements(
        'stg_landing__changes',
        [
            'frequency_code', 'flow_code', 'activity_code', 'partner_code', 'reporter_code', 'period_code',
            'measure_code',
        ],
        dataset='eurostat_ext_tec03'
    ) | indent(4) }}
),

measures as (
    select * from {{ ref('stg_landing__measures') }}
),

activities as (
    select * from {{ ref('office_activities') }}
    where office = 'eurostat'
)

select
    {{ country_of_main_host('statements.reporter_code') }} as reporter_code,
    activities.activity_code,
    {{ country_of_main_host('statements.partner_code') }} as partner_code,
    cast(statements.period_code as integer) as year,
    cast(
        max({{ in_own_unit('statements.office_value', 'measures.factor') }}) filter (
            where measures.canonical_unit = 'COUNT'
        ) as integer
    ) as n_exporters,
    cast(
        max({{ in_own_unit('statements.office_value', 'measures.factor') }}) filter (
            where measures.canonical_unit = 'EUR'
        ) as decimal(18, 2)
    ) as value_eur,
    max(statements.valid_from) as vintage_at
from statements
inner join measures
    on statements.load_id = measures.load_id and statements.measure_code = measures.measure_code
inner join activities on statements.activity_code = activities.office_code
where statements.valid_to is null and statements.frequency_code = 'A' and statements.flow_code = 'EXP'
group by all
