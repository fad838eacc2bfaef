with statuses as (
    select * from {{ ref('trade_agreement_statuses') }}
),

agreements as (
    select * from {{ ref('trade_agreements') }}
)

select
    statuses.agreement_code,
    agreements.agreement_name_en,
    agreements.agreement_name_nl,
    agreements.agreement_kind,
    statuses.country_code,
    statuses.status,
    statuses.valid_from,
    -- A status holds until the next one of the same agreement and country.
    cast(
        lead(statuses.valid_from) over (
            partition by statuses.agreement_code, statuses.country_code order by statuses.valid_from
        ) - interval 1 day as date
    ) as valid_to,
    statuses.date_precision,
    statuses.confidence,
    statuses.source as status_source
from statuses
inner join agreements on statuses.agreement_code = agreements.agreement_code
