with relatives as (
    select * from {{ ref('int_item_price_relatives') }}
),

months as (
    select * from {{ ref('int_scope_destination_months') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

-- The same cells, per destination and for all together. Amounts are decimals of ten places, so that sums do not depend
-- on the order, and a cell of a few euros keeps the digits of its index.
summed as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        coalesce(destination_code, 'total') as destination_code,
        period_type,
        period_start,
        year,
        min(length(item_code)) as item_level,
        cast(count(*) filter (where not is_outlier) as integer) as n_cells,
        cast(count(*) filter (where is_outlier) as integer) as n_outliers,
        sum(value_eur) filter (where not is_outlier) as matched_eur,
        sum(value_before_eur) filter (where not is_outlier) as matched_before_eur,
        sum(cast(cast(value_before_eur as double) * price_relative as decimal(38, 10)))
        filter (where not is_outlier) as before_at_new_prices_eur,
        sum(cast(cast(value_eur as double) / price_relative as decimal(38, 10)))
        filter (where not is_outlier) as new_at_prices_before_eur
    from relatives
    group by grouping sets (
        (source_code, concept_code, scope_code, reporter_code, period_type, period_start, year, destination_code),
        (source_code, concept_code, scope_code, reporter_code, period_type, period_start, year)
    )
),

indexed as (
    select
        *,
        {{ ratio('before_at_new_prices_eur', 'matched_before_eur') }} as laspeyres,
        {{ ratio('matched_eur', 'new_at_prices_before_eur') }} as paasche
    from summed
    where n_cells > 0
),

fisher as (
    select
        *,
        sqrt(laspeyres * paasche) as fisher
    from indexed
),

-- The first year with a year before it is the base 1; a year without a link breaks the chain.
links as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        year,
        exp(sum(ln(fisher)) over chain) as level,
        count(*) over chain as n_links,
        year - min(year) over (partition by source_code, concept_code, scope_code, reporter_code) + 1 as n_years
    from fisher
    where period_type = 'year'
    window chain as (
        partition by source_code, concept_code, scope_code, reporter_code, destination_code order by year
    )
),

first_links as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        min(year) as year
    from fisher
    where period_type = 'year'
    group by all
),

-- All exports to the destination: the base of the coverage of the compared cells.
values_eur as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        month,
        value_eur
    from months
    where is_complete and value_eur is not null
    union all by name
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        'total' as destination_code,
        month,
        total_eur as value_eur
    from scope_months
    where is_complete
),

yearly_values as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        year(month) as year,
        sum(value_eur) / 12 as mean_eur
    from values_eur
    group by all
),

measured as (
    select
        fisher.source_code,
        fisher.concept_code,
        fisher.scope_code,
        fisher.reporter_code,
        fisher.destination_code,
        fisher.period_start as month,
        fisher.item_level,
        fisher.n_cells,
        fisher.n_outliers,
        values_eur.value_eur,
        {{ ratio('fisher.matched_eur', 'values_eur.value_eur') }} as coverage_share,
        fisher.laspeyres,
        fisher.paasche,
        fisher.fisher,
        case
            when fisher.year = first_links.year then fisher.fisher
            when links.n_links = links.n_years then links.level * fisher.fisher
        end as chained,
        {{ ratio('values_eur.value_eur', 'yearly_values.mean_eur') }} as value_ratio,
        scope_months.vintage_at
    from fisher
    inner join values_eur
        on
            {{ same('fisher', 'values_eur', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
            and fisher.period_start = values_eur.month
    inner join scope_months
        on
            {{ same('fisher', 'scope_months', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
            and fisher.period_start = scope_months.month
    inner join yearly_values
        on
            {{ same('fisher', 'yearly_values', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
            and fisher.year = yearly_values.year + 1
    left join first_links
        on
            {{ same('fisher', 'first_links', ['source_code', 'concept_code', 'scope_code', 'reporter_code']) }}
    left join links
        on
            {{ same('fisher', 'links', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
            and fisher.year = links.year + 1
    where fisher.period_type = 'month'
)

select
    measured.source_code,
    measured.concept_code,
    measured.scope_code,
    measured.reporter_code,
    measured.destination_code,
    coalesce(countries.country_name_en, 'All destinations') as destination_name_en,
    coalesce(countries.country_name_nl, 'Alle bestemmingen') as destination_name_nl,
    measured.month,
    measured.value_eur,
    cast(measured.item_level as integer) as item_level,
    -- Below eight digits a change in the composition of a good shows as a change of its price.
    measured.item_level < 8 as is_average_price,
    measured.n_cells,
    measured.n_outliers,
    measured.coverage_share,
    100 * measured.laspeyres as unit_value_laspeyres,
    100 * measured.paasche as unit_value_paasche,
    100 * measured.fisher as unit_value_index,
    100 * measured.chained as unit_value_index_chained,
    100 * measured.value_ratio as value_index,
    100 * {{ ratio('measured.value_ratio', 'measured.fisher') }} as volume_index,
    measured.vintage_at
from measured
left join countries on measured.destination_code = countries.country_code
