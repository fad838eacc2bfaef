-- Monthly industry figures that a load added, revised or withdrew, for the datasets in `industry_series`; `-` where a
-- dataset lacks the dimension.
--
-- Grain: dataset, load, reporter, office activity, indicator, market, adjustment, period, measure.
with changes as (
    select * from {{ ref('stg_landing__changes') }}
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

series as (
    select * from {{ ref('industry_series') }}
)

select
    changes.dataset_code,
    changes.load_id,
    changes.request_no,
    changes.change_kind,
    -- CBS reports for one country, which its rows omit.
    coalesce(changes.reporter_code, loads.reporter_code) as reporter_code,
    -- CBS producer prices are by product group.
    coalesce(changes.activity_code, changes.office_product_code) as office_activity_code,
    coalesce(changes.indicator_code, '-') as indicator_code,
    coalesce(changes.market_code, '-') as market_code,
    coalesce(changes.adjustment_code, '-') as adjustment_code,
    changes.period_code,
    changes.measure_code,
    changes.office_value
from changes
inner join loads on changes.load_id = loads.load_id
where
    changes.dataset_code in (select series.dataset_code from series)
    and coalesce(changes.frequency_code = 'M', true)
    and {{ is_month('changes.period_code') }}
    -- The value itself, not its interval bounds.
    and coalesce(changes.margin_code = 'MW00000', true)
