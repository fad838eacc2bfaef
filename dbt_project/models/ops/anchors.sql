-- Figures published by the offices or the press, each compared with our facts for the same goods, concept, destination
-- and months. Grain: anchor, which is one figure in one vintage.
{#
    CBS revised single months of 2025 by 2.5 to 3.1 % within eight months (figures N03 and N10), the total of 2024 by
    2.7 % and its re-exports by 5.7 % within thirteen (N01, N02 and C02), and states that figures are final about two
    years after the year. Its corrections to final figures of 2015 to 2023 in November 2025 are of unknown size: no
    tolerance is claimed beyond a year.
#}
{% set tolerance_pct = 4 %}
{% set final_tolerance_pct = 1 %}
{% set final_after_months = 24 %}
{% set tolerance_age_months = 12 %}

with figures as (
    select
        *,
        coalesce('scope ' || scope_code, nomenclature_code || ' ' || product_code) as good_code,
        -- Months of a single product are complete if those of all goods are.
        coalesce(scope_code, 'all_goods') as completeness_scope_code,
        case when unit_code = 'mln_eur' then 1000000 else 1 end as unit_factor,
        datediff('month', period_to, published_month) >= {{ final_after_months }} as is_final_when_published,
        -- A later publication for the same goods and months supersedes an earlier one.
        published_month < max(published_month) over (
            partition by
                measure, source_code, concept_code, flow_kind, reporter_code, destination_code, good_code, period_from,
                period_to
        ) as is_superseded
    from {{ ref('published_figures') }}
),

country_groups as (
    select * from {{ ref('country_groups') }}
),

exports as (
    select * from {{ ref('int_exports_by_destination') }}
),

totals as (
    select * from {{ ref('int_export_totals') }}
    where period_type = 'month'
),

scope_exports as (
    select * from {{ ref('int_scope_exports') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
    where is_complete
),

-- Terms of a figure: a value, or one value over another.
terms as (
    select
        anchor_code,
        'numerator' as term,
        source_code,
        concept_code,
        good_code,
        completeness_scope_code,
        flow_kind,
        reporter_code,
        destination_code,
        period_from,
        period_to
    from figures
    union all by name
    select
        anchor_code,
        'denominator' as term,
        source_code,
        concept_code,
        good_code,
        completeness_scope_code,
        flow_kind,
        reporter_code,
        'total' as destination_code,
        period_from,
        period_to
    from figures
    where measure = 'share_of_total'
    union all by name
    -- Eurostat's exports over those of CBS: a ratio of two concepts, hence a separate figure.
    select
        anchor_code,
        'denominator' as term,
        'CBS' as source_code,
        'border_crossing_excl_transit' as concept_code,
        'SITC TOTAL' as good_code,
        completeness_scope_code,
        flow_kind,
        reporter_code,
        destination_code,
        period_from,
        period_to
    from figures
    where measure = 'ratio_to_border_crossing'
),

term_months as (
    select
        *,
        cast(unnest(generate_series(period_from, period_to, interval 1 month)) as date) as month
    from terms
),

-- A group of countries is its members of the month, without the reporter.
wanted as (
    select
        term_months.* exclude (destination_code),
        coalesce(country_groups.country_code, term_months.destination_code) as destination_code
    from term_months
    left join country_groups
        on
            term_months.destination_code = country_groups.group_code
            and term_months.month >= country_groups.valid_from
            and (country_groups.valid_to is null or term_months.month <= country_groups.valid_to)
            and term_months.reporter_code != country_groups.country_code
),

cells as (
    select
        source_code,
        concept_code,
        nomenclature_code || ' ' || product_code as good_code,
        flow_kind,
        reporter_code,
        destination_code,
        month,
        value_eur,
        vintage_at
    from exports
    union all by name
    select
        source_code,
        concept_code,
        nomenclature_code || ' ' || product_code as good_code,
        flow_kind,
        reporter_code,
        'total' as destination_code,
        period_start as month,
        value_eur,
        vintage_at
    from totals
    union all by name
    select
        scope_exports.source_code,
        scope_exports.concept_code,
        'scope ' || scope_exports.scope_code as good_code,
        'total' as flow_kind,
        scope_exports.reporter_code,
        scope_exports.destination_code,
        scope_exports.month,
        scope_exports.value_eur,
        scope_months.vintage_at
    from scope_exports
    inner join scope_months
        on
            {{ same(
                'scope_exports', 'scope_months',
                ['source_code', 'concept_code', 'scope_code', 'reporter_code', 'month']
            ) }}
    union all by name
    select
        source_code,
        concept_code,
        'scope ' || scope_code as good_code,
        'total' as flow_kind,
        reporter_code,
        'total' as destination_code,
        month,
        total_eur as value_eur,
        vintage_at
    from scope_months
),

-- Missing is not zero: one missing month or member leaves the figure without a comparison.
sums as (
    select
        wanted.anchor_code,
        wanted.term,
        case
            when count(*) = count(cells.value_eur) and count(*) = count(scope_months.month)
                then sum(cells.value_eur)
        end as value_eur,
        max(cells.vintage_at) as vintage_at
    from wanted
    left join cells
        on
            {{ same(
                'wanted', 'cells',
                ['source_code', 'concept_code', 'good_code', 'flow_kind', 'reporter_code', 'destination_code', 'month']
            ) }}
    left join scope_months
        on
            {{ same('wanted', 'scope_months', ['source_code', 'concept_code', 'reporter_code', 'month']) }}
            and wanted.completeness_scope_code = scope_months.scope_code
    group by wanted.anchor_code, wanted.term
),

compared as (
    select
        figures.*,
        cast(figures.published_value * figures.unit_factor as double) as published,
        case
            when figures.measure = 'value' then cast(numerators.value_eur as double)
            else {{ ratio('numerators.value_eur', 'denominators.value_eur') }}
        end as ours,
        coalesce(
            figures.tolerance_pct,
            case when figures.is_final_when_published then {{ final_tolerance_pct }} else {{ tolerance_pct }} end
        ) as tolerance,
        -- A rounded figure is up to half a unit from the publisher's own.
        cast(figures.rounding_unit * figures.unit_factor as double) / 2 as rounding,
        greatest(numerators.vintage_at, denominators.vintage_at) as newest_vintage_at
    from figures
    inner join sums as numerators
        on figures.anchor_code = numerators.anchor_code and numerators.term = 'numerator'
    left join sums as denominators
        on figures.anchor_code = denominators.anchor_code and denominators.term = 'denominator'
),

bounded as (
    select
        *,
        coalesce(lower_value * unit_factor, published * (1 - tolerance / 100) - rounding) as lower_bound,
        coalesce(upper_value * unit_factor, published * (1 + tolerance / 100) + rounding) as upper_bound,
        datediff('month', published_month, newest_vintage_at) as age_months
    from compared
)

select
    anchor_code,
    figure_code,
    title_en,
    measure,
    source_code,
    concept_code,
    flow_kind,
    reporter_code,
    destination_code,
    scope_code,
    nomenclature_code,
    product_code,
    period_from,
    period_to,
    published_month,
    case when unit_code = 'mln_eur' then 'eur' else unit_code end as unit_code,
    published as published_value,
    -- Bounds set in the seed have no tolerance.
    case when lower_value is null then tolerance end as tolerance_pct,
    lower_bound as lower_value,
    upper_bound as upper_value,
    ours as warehouse_value,
    100 * ({{ ratio('ours', 'published') }} - 1) as difference_pct,
    case
        when ours is null then 'not_loaded'
        when ours between lower_bound and upper_bound then 'within'
        else 'outside'
    end as outcome,
    -- An office may revise figures that were not final, or are older than the tolerance covers.
    case
        when
            severity = 'error' and is_final_when_published and not is_superseded
            and coalesce(age_months, 0) <= {{ tolerance_age_months }}
            then 'error'
        else 'warn'
    end as severity,
    is_final_when_published,
    is_superseded,
    case when ours is not null then cast(age_months as integer) end as age_months,
    {{ tolerance_age_months }} as tolerance_age_months,
    holds_in_simulation,
    case when ours is not null then newest_vintage_at end as vintage_at,
    source,
    confidence
from bounded
