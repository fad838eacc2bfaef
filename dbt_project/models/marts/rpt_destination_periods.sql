-- Quarters and years, of complete months only: a quarter with one month is not a quarter.
{% set lengths = {'quarter': 3, 'year': 12} %}
{% set scope = ['source_code', 'concept_code', 'scope_code', 'reporter_code'] %}

with months as (
    select * from {{ ref('int_scope_destination_months') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

countries as (
    select * from {{ ref('dim_country') }}
),

-- Months are summed only if they hold the same goods.
scope_periods as (
    {%- for period_type, length in lengths.items() %}
        {{ 'union all' if not loop.first }}
        select
            source_code,
            concept_code,
            scope_code,
            reporter_code,
            '{{ period_type }}' as period_type,
            cast(date_trunc('{{ period_type }}', month) as date) as period_start,
            count(*) filter (where is_complete) as n_complete_months,
            count(*) filter (where is_complete) = {{ length }}
            and coalesce(bool_and(same_goods_from <= date_trunc('{{ period_type }}', month)), true) as is_complete,
            sum(total_eur) as total_eur,
            max(coalesce(same_goods_from, date '1988-01-01')) as same_goods_from,
            max(vintage_at) as vintage_at
        from scope_months
        group by all
    {%- endfor %}
),

destination_periods as (
    {%- for period_type in lengths %}
        {{ 'union all' if not loop.first }}
        select
            source_code,
            concept_code,
            scope_code,
            reporter_code,
            '{{ period_type }}' as period_type,
            cast(date_trunc('{{ period_type }}', month) as date) as period_start,
            destination_code,
            sum(value_eur) filter (where is_complete) as value_eur
        from months
        where value_eur is not null
        group by all
    {%- endfor %}
),

measured as (
    select
        destination_periods.source_code,
        destination_periods.concept_code,
        destination_periods.scope_code,
        destination_periods.reporter_code,
        destination_periods.destination_code,
        destination_periods.period_type,
        destination_periods.period_start,
        scope_periods.n_complete_months,
        scope_periods.is_complete,
        scope_periods.same_goods_from,
        case when scope_periods.is_complete then destination_periods.value_eur end as value_eur,
        case when scope_periods.is_complete then scope_periods.total_eur end as total_eur,
        scope_periods.vintage_at
    from destination_periods
    inner join scope_periods
        on
            {{ same('destination_periods', 'scope_periods', scope + ['period_type', 'period_start']) }}
)

select
    this.source_code,
    this.concept_code,
    this.scope_code,
    this.reporter_code,
    this.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    countries.destination_kind,
    this.period_type,
    this.period_start,
    cast(this.n_complete_months as integer) as n_complete_months,
    this.is_complete,
    this.value_eur,
    this.total_eur,
    {{ ratio('this.value_eur', 'this.total_eur') }} as share,
    case
        when countries.destination_kind = 'country' and this.value_eur is not null
            then cast(
                rank() over (
                    partition by
                        this.source_code, this.concept_code, this.scope_code, this.reporter_code, this.period_type,
                        this.period_start, countries.destination_kind
                    order by this.value_eur desc nulls last
                ) as integer
            )
    end as destination_rank,
    {{ growth_pct('this.value_eur', 'before.value_eur') }} as growth_pct,
    {{ share_change_pp('this.value_eur', 'this.total_eur', 'before.value_eur', 'before.total_eur') }}
        as share_change_pp,
    this.vintage_at
from measured as this
inner join countries on this.destination_code = countries.country_code
left join measured as before
    on
        {{ same('this', 'before', scope + ['destination_code', 'period_type']) }}
        and this.period_start = before.period_start + interval 1 year
        and this.same_goods_from <= before.period_start
