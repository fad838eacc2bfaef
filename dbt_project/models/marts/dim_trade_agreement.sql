with statuses as (
    select * from {{ ref('trade_agreement_statuses') }}
),

agreements as (
    select * from {{ ref('trade_agreements') }}
),

phase_ins as (
    select * from {{ ref('trade_agreement_phase_ins') }}
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
    phase_ins.exports_from,
    phase_ins.exports_free_from,
    statuses.date_precision,
    statuses.confidence,
    statuses.source as status_source,
    phase_ins.confidence as phase_in_confidence,
    phase_ins.source as phase_in_source
from statuses
inner join agreements on statuses.agreement_code = agreements.agreement_code
left join phase_ins
    on
        statuses.agreement_code = phase_ins.agreement_code
        and statuses.country_code = coalesce(phase_ins.country_code, statuses.country_code)
