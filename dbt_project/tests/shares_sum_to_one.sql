-- Law: in every complete month the shares of all destinations, including unallocated, sum to 1.
select
    source_code,
    concept_code,
    scope_code,
    reporter_code,
    month,
    sum(share) as share_sum
from {{ ref('rpt_destination_shares') }}
where is_complete
group by all
having abs(sum(share) - 1) > 1e-9
