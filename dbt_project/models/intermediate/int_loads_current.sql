-- Which load speaks for a dataset, reporter, product and month: the newest vintage that asked for it.
-- A load that asked and got no row is current too: a cell that an office withdrew does not live on.
with cbs_coverage as (
    select * from {{ ref('stg_cbs_85429ned__coverage') }}
),

eurostat_coverage as (
    select * from {{ ref('stg_eurostat_ds_045409__coverage') }}
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

-- A load of everything asked for every product that the office ever had, also for one that it withdrew since.
cbs_products as (
    select distinct office_product_code
    from {{ ref('stg_cbs_85429ned__observations') }}
),

asked as (
    select
        cbs_coverage.load_id,
        cbs_coverage.reporter_code,
        coalesce(cbs_products.office_product_code, cbs_coverage.office_product_code) as office_product_code,
        cbs_coverage.first_month,
        cbs_coverage.last_month,
        cbs_coverage.has_all_partners
    from cbs_coverage
    left join cbs_products
        on cbs_coverage.office_product_code = '*'
    union all
    select
        load_id,
        reporter_code,
        office_product_code,
        first_month,
        last_month,
        has_all_partners
    from eurostat_coverage
),

months as (
    select
        loads.dataset_code,
        loads.vintage_at,
        loads.retrieved_at,
        asked.load_id,
        asked.reporter_code,
        asked.office_product_code,
        asked.has_all_partners,
        cast(unnest(generate_series(asked.first_month, asked.last_month, interval 1 month)) as date) as month
    from asked
    inner join loads on asked.load_id = loads.load_id
)

select
    dataset_code,
    reporter_code,
    office_product_code,
    month,
    load_id,
    vintage_at,
    has_all_partners
from months
qualify row_number() over (
    partition by dataset_code, reporter_code, office_product_code, month
    -- Of two loads of one vintage the one that asked for all partners says more; then the later one.
    order by vintage_at desc, has_all_partners desc, retrieved_at desc, load_id desc
) = 1
