with events as (
    select * from {{ ref('tariff_events') }}
)

select
    event_code,
    imposed_by_code,
    instrument,
    event_kind,
    event_date,
    announced_by_event_code,
    effective_to,
    rate_pct,
    rate_basis,
    product_scope_en,
    title_en,
    title_nl,
    confidence,
    source as event_source
from events
