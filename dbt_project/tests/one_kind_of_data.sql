-- Law: a warehouse never mixes simulated and live data.
select count(distinct is_simulated) as n_kinds
from {{ ref('stg_landing__loads') }}
having count(distinct is_simulated) > 1
