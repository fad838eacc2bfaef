-- Cells of monthly goods exports that a load added, revised or withdrew, in the office's codes, for the datasets in
-- `office_measures`. Grain: dataset, load, reporter, partner, office product, period, measure.
with changes as (
    select * from {{ ref('stg_landing__changes') }}
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

measure_meanings as (
    select * from {{ ref('office_measures') }}
)

select
    changes.dataset_code,
    changes.load_id,
    changes.request_no,
    changes.change_kind,
    -- CBS reports for one country, which its rows omit.
    coalesce(changes.reporter_code, loads.reporter_code) as reporter_code,
    changes.partner_code,
    changes.office_product_code,
    changes.period_code,
    changes.measure_code,
    changes.office_value
from changes
inner join loads on changes.load_id = loads.load_id
where
    changes.dataset_code in (select measure_meanings.dataset_code from measure_meanings)
    -- Comext also has years and imports; CBS tables have neither dimension.
    and coalesce(changes.frequency_code = 'M', true)
    and coalesce(changes.flow_code = '2', true)
