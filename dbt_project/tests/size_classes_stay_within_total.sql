-- Law: the size classes of an activity, partner group and year never exceed the total of all enterprises. Unpublished
-- classes leave a gap; values are in whole thousands of euros.
select
    reporter_code,
    activity_code,
    partner_group_code,
    year
from {{ ref('rpt_sme_exports') }}
where size_kind != 'sum_of_small_and_medium'
group by all
having
    sum(value_eur) filter (where size_kind != 'total')
    > max(value_eur) filter (where size_kind = 'total') + 1000 * count(*)
    or sum(n_exporters) filter (where size_kind != 'total') > max(n_exporters) filter (where size_kind = 'total')
