with datasets as (
    select * from {{ ref('int_datasets_loaded') }}
)

select
    dataset_code,
    source_code,
    office_identifier,
    title_en,
    title_nl,
    licence,
    licence_url,
    citation,
    source_url,
    release_note,
    is_verified,
    n_loads,
    last_vintage_at,
    is_simulated
from datasets
