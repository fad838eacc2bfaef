-- Law: a warehouse that holds simulated data refuses live data, and the other way round.
select count(distinct is_simulated) as n_kinds
from {{ ref('stg_landing__loads') }}
having count(distinct is_simulated) > 1
