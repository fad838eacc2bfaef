-- Border crossing, with and without quasi-transit, in the warehouse's own codes and euros.
with conformed as (
    {{ cbs_goods_conformed(
        'cbs_85429ned', 'int_cbs_85429ned_statements', 'stg_cbs_85429ned__measures'
    ) | indent(4) }}
),

including_transit as (
    select
        *,
        'border_crossing_incl_transit' as concept_code
    from conformed
),

-- Without quasi-transit: the two parts as published, and their sum where both are (missing is not zero).
parts_excluding_transit as (
    select
        *,
        'border_crossing_excl_transit' as concept_code
    from conformed
    where flow_kind in ('re_export', 'domestic_product')
),

re_exports as (
    select * from conformed
    where flow_kind = 're_export'
),

domestic_products as (
    select * from conformed
    where flow_kind = 'domestic_product'
),

total_excluding_transit as (
    select
        re_exports.panel,
        {{ origin_of_both('re_exports', 'domestic_products') | indent(8) }},
        re_exports.partner_code,
        re_exports.office_product_code,
        'total' as flow_kind,
        re_exports.member_kind,
        re_exports.destination_code,
        re_exports.period_type,
        re_exports.period_start,
        re_exports.value_eur + domestic_products.value_eur as value_eur,
        {{ both_valid_from('re_exports', 'domestic_products') }} as valid_from,
        {{ both_valid_to('re_exports', 'domestic_products') }} as valid_to,
        'border_crossing_excl_transit' as concept_code
    from re_exports
    inner join domestic_products
        on
            re_exports.panel = domestic_products.panel
            -- Of one office code: two codes of one country must not lend each other a part.
            and {{ same('re_exports', 'domestic_products', [
                'partner_code', 'office_product_code', 'period_type', 'period_start'
            ]) }}
            and {{ both_valid('re_exports', 'domestic_products') }}
    -- Aggregates of countries overlap; they take no further part and must not be added together.
    where re_exports.member_kind != 'aggregate'
)

select * from including_transit
union all by name
select * from parts_excluding_transit
union all by name
select * from total_excluding_transit
