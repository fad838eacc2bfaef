-- Exporting enterprises and their exports by size class, current figures, with a sum of the small and medium-sized
-- classes. Grain: reporter, activity, size class, partner group, year.
with statements as (
    {{ cell_statements(
        'stg_landing__changes',
        [
            'frequency_code', 'flow_code', 'activity_code', 'size_class_code', 'partner_code', 'reporter_code',
            'period_code', 'measure_code',
        ],
        dataset='eurostat_ext_tec01'
    ) | indent(4) }}
),

measures as (
    select * from {{ ref('stg_landing__measures') }}
),

activities as (
    select * from {{ ref('office_activities') }}
    where office = 'eurostat'
),

size_classes as (
    select * from {{ ref('enterprise_size_classes') }}
),

amounts as (
    select
        {{ country_of_main_host('statements.reporter_code') }} as reporter_code,
        activities.activity_code,
        statements.size_class_code,
        statements.partner_code as partner_group_code,
        cast(statements.period_code as integer) as year,
        measures.canonical_unit,
        {{ in_own_unit('statements.office_value', 'measures.factor') }} as amount,
        statements.valid_from
    from statements
    inner join measures
        on statements.load_id = measures.load_id and statements.measure_code = measures.measure_code
    inner join activities on statements.activity_code = activities.office_code
    where statements.valid_to is null and statements.frequency_code = 'A' and statements.flow_code = 'EXP'
),

published as (
    select
        amounts.reporter_code,
        amounts.activity_code,
        amounts.size_class_code,
        size_classes.size_kind,
        amounts.partner_group_code,
        amounts.year,
        cast(max(amounts.amount) filter (where amounts.canonical_unit = 'COUNT') as integer) as n_exporters,
        cast(max(amounts.amount) filter (where amounts.canonical_unit = 'EUR') as decimal(18, 2)) as value_eur,
        max(amounts.valid_from) as vintage_at
    from amounts
    left join size_classes on amounts.size_class_code = size_classes.size_class_code
    group by all
),

n_classes as (
    select count(*) as n_small_or_medium
    from size_classes
    where size_kind = 'small_or_medium'
),

-- Below 250 persons employed. An unpublished class is not zero: the sum requires every class.
small_and_medium as (
    select
        published.reporter_code,
        published.activity_code,
        'LT250' as size_class_code,
        'sum_of_small_and_medium' as size_kind,
        published.partner_group_code,
        published.year,
        cast(
            case when count(published.n_exporters) = n_classes.n_small_or_medium then sum(published.n_exporters) end
            as integer
        ) as n_exporters,
        cast(
            case when count(published.value_eur) = n_classes.n_small_or_medium then sum(published.value_eur) end
            as decimal(18, 2)
        ) as value_eur,
        max(published.vintage_at) as vintage_at
    from published
    cross join n_classes
    where published.size_kind = 'small_or_medium'
    group by
        published.reporter_code,
        published.activity_code,
        published.partner_group_code,
        published.year,
        n_classes.n_small_or_medium
)

select * from published
union all by name
select * from small_and_medium
