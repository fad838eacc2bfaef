with months as (
    select * from {{ ref('int_scope_destination_months') }}
    where
        is_complete
        and value_eur is not null
        and value_year_before_eur is not null
        and total_year_before_eur > 0
        and total_eur > 0
),

items as (
    select * from {{ ref('int_scope_items') }}
    where value_eur > 0 and quantity_kg > 0
),

countries as (
    select * from {{ ref('dim_country') }}
),

-- Goods with a weight that went to the destination in both months: only they have a price and a volume.
matched as (
    select
        this.source_code,
        this.concept_code,
        this.scope_code,
        this.reporter_code,
        this.destination_code,
        this.month,
        sum(this.value_eur) as matched_eur,
        sum(before.value_eur) as matched_before_eur,
        sum(this.quantity_kg) as matched_kg,
        sum(before.quantity_kg) as matched_before_kg,
        -- Bennet: the change of the unit value at the mean of both weights, to the cent.
        sum(cast(
            (cast(this.quantity_kg as double) + before.quantity_kg) / 2
            * (
                this.value_eur / cast(this.quantity_kg as double)
                - before.value_eur / cast(before.quantity_kg as double)
            )
            as decimal(18, 2)
        )) as price_effect_eur
    from items as this
    inner join items as before
        on
            {{ same('this', 'before', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'item_code'
            ]) }}
            and this.month = before.month + interval 1 year
    group by all
),

effects as (
    select
        months.source_code,
        months.concept_code,
        months.scope_code,
        months.reporter_code,
        months.destination_code,
        months.month,
        months.value_eur,
        months.value_year_before_eur,
        months.total_eur,
        months.total_year_before_eur,
        months.vintage_at,
        matched.matched_eur,
        matched.matched_before_eur,
        matched.price_effect_eur,
        -- All goods together at the mean of both average prices, to the cent.
        cast(
            (
                matched.matched_eur / cast(matched.matched_kg as double)
                + matched.matched_before_eur / cast(matched.matched_before_kg as double)
            ) / 2
            * (cast(matched.matched_kg as double) - matched.matched_before_kg)
            as decimal(38, 2)
        ) as volume_effect_eur
    from months
    left join matched
        on
            {{ same('months', 'matched', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code', 'month'
            ]) }}
),

-- The remainder of the matched goods is mix; the remainder of all goods appeared, disappeared, or has no weight.
split as (
    select
        *,
        matched_eur - matched_before_eur - price_effect_eur - volume_effect_eur as mix_effect_eur,
        case
            when matched_eur is not null
                then (value_eur - value_year_before_eur) - (matched_eur - matched_before_eur)
        end as unmatched_effect_eur,
        {{ ratio('value_year_before_eur', 'total_year_before_eur') }} as share_year_before,
        -- Share points per additional euro to this destination, all else equal.
        100
        * (1 - {{ ratio('value_year_before_eur', 'total_year_before_eur') }})
        / cast(total_eur as double) as pp_of_a_euro
    from effects
)

select
    split.source_code,
    split.concept_code,
    split.scope_code,
    split.reporter_code,
    split.destination_code,
    countries.country_name_en as destination_name_en,
    countries.country_name_nl as destination_name_nl,
    split.month,
    split.value_eur,
    split.value_year_before_eur,
    {{ growth_pct('split.value_eur', 'split.value_year_before_eur') }} as yoy_growth_pct,
    {{ growth_pct('split.total_eur', 'split.total_year_before_eur') }} as total_growth_pct,
    split.share_year_before,
    {{ ratio('split.value_eur', 'split.total_eur') }} as share,
    {{ share_change_pp(
        'split.value_eur', 'split.total_eur', 'split.value_year_before_eur', 'split.total_year_before_eur'
    ) }} as share_change_pp,
    split.pp_of_a_euro * (split.value_eur - split.value_year_before_eur) as own_growth_pp,
    -100 * split.share_year_before * {{ ratio(
        '(split.total_eur - split.value_eur - split.total_year_before_eur + split.value_year_before_eur)',
        'split.total_eur'
    ) }} as rest_growth_pp,
    split.price_effect_eur,
    split.volume_effect_eur,
    split.mix_effect_eur,
    split.unmatched_effect_eur,
    split.pp_of_a_euro * split.price_effect_eur as price_pp,
    split.pp_of_a_euro * split.volume_effect_eur as volume_pp,
    split.pp_of_a_euro * split.mix_effect_eur as mix_pp,
    split.pp_of_a_euro * split.unmatched_effect_eur as unmatched_pp,
    {{ ratio(
        '(split.matched_eur + split.matched_before_eur)', '(split.value_eur + split.value_year_before_eur)'
    ) }} as matched_share,
    split.vintage_at
from split
inner join countries on split.destination_code = countries.country_code
