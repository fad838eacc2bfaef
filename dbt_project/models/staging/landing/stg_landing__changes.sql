with source as (
    select * from {{ source('landing', 'changes') }}
)

select
    -- From the path: a filter on it skips the files of other datasets.
    string_split(filename, '/')[-3] as dataset_code,
    load_id,
    request_no,
    change_kind,
    freq as frequency_code,
    reporter as reporter_code,
    partner as partner_code,
    product as office_product_code,
    flow as flow_code,
    market as market_code,
    activity as activity_code,
    size_class as size_class_code,
    margin as margin_code,
    adjustment as adjustment_code,
    indicator as indicator_code,
    predecessor as predecessor_code,
    successor as successor_code,
    valid_from as first_day,
    valid_to as last_day,
    title as product_title,
    title_from as title_first_day,
    title_to as title_last_day,
    period as period_code,
    measure as measure_code,
    -- 18 digits: wider decimals are computed in software, at a cost above everything else.
    cast(value as decimal(18, 4)) as office_value,
    status as office_status,
    confidentiality
from source
-- Bulk file rows have several figures each: `stg_landing__bulk_changes`.
where {{ only_committed() }} and measure is not null
