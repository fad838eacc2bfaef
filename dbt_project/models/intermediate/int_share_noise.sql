-- Irregular movement of a share: the spread of the changes of the adjusted share from month to month, as 1.4826 times
-- their median size, which ignores the few that are a shock. If the irregular parts of months are independent, this is
-- the standard deviation of a change over a year as well, and over the root of 12 that of a change of 12-month shares.
--
-- Grain: source, concept, scope, reporter, destination.
{% set fewest_changes = 24 %}
{# The estimator is as precise as a standard deviation of so many of its values. #}
{% set efficiency = 0.37 %}

with shares as (
    select * from {{ ref('int_adjusted_shares') }}
),

scope_months as (
    select * from {{ ref('int_scope_months') }}
),

quantiles as (
    select * from {{ ref('t_quantiles') }}
),

changes as (
    select
        this.source_code,
        this.concept_code,
        this.scope_code,
        this.reporter_code,
        this.destination_code,
        100 * (this.share_sa - before.share_sa) as change_pp
    from shares as this
    inner join shares as before
        on
            {{ same('this', 'before', [
                'source_code', 'concept_code', 'scope_code', 'reporter_code', 'destination_code'
            ]) }}
            and this.month = before.month + interval 1 month
    inner join scope_months
        on
            {{ same('this', 'scope_months', ['source_code', 'concept_code', 'scope_code', 'reporter_code', 'month']) }}
            and coalesce(before.month >= scope_months.same_goods_from, true)
    where this.share_sa is not null and before.share_sa is not null
),

spreads as (
    select
        source_code,
        concept_code,
        scope_code,
        reporter_code,
        destination_code,
        count(*) as n_changes,
        1.4826 * median(abs(change_pp)) as spread_pp
    from changes
    group by all
    having count(*) >= {{ fewest_changes }}
)

select
    spreads.source_code,
    spreads.concept_code,
    spreads.scope_code,
    spreads.reporter_code,
    spreads.destination_code,
    cast(spreads.n_changes as integer) as n_changes,
    spreads.spread_pp,
    quantiles.quantile_975
from spreads
inner join quantiles
    on least(30, cast(floor({{ efficiency }} * spreads.n_changes) as integer)) = quantiles.degrees_of_freedom
