-- Dataset registry with the loads of each dataset. Grain: dataset.
with datasets as (
    select * from {{ ref('stg_journal__datasets') }}
),

loads as (
    select * from {{ ref('stg_landing__loads') }}
),

last_loads as (
    select
        dataset_code,
        max(vintage_at) as last_vintage_at,
        count(*) as n_loads,
        bool_or(is_simulated) as is_simulated
    from loads
    group by dataset_code
)

select
    datasets.dataset_code,
    case datasets.office when 'cbs' then 'CBS' else 'EUROSTAT' end as source_code,
    datasets.identifier as office_identifier,
    datasets.title_en,
    datasets.title_nl,
    datasets.licence,
    datasets.licence_url,
    datasets.citation,
    datasets.source_url,
    datasets.release_note,
    datasets.is_verified,
    datasets.rounding_unit_eur,
    coalesce(last_loads.n_loads, 0) as n_loads,
    last_loads.last_vintage_at,
    last_loads.is_simulated
from datasets
left join last_loads on datasets.dataset_code = last_loads.dataset_code
