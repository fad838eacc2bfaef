-- A user scope with a shipped scope's code would silently change the meaning of that code.
select distinct user_scopes.scope_code
from {{ ref('stg_journal__user_scopes') }} as user_scopes
inner join {{ ref('metal_scopes') }} as shipped on user_scopes.scope_code = shipped.scope_code
