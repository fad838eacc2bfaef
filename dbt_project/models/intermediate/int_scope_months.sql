-- Denominator of a scope in a month, and whether the month can have shares.
--
-- Grain: source, concept, scope, reporter, month.
{% set usual_months = 12 %}
{% set fewest_months = 6 %}
{#
    A month that is filling up has a quarter of its figures. In the recorded extraction of CN 39201023 a threshold of
    nine tenths on the number alone would hold back 196 of 638 final months of all reporters, 8 of them Dutch: the
    smallest partners of a small product come and go. Half, on both number and value, holds back 11.
#}
{% set least_of_usual = 0.5 %}

with exports as (
    select * from {{ ref('int_exports_by_concept') }}
),

totals as (
    select * from {{ ref('int_totals_by_concept') }}
    where period_type = 'month'
),

members as (
    select * from {{ ref('int_scopes_unioned') }}
),

panels as (
    select
        *,
        {{ source_of('dataset_code') }} as source_code
    from {{ ref('int_panels_in_force') }}
    where valid_to is null
),

datasets as (
    select * from {{ ref('int_datasets_loaded') }}
),

eu_members as (
    select * from {{ ref('country_groups') }}
    where group_code = 'EU'
),

product_months as (
    select
        source_code,
        concept_code,
        reporter_code,
        nomenclature_code,
        product_code,
        month,
        any_value(dataset_code) as dataset_code,
        min(vintage_at) as vintage_at,
        -- Like unallocated, a code missing from the lists may be any country.
        sum(value_eur) filter (where destination_code in ('unallocated', 'unmapped')) as unallocated_eur,
        sum(value_eur) filter (where destination_code = 'not_loaded') as not_loaded_eur
    from exports
    group by all
),

-- A product counts if the office published anything on it in the month: its total, a destination, or both.
joined as (
    select
        coalesce(totals.source_code, product_months.source_code) as source_code,
        coalesce(totals.concept_code, product_months.concept_code) as concept_code,
        coalesce(totals.reporter_code, product_months.reporter_code) as reporter_code,
        coalesce(totals.nomenclature_code, product_months.nomenclature_code) as nomenclature_code,
        coalesce(totals.product_code, product_months.product_code) as product_code,
        coalesce(totals.period_start, product_months.month) as month,
        coalesce(totals.dataset_code, product_months.dataset_code) as dataset_code,
        coalesce(totals.vintage_at, product_months.vintage_at) as vintage_at,
        totals.value_eur as total_eur,
        product_months.unallocated_eur,
        product_months.not_loaded_eur
    from totals
    full outer join product_months
        on
            {{ same('totals', 'product_months', [
                'source_code', 'concept_code', 'reporter_code', 'nomenclature_code', 'product_code'
            ]) }}
            and totals.period_start = product_months.month
),

summed as (
    select
        joined.source_code,
        joined.concept_code,
        members.scope_code,
        joined.reporter_code,
        joined.month,
        any_value(joined.dataset_code) as dataset_code,
        any_value(joined.nomenclature_code) as nomenclature_code,
        sum(members.sign * joined.total_eur) as total_eur,
        -- Per member: unknown exports of one do not offset those of another.
        coalesce(sum(greatest(joined.unallocated_eur, 0)) filter (where members.sign = 1), 0) as unallocated_eur,
        coalesce(sum(greatest(joined.not_loaded_eur, 0)) filter (where members.sign = 1), 0) as not_loaded_eur,
        coalesce(
            sum(greatest(joined.unallocated_eur, 0) + greatest(joined.not_loaded_eur, 0)) filter (
                where members.sign = -1
            ),
            0
        ) as not_known_taken_out_eur,
        count(*) as n_products,
        count(joined.total_eur) as n_products_with_total,
        count(distinct joined.vintage_at) as n_vintages,
        max(joined.vintage_at) as vintage_at
    from joined
    inner join members
        on
            {{ is_member('members', 'joined') }}
    group by all
),

-- Cells of intra-EU trade: a product and a country that was a member in that month.
intra_eu as (
    select
        exports.source_code,
        exports.concept_code,
        members.scope_code,
        exports.reporter_code,
        exports.month,
        count(*) as n_cells,
        sum(members.sign * exports.value_eur) as value_eur
    from exports
    inner join members
        on
            {{ is_member('members', 'exports') }}
    inner join eu_members
        on
            exports.destination_code = eu_members.country_code
            and exports.month >= eu_members.valid_from
            and (eu_members.valid_to is null or exports.month <= eu_members.valid_to)
    group by all
),

-- Products that the scope covers, and those requested. A requested product without a row was not traded; one not
-- requested is unknown, and a sum without it is not the scope's.
asked as (
    select
        members.scope_code,
        panels.dataset_code,
        panels.reporter_code,
        panels.month,
        count(*) as n_asked
    from panels
    inner join members
        on
            {{ is_member('members', 'panels') }}
    group by all
),

declared as (
    select
        months.scope_code,
        months.dataset_code,
        months.month,
        count(*) filter (
            where months.month >= members.valid_from and (members.valid_to is null or months.month <= members.valid_to)
        ) as n_declared,
        -- Start of the current composition of goods. Only a dated scope changes it; elsewhere codes replace each other.
        case
            when bool_or(members.is_dated)
                then greatest(
                    max(members.valid_from) filter (where members.valid_from <= months.month),
                    max(members.valid_to + 1) filter (where members.valid_to < months.month)
                )
        end as same_goods_from
    from (
        select distinct
            scope_code,
            source_code,
            dataset_code,
            nomenclature_code,
            month
        from summed
    ) as months
    inner join members
        on
            months.scope_code = members.scope_code
            and months.nomenclature_code = members.nomenclature_code
            and (members.source_code is null or months.source_code = members.source_code)
    group by all
),

-- Intra-EU partners report later than the others: a total can exist before all of them do. A short history does not
-- establish what is usual; without intra-EU trade nothing is usual.
compared as (
    select
        summed.*,
        coalesce(intra_eu.n_cells, 0) as n_intra_eu_cells,
        median(coalesce(intra_eu.n_cells, 0)) over months_before as usual_intra_eu_cells,
        coalesce(intra_eu.value_eur, 0) as intra_eu_eur,
        median(coalesce(intra_eu.value_eur, 0)) over months_before as usual_intra_eu_eur,
        count(*) over months_before as n_months_before,
        coalesce(asked.n_asked, 0) as n_asked,
        declared.n_declared,
        declared.same_goods_from
    from summed
    inner join declared
        on
            summed.scope_code = declared.scope_code
            and summed.dataset_code = declared.dataset_code
            and summed.month = declared.month
    left join asked
        on
            {{ same('summed', 'asked', ['scope_code', 'dataset_code', 'reporter_code', 'month']) }}
    left join intra_eu
        on
            {{ same('summed', 'intra_eu', ['source_code', 'concept_code', 'scope_code', 'reporter_code', 'month']) }}
    window months_before as (
        partition by summed.source_code, summed.concept_code, summed.scope_code, summed.reporter_code
        order by summed.month
        range between interval {{ usual_months }} months preceding and interval 1 month preceding
    )
),

judged as (
    select
        *,
        case
            when n_asked < n_declared then 'product_not_loaded'
            when n_products_with_total = 0 then 'office_total_missing'
            when n_products_with_total < n_products then 'product_total_missing'
            when n_vintages > 1 then 'mixed_vintages'
            when
                n_months_before >= {{ fewest_months }}
                and n_intra_eu_cells < {{ least_of_usual }} * usual_intra_eu_cells
                and intra_eu_eur < {{ least_of_usual }} * usual_intra_eu_eur
                then 'intra_eu_incomplete'
        end as incomplete_reason
    from compared
)

select
    judged.source_code,
    judged.concept_code,
    judged.scope_code,
    judged.reporter_code,
    judged.month,
    judged.incomplete_reason is null as is_complete,
    judged.incomplete_reason,
    case when judged.incomplete_reason is null then judged.total_eur end as total_eur,
    case when judged.incomplete_reason is null then judged.unallocated_eur end as unallocated_eur,
    case when judged.incomplete_reason is null then judged.not_loaded_eur end as not_loaded_eur,
    case when judged.incomplete_reason is null then judged.not_known_taken_out_eur end as not_known_taken_out_eur,
    judged.same_goods_from,
    datasets.rounding_unit_eur,
    judged.vintage_at
from judged
left join datasets on judged.dataset_code = datasets.dataset_code
