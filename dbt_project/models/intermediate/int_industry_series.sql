-- Current monthly industry figures, in the warehouse's own codes.
--
-- Grain: source, reporter, activity, figure, month.
with statements as (
    {{ cell_statements(
        'int_industry_changes',
        [
            'dataset_code', 'reporter_code', 'office_activity_code', 'indicator_code', 'market_code', 'adjustment_code',
            'period_code', 'measure_code',
        ]
    ) | indent(4) }}
),

activities as (
    select * from {{ ref('office_activities') }}
),

-- Meaning of each series. Series missing from the seed are ignored.
series as (
    select * from {{ ref('industry_series') }}
)

select
    {{ source_of('statements.dataset_code') }} as source_code,
    statements.dataset_code,
    {{ country_of_main_host('statements.reporter_code') }} as reporter_code,
    activities.activity_code,
    series.figure_code,
    series.unit_code,
    case
        when 'unverified' in (series.confidence, activities.confidence) then 'unverified' else series.confidence
    end as confidence,
    make_date(
        cast(statements.period_code[1:4] as integer), cast(right(statements.period_code, 2) as integer), 1
    ) as month,
    cast(statements.office_value as double) as amount,
    statements.load_id,
    statements.request_no,
    statements.valid_from as vintage_at
from statements
inner join series
    on
        {{ same('statements', 'series', [
            'dataset_code', 'indicator_code', 'market_code', 'adjustment_code', 'measure_code'
        ]) }}
inner join activities
    on
        statements.office_activity_code = activities.office_code
        and starts_with(statements.dataset_code, activities.office)
where statements.valid_to is null
