"""Levels and structure outside the range of their history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.history.cells import SERIES, UNIT_VALUE, smaller
from expectations.history.limits import (
    CHAPTER_FACTOR,
    CHAPTER_MOVED,
    DEVIATIONS,
    FEW_SERIES,
    KNOWN_MONTHS,
    ODD_FACTOR,
    PARTNER_FACTOR,
    SMALL_SHARE,
    STRUCTURE_MOVED,
    TOTAL_SHARE,
    UNIT_VALUE_FACTOR,
    WHOLE_FACTOR,
    WHOLE_SERIES,
)

if TYPE_CHECKING:
    import duckdb

    from expectations.landing import LandingGateInput


def find_levels(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Compare each group's level in a month with the months around it and with the same month a year earlier."""
    is_first = load.previous is None and load.history is None
    around = "t range between 12 preceding and 1 preceding"
    if is_first:
        around = "t range between 12 preceding and 12 following exclude current row"
    connection.execute(
        f"""
        create table history_groups as
        with levels as (
            select
                measure, t, chapter, partner, reporter, bool_or(is_judged) as is_judged, count(*) as n_series,
                ln(sum(weight * value) / sum(weight * typical)) as by_sum,
                median(ln(value / typical)) as by_median, sum(weight * typical) as size
            from history_points
            where is_member
            group by grouping sets (
                (measure, t), (measure, t, chapter), (measure, t, partner), (measure, t, reporter)
            )
        ),
        apart as (
            select
                l.*, m.season,
                size / max(size) over (partition by measure, t) as share,
                by_sum - median(if(is_judged and not {is_first}, null, by_sum)) over near as sum_off,
                by_median - median(if(is_judged and not {is_first}, null, by_median)) over near as median_off,
                by_sum - any_value(by_sum) over year_before as sum_off_year,
                by_median - any_value(by_median) over year_before as median_off_year,
                count(*) filter (where {is_first} or not is_judged) over near as n_near
            from levels as l
            join history_months as m using (t)
            window
                near as (partition by measure, chapter, partner, reporter order by {around}),
                year_before as (
                    partition by measure, chapter, partner, reporter
                    order by t range between season preceding and season preceding
                )
        ),
        off as (
            select
                *,
                {smaller("sum_off", "coalesce(sum_off_year, sum_off)")} as sum_both,
                {smaller("median_off", "coalesce(median_off_year, median_off)")} as median_both
            from apart
            where n_near >= {KNOWN_MONTHS}
        )
        select *, {smaller("sum_both", "median_both")} as deviation
        from off
        """
    )
    connection.execute(
        f"""
        insert into history_levels
        with spread as (
            select measure, chapter, partner, reporter, 1.4826 * mad(deviation) as spread
            from history_groups
            where {is_first} or not is_judged
            group by all
        ),
        judged as (
            select
                g.*, coalesce(s.spread, 0) as spread,
                case
                    when g.measure = '{UNIT_VALUE}' then {UNIT_VALUE_FACTOR} * if(g.partner is null, 1, 4)
                    when g.partner is not null then {PARTNER_FACTOR}
                    when g.chapter is not null then {CHAPTER_FACTOR}
                    else {WHOLE_FACTOR}
                end as factor,
                if(g.partner is null and g.chapter is null, {WHOLE_SERIES}, {FEW_SERIES}) as enough
            from history_groups as g
            left join spread as s
                on s.measure = g.measure and s.chapter is not distinct from g.chapter
                    and s.partner is not distinct from g.partner and s.reporter is not distinct from g.reporter
            where g.is_judged
        )
        select
            if(n_series >= enough and abs(deviation) > ln(factor), 'error', 'warn'),
            m.month, {SERIES}, 'as usual', format('{{:.3g}} times the usual', exp(deviation)), exp(deviation)
        from judged
        join history_months as m using (t)
        where abs(deviation) > {DEVIATIONS} * spread
            and abs(deviation) > if(n_series >= enough, ln(least(factor, {ODD_FACTOR})), ln({ODD_FACTOR}))
            and n_series >= 3 and share >= {SMALL_SHARE}
        order by abs(deviation) desc, 2, 3
        limit 200
        """
    )


def find_other_structure(connection: duckdb.DuckDBPyConnection) -> None:
    """Compare the distribution of a month's value over the cells with the usual one, independent of its level."""
    # Products with half of everything are the total of the others.
    connection.execute(
        f"""
        create table history_distances as
        with totals as (
            select measure, chapter from history_typical where is_member group by measure, chapter
            qualify sum(typical) > {TOTAL_SHARE} * sum(sum(typical)) over (partition by measure)
                and count(*) over (partition by measure) > 2
        ),
        points as (
            select *, (measure, chapter) in (from totals) as is_total from history_points
            where is_member and measure != '{UNIT_VALUE}'
        ),
        usual as (
            select measure, chapter, reporter, partner, (measure, chapter) in (from totals) as is_total,
                sum(typical) as typical
            from history_typical where is_member group by all
        ),
        -- Partners not published yet are excluded.
        months as (
            select p.measure, p.t, null as chapter, sum(typical) as typical
            from (select distinct measure, t, reporter, partner from points) as p
            join usual using (measure, reporter, partner) where not is_total group by all
            union all
            select p.measure, p.t, chapter, sum(typical)
            from (select distinct measure, t, reporter, partner from points) as p
            join usual using (measure, reporter, partner) group by all
        ),
        found as (
            select measure, t, null as chapter, sum(value) as value from points where not is_total group by all
            union all
            select measure, t, chapter, sum(value) as value from points group by all
        )
        select
            p.measure, p.t, m.chapter, bool_or(p.is_judged) as is_judged, count(*) as n_series,
            1 - sum(least(p.value / m.value, p.typical / m.typical)) as distance
        from points as p
        join (select months.*, found.value from months join found on months.measure = found.measure
            and months.t = found.t and months.chapter is not distinct from found.chapter) as m
            on m.measure = p.measure and m.t = p.t and if(m.chapter is null, not p.is_total, m.chapter = p.chapter)
        group by p.measure, p.t, m.chapter
        """
    )
    connection.execute(
        f"""
        insert into history_structure
        with usual as (
            select measure, chapter, median(distance) as distance, 1.4826 * mad(distance) as spread,
                count(*) as n_months
            from history_distances
            where not is_judged or (select bool_and(is_judged) from history_distances)
            group by all
        )
        select
            m.month, concat_ws(', ', d.measure, 'products ' || d.chapter, n_series || ' series'),
            format('{{:.0f}} % of the value in other cells than typical', 100 * u.distance),
            format('{{:.0f}} %', 100 * d.distance)
        from history_distances as d
        join usual as u on u.measure = d.measure and u.chapter is not distinct from d.chapter
        join history_months as m using (t)
        where d.is_judged and n_series >= 30 and n_months >= {KNOWN_MONTHS}
            and d.distance > u.distance
                + greatest(if(d.chapter is null, {STRUCTURE_MOVED}, {CHAPTER_MOVED}), {DEVIATIONS} * u.spread)
        order by d.distance desc, 1, 2
        """
    )
