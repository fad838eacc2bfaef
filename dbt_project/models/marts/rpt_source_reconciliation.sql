{# What one country and section usually differ by, and how far from it is far. #}
{% set months_before = 24 %}
{% set fewest_months = 12 %}
{% set far = 4 %}

with exports as (
    select * from {{ ref('int_exports_by_destination') }}
    where flow_kind = 'total' and destination_code != 'not_loaded'
),

totals as (
    select * from {{ ref('int_export_totals') }}
    where flow_kind = 'total' and period_type = 'month'
),

datasets as (
    select * from {{ ref('int_datasets_loaded') }}
),

revision_sizes as (
    select * from {{ ref('int_revision_sizes') }}
    where scope_code = 'all_goods'
),

countries as (
    select * from {{ ref('dim_country') }}
),

-- SITC sections, and all goods, which Comext publishes by CN only.
cells as (
    select
        source_code,
        dataset_code,
        concept_code,
        reporter_code,
        destination_code,
        nomenclature_code,
        product_code as section_code,
        month,
        value_eur,
        vintage_at
    from exports
    union all by name
    select
        source_code,
        dataset_code,
        concept_code,
        reporter_code,
        'total' as destination_code,
        nomenclature_code,
        product_code as section_code,
        period_start as month,
        value_eur,
        vintage_at
    from totals
),

sections as (
    select * from cells
    where
        (nomenclature_code = 'SITC' and length(section_code) = 1)
        or (section_code = 'TOTAL' and nomenclature_code = case source_code when 'CBS' then 'SITC' else 'CN' end)
),

including_transit as (
    select * from sections
    where concept_code = 'border_crossing_incl_transit'
),

excluding_transit as (
    select * from sections
    where concept_code = 'border_crossing_excl_transit'
),

ownership as (
    select * from sections
    where concept_code = 'ownership_transfer'
),

community as (
    select * from sections
    where concept_code = 'community'
),

-- A month without the totals of both offices is not finished: its difference is meaningless.
finished as (
    select
        community.reporter_code,
        community.section_code,
        community.month
    from community
    inner join including_transit
        on
            {{ same('community', 'including_transit', ['reporter_code', 'section_code', 'month', 'destination_code']) }}
    where community.destination_code = 'total'
),

-- Exports that an office could not allocate may belong to any country.
unallocated as (
    select
        reporter_code,
        section_code,
        month,
        sum(greatest(value_eur, 0)) as unallocated_eur
    from sections
    where
        destination_code = 'unallocated'
        and concept_code in ('community', 'border_crossing_incl_transit')
    group by all
),

-- Usual remaining revision of a figure of this age, per cent: the sizes of all later revisions.
ages as (
    select distinct
        source_code,
        concept_code,
        reporter_code,
        cast(datediff('month', month, vintage_at) as integer) as age_months
    from sections
),

still_to_come as (
    select
        ages.source_code,
        ages.concept_code,
        ages.reporter_code,
        ages.age_months,
        coalesce(
            sum(revision_sizes.mean_abs_revision_pct order by revision_sizes.age_months) filter (
                where revision_sizes.age_months > ages.age_months
            ),
            0
        ) as revision_pct
    from ages
    inner join revision_sizes
        on
            ages.source_code = revision_sizes.source_code
            and ages.concept_code = revision_sizes.concept_code
            and ages.reporter_code = revision_sizes.reporter_code
    group by all
),

joined as (
    select
        community.reporter_code,
        community.destination_code,
        community.section_code,
        community.month,
        community.value_eur as eurostat_eur,
        including_transit.value_eur as cbs_incl_transit_eur,
        excluding_transit.value_eur as cbs_excl_transit_eur,
        ownership.value_eur as cbs_ownership_eur,
        community.value_eur - including_transit.value_eur as residual_eur,
        case
            when community.destination_code not in ('total', 'unallocated')
                then coalesce(unallocated.unallocated_eur, 0)
            else 0
        end as confidentiality_bound_eur,
        -- A rounded figure is up to half a unit from the true one.
        cast((cbs.rounding_unit_eur + eurostat.rounding_unit_eur) / 2 as decimal(18, 2)) as rounding_bound_eur,
        cast(
            abs(including_transit.value_eur) * cbs_to_come.revision_pct / 100
            + abs(community.value_eur) * eurostat_to_come.revision_pct / 100
            as decimal(18, 2)
        ) as timing_bound_eur,
        including_transit.vintage_at as cbs_vintage_at,
        community.vintage_at as eurostat_vintage_at
    from community
    inner join including_transit
        on
            {{ same('community', 'including_transit', ['reporter_code', 'section_code', 'month', 'destination_code']) }}
    inner join finished
        on
            {{ same('community', 'finished', ['reporter_code', 'section_code', 'month']) }}
    left join excluding_transit
        on
            {{ same('community', 'excluding_transit', ['reporter_code', 'section_code', 'month', 'destination_code']) }}
    left join ownership
        on
            {{ same('community', 'ownership', ['reporter_code', 'section_code', 'month', 'destination_code']) }}
    left join unallocated
        on
            {{ same('community', 'unallocated', ['reporter_code', 'section_code', 'month']) }}
    inner join datasets as cbs on including_transit.dataset_code = cbs.dataset_code
    inner join datasets as eurostat on community.dataset_code = eurostat.dataset_code
    left join still_to_come as cbs_to_come
        on
            cbs_to_come.source_code = 'CBS'
            and including_transit.concept_code = cbs_to_come.concept_code
            and community.reporter_code = cbs_to_come.reporter_code
            and cbs_to_come.age_months = datediff('month', community.month, including_transit.vintage_at)
    left join still_to_come as eurostat_to_come
        on
            eurostat_to_come.source_code = 'EUROSTAT'
            and community.concept_code = eurostat_to_come.concept_code
            and community.reporter_code = eurostat_to_come.reporter_code
            and eurostat_to_come.age_months = datediff('month', community.month, community.vintage_at)
),

-- Concepts differ by country in the same way month after month: what is news is a difference unlike the others.
compared as (
    select
        *,
        count(*) over before as n_months_before,
        median(residual_eur) over before as usual_residual_eur,
        (quantile_cont(residual_eur, 0.75) over before - quantile_cont(residual_eur, 0.25) over before) / 1.349
            as residual_spread_eur
    from joined
    window before as (
        partition by reporter_code, destination_code, section_code
        order by month
        range between interval {{ months_before }} months preceding and interval 1 month preceding
    )
)

select
    compared.reporter_code,
    compared.destination_code,
    coalesce(countries.country_name_en, 'All destinations') as destination_name_en,
    coalesce(countries.country_name_nl, 'Alle bestemmingen') as destination_name_nl,
    compared.section_code,
    compared.month,
    compared.eurostat_eur,
    compared.cbs_incl_transit_eur,
    compared.cbs_excl_transit_eur,
    compared.cbs_ownership_eur,
    compared.eurostat_eur - compared.cbs_excl_transit_eur as difference_eur,
    compared.cbs_incl_transit_eur - compared.cbs_excl_transit_eur as quasi_transit_eur,
    compared.residual_eur,
    {{ ratio('compared.eurostat_eur', 'compared.cbs_excl_transit_eur') }} as eurostat_to_cbs_ratio,
    compared.cbs_ownership_eur - compared.cbs_excl_transit_eur as ownership_concept_eur,
    compared.confidentiality_bound_eur,
    compared.rounding_bound_eur,
    compared.timing_bound_eur,
    cast(
        sign(compared.residual_eur) * greatest(
            0,
            abs(compared.residual_eur) - compared.confidentiality_bound_eur - compared.rounding_bound_eur
            - coalesce(compared.timing_bound_eur, 0)
        )
        as decimal(38, 2)
    ) as unexplained_eur,
    case
        when compared.n_months_before >= {{ fewest_months }}
            then cast(compared.usual_residual_eur as decimal(38, 2))
    end as usual_residual_eur,
    case
        when compared.n_months_before >= {{ fewest_months }}
            then
                abs(compared.residual_eur - compared.usual_residual_eur)
                > {{ far }} * compared.residual_spread_eur + compared.rounding_bound_eur
    end as is_residual_unusual,
    compared.cbs_vintage_at,
    compared.eurostat_vintage_at
from compared
left join countries on compared.destination_code = countries.country_code
