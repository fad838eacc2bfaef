-- The summary is derived from the ledger: its excess is the sum of the front-loading months, the net excess the sum of
-- all months.
with months as (
    select
        event_code,
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        baseline_method,
        sum(excess_eur) filter (where phase = 'front_loading') as excess_eur,
        -- Up to the first month without a figure, after which the cumulation stops.
        sum(excess_eur) filter (where cumulated_excess_eur is not null) as net_eur
    from {{ ref('rpt_frontloading_months') }}
    group by all
)

select summary.*
from {{ ref('rpt_frontloading') }} as summary
inner join months
    on
        summary.event_code = months.event_code
        and summary.source_code = months.source_code
        and summary.concept_code = months.concept_code
        and summary.scope_code = months.scope_code
        and summary.reporter_code = months.reporter_code
        and summary.destination_code = months.destination_code
        and summary.baseline_method = months.baseline_method
where abs(summary.excess_eur - months.excess_eur) > 0.01 or abs(summary.net_eur - months.net_eur) > 0.01
