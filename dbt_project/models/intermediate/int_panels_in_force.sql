-- Partner set in force for a dataset, reporter, product and month, by vintage: that of the newest load that requested
-- it. A load that requested it and got no row counts too: a cell that an office withdrew must not persist.
--
-- Grain: dataset, reporter, office product, month, valid_from.

with coverage as (
    select * from {{ ref('stg_landing__coverage') }}
),

-- A load of everything requested every product that the office ever had, including those withdrawn since.
products_seen as (
    select distinct
        dataset_code,
        office_product_code
    from {{ ref('int_goods_changes') }}
),

office_products as (
    select * from {{ ref('office_products') }}
),

datasets as (
    select * from {{ ref('stg_journal__datasets') }}
),

measure_meanings as (
    select * from {{ ref('office_measures') }}
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
    where dataset_code in (select measure_meanings.dataset_code from measure_meanings)
),

asked as (
    select
        coverage.* replace (
            coalesce(products_seen.office_product_code, coverage.office_product_code) as office_product_code
        ),
        loads.dataset_code,
        loads.vintage_at,
        loads.retrieved_at
    from coverage
    inner join loads on coverage.load_id = loads.load_id
    left join products_seen
        on
            coverage.office_product_code like '%*'
            and loads.dataset_code = products_seen.dataset_code
            and starts_with(products_seen.office_product_code, rtrim(coverage.office_product_code, '*'))
),

months as (
    select
        asked.dataset_code,
        asked.reporter_code,
        asked.office_product_code,
        cast(unnest(generate_series(asked.first_month, asked.last_month, interval 1 month)) as date) as month,
        asked.panel,
        asked.has_all_partners,
        asked.load_id,
        asked.vintage_at,
        asked.retrieved_at
    from asked
),

-- Of two loads of one vintage, the one that requested all partners is the more complete; then the later one.
vintages as (
    select * from months
    qualify row_number() over (
        partition by dataset_code, reporter_code, office_product_code, month, vintage_at
        order by has_all_partners desc, retrieved_at desc, load_id desc
    ) = 1
),

compared as (
    select
        *,
        coalesce(panel != lag(panel) over history, true) as is_other_panel
    from vintages
    window history as (
        partition by dataset_code, reporter_code, office_product_code, month
        order by vintage_at
    )
),

numbered as (
    select
        *,
        sum(cast(is_other_panel as integer)) over history as panel_no
    from compared
    window history as (
        partition by dataset_code, reporter_code, office_product_code, month
        order by vintage_at
    )
),

spells as (
    select
        dataset_code,
        reporter_code,
        office_product_code,
        month,
        panel_no,
        any_value(panel) as panel,
        bool_or(has_all_partners) as has_all_partners,
        min(vintage_at) as valid_from,
        max(vintage_at) as confirmed_at,
        list(vintage_at order by vintage_at) as vintages,
        arg_max(load_id, vintage_at) as confirming_load_id
    from numbered
    group by dataset_code, reporter_code, office_product_code, month, panel_no
)

select
    dense_rank() over (
        order by spells.dataset_code, spells.reporter_code, spells.office_product_code, spells.month
    ) as group_no,
    spells.dataset_code,
    spells.reporter_code,
    spells.office_product_code,
    -- An office's own codes are mapped one by one; if a dataset declares a nomenclature, its codes are already in it.
    coalesce(datasets.nomenclature_code, office_products.nomenclature_code) as nomenclature_code,
    case
        when datasets.nomenclature_code is not null then spells.office_product_code
        else office_products.product_code
    end as product_code,
    spells.month,
    spells.panel,
    spells.has_all_partners,
    spells.confirmed_at,
    spells.vintages,
    spells.confirming_load_id,
    spells.valid_from,
    lead(spells.valid_from) over (
        partition by spells.dataset_code, spells.reporter_code, spells.office_product_code, spells.month
        order by spells.valid_from
    ) as valid_to
from spells
left join datasets on spells.dataset_code = datasets.dataset_code
left join office_products
    on
        spells.office_product_code = office_products.office_code
        and starts_with(spells.dataset_code, office_products.office)
