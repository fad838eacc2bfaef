with source as (
    select * from {{ source('landing_eurostat_comext_cn_titles', 'changes') }}
)

select
    {{ landed_changes(["product", "valid_from", "valid_to", "title", "title_from", "title_to", "period"]) }}
from source
where {{ only_committed() }}
