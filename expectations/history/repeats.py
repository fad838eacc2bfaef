"""Cells that are missing, exchanged, copied or restated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.history.cells import SERIES, UNIT_VALUE, UNMAPPED, literals
from expectations.history.limits import (
    EQUAL_CELLS,
    EQUAL_SHARE,
    EXCHANGED_BETTER,
    EXCHANGED_CELLS,
    EXCHANGED_FACTOR,
    FEW_SERIES,
    KNOWN_MONTHS,
    MISSED_PARTNERS,
    MISSED_SHARE,
    MOVED_CHAPTER,
    MOVED_FACTOR,
    MOVED_MONTH,
    MOVED_PARTNER,
    MOVED_WHOLE,
    PARTNER_FACTOR,
)

if TYPE_CHECKING:
    import duckdb

    from expectations.landing import LandingGateInput


def find_exchanged(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Find pairs of partners, or of measures, that each fit the other's history better than their own."""
    values = literals(load.value_measures)
    # Distances of one member's month from another's typical figures, place by place; only for members of some size.
    connection.execute(
        f"""
        create table history_distances_of_pairs as
        with large as (
            select measure, partner from history_typical
            where is_member and partner != '' group by measure, partner
            qualify sum(typical) >= {MISSED_SHARE} * sum(sum(typical)) over (partition by measure)
        ),
        points as (from history_points where is_judged and is_member),
        partners as (
            select 'partner' as kind, p.t, p.measure as of, null as chapter, p.partner as own, s.partner as other,
                count(*) as n_cells, median(abs(ln(p.value / s.typical))) as distance
            from points as p
            join large using (measure, partner)
            join history_typical as s on s.measure = p.measure and s.place = p.place
            join large as l on l.measure = s.measure and l.partner = s.partner
            where p.measure != '{UNIT_VALUE}'
            group by all
        ),
        measures as (
            select 'measure' as kind, p.t, null as of, p.chapter, p.measure as own, s.measure as other,
                count(*) as n_cells, median(abs(ln(p.value / s.typical))) as distance
            from points as p
            join history_typical as s on s.series = p.series
            where p.measure in ({values}) and s.measure in ({values})
            group by grouping sets ((p.t, p.measure, s.measure), (p.t, p.measure, s.measure, p.chapter))
        )
        from partners union all from measures
        """
    )
    same = " and ".join(f"{{0}}.{c} is not distinct from a.{c}" for c in ("kind", "t", "of", "chapter"))
    connection.execute(
        f"""
        insert into history_exchanged
        with own as (from history_distances_of_pairs where own = other),
        crossed as (
            select d.*, own.distance / greatest(d.distance, 0.01) as better
            from history_distances_of_pairs as d
            join own on {same.format("own").replace("a.", "d.")} and own.own = d.own
            where d.own != d.other and d.n_cells >= {EXCHANGED_CELLS} and own.distance > ln({EXCHANGED_FACTOR})
        )
        select
            m.month, concat_ws(', ', a.of, 'products ' || a.chapter, a.kind || ' ' || a.own || ' and ' || a.other,
                a.n_cells || ' series'),
            'each nearest to its own history',
            format('{{:.1f}} and {{:.1f}} times nearer to the history of the other', a.better, b.better)
        from crossed as a
        join crossed as b on {same.format("b")} and b.own = a.other and b.other = a.own
        join history_months as m on m.t = a.t
        where a.own < a.other and a.better > {EXCHANGED_BETTER} and b.better > {EXCHANGED_BETTER}
        order by all
        """
    )


def find_missing(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Find chapters, and partners within the office's total, that are always present and now missing."""
    # A month without its total is not complete yet: intra-EU trade comes weeks later.
    whole = f"select measure, t from history_now where partner = '{load.total_partner}'"
    unmapped = UNMAPPED if load.total_partner else "null"
    connection.execute(
        f"""
        insert into history_missing
        with cells as (
            select measure, chapter, partner, t, sum(value) as value, false as is_judged
            from history_reference
            where is_member and t not in (select t from history_judged) and measure != '{UNIT_VALUE}'
            group by all
            union all
            select measure, chapter, partner, t, sum(value), true
            from history_now
            where is_member and t in (select t from history_judged) and measure != '{UNIT_VALUE}'
            group by all
        ),
        months as (select measure, t, is_judged, sum(value) as value from cells group by all),
        judged as (from months where is_judged),
        groups as (
            select measure, chapter, null as partner, t, sum(value) as value from cells where not is_judged group by all
            union all
            select measure, null, partner, t, sum(value) from cells where not is_judged group by all
        ),
        known as (select measure, count(*) as n_known from months where not is_judged group by measure),
        regular as (
            select measure, chapter, partner, n_known, median(g.value / m.value) as share
            from groups as g
            join months as m using (measure, t)
            join known using (measure)
            where not m.is_judged
            group by all
            having share >= {MISSED_SHARE} and count(*) = n_known and n_known >= {KNOWN_MONTHS}
        ),
        gone as (
            select r.*, j.t
            from regular as r
            join judged as j using (measure)
            where not exists (
                from cells as c
                where c.is_judged and c.measure = r.measure and c.t = j.t
                    and (r.chapter is null or c.chapter = r.chapter) and (r.partner is null or c.partner = r.partner)
            )
            and (r.partner is null or (measure, t) in ({whole}))
        ),
        -- A code missing from the seeds may be a missing partner's new one.
        renamed as (
            select c.measure, c.t, sum(c.value) / any_value(m.value) as share
            from cells as c
            join months as m using (measure, t, is_judged)
            where c.is_judged and c.partner in ({unmapped})
            group by all
        )
        select
            if(chapter is not null
                or sum(gone.share) over (partition by measure, t, chapter is null) - coalesce(n.share, 0)
                    >= {MISSED_PARTNERS},
                'error', 'warn'),
            m.month, concat_ws(', ', measure, 'products ' || chapter, 'partner ' || partner),
            format('{{:.1f}} % of the value', 100 * gone.share), 'nothing'
        from gone
        join history_months as m using (t)
        left join renamed as n using (measure, t)
        order by gone.share desc, 2, 3
        """
    )


def find_copies(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Find figures that repeat another month's, to the last digit."""
    least = 20 * max(1.0, load.thresholds["rounding_unit_eur"] / load.value_factor)

    def pairs(condition: str, now: str, before: str, lag: str) -> str:
        by = ", n.t" if now == "n.t" else ""
        return f"""
            select n.measure, n.chapter, {now} as t, {lag} as lag, count(*) as n_cells,
                avg((n.value = b.value)::int) as equal
            from history_now as n
            join {before} as b on b.series = n.series and b.measure = n.measure and b.t = n.t - {lag}
            where n.measure != '{UNIT_VALUE}' and n.value >= {least} and {condition}
            group by grouping sets ((n.measure{by}), (n.measure, n.chapter{by}))
        """

    season = "(select any_value(season) from history_months)"
    found = [pairs("(n.t, n.partner) in (from history_judged)", "n.t", "history_now", "1")]
    found.append(pairs("(n.t, n.partner) in (from history_judged)", "n.t", "history_reference", "1"))
    found.append(pairs("(n.t, n.partner) in (from history_judged)", "n.t", "history_reference", season))
    if load.previous is not None:
        restated = "(n.t, n.partner) not in (from history_judged)"
        found += [pairs(restated, "max(n.t)", "history_before", lag) for lag in ("1", "-1")]
    connection.execute(
        f"""
        insert into history_copies
        select distinct
            m.month, concat_ws(', ', measure, 'products ' || chapter, n_cells || ' cells'),
            'other figures than ' || abs(lag) || if(lag > 0, ' earlier', ' later'),
            format('{{:.0f}} % are equal to the last digit', 100 * equal)
        from ({" union all by name ".join(f"({query})" for query in found)})
        join history_months as m using (t)
        where n_cells >= {EQUAL_CELLS} and equal > {EQUAL_SHARE}
        order by all
        """
    )


def find_restated(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Compare restated cells with their earlier figures: how much of the value changed, and by what factor."""
    connection.execute(
        f"""
        create table history_pairs as
        select
            n.*, b.value as before,
            -- A cell that comes nearer to its typical value was corrected.
            abs(ln(n.value / b.value)) > ln({MOVED_FACTOR})
                and coalesce(abs(ln(n.value / s.typical)) > abs(ln(b.value / s.typical)), true) as is_moved
        from history_now as n
        join history_before as b using (series, measure, t)
        left join history_typical as s using (series, measure)
        where n.is_member and n.measure != '{UNIT_VALUE}'
        """
    )
    connection.execute(
        f"""
        insert into history_restated
        with groups as (
            select
                measure, t, chapter, partner, count(*) as n_series, sum(before) as before,
                sum(before) filter (where is_moved) / sum(before) as moved, median(ln(value / before)) as ratio
            from history_pairs
            group by grouping sets ((measure), (measure, t), (measure, chapter), (measure, partner))
        ),
        shares as (
            select *, before / max(before) over (partition by measure) as share from groups
        )
        select
            if(partner is null or abs(ratio) > ln({PARTNER_FACTOR}), 'error', 'warn') as severity,
            coalesce(m.month, 'all months'), {SERIES.replace("reporter", "null").replace("series'", "cells'")},
            'as before', format('{{:.0f}} % of the value changed, median factor {{:.3g}}', 100 * moved, exp(ratio)),
            exp(ratio)
        from shares
        left join history_months as m using (t)
        where moved > case
                when partner is not null then {MOVED_PARTNER}
                when chapter is not null then {MOVED_CHAPTER}
                when t is not null then {MOVED_MONTH}
                else {MOVED_WHOLE}
            end
            and n_series >= {FEW_SERIES} and share >= {MISSED_SHARE}
        order by share desc, 2, 3
        """
    )


def find_superseded(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Find cells that return to their figure in a release before the last one."""
    same = " and ".join(f"o.{column} is not distinct from p.{column}" for column in load.key)
    connection.execute(
        f"""
        insert into history_superseded
        select
            p.measure || ', ' || count(*) || ' cells that the last release revised',
            'the last release, or a new revision',
            format('{{:.0f}} % are back at the figure before it', 100 * avg((o.value = p.superseded_value)::int))
        from previous as p
        join observations as o on {same}
        where p.superseded_value is distinct from p.value and p.superseded_value is not null
            and p.vintage_at = (select max(vintage_at) from previous)
        group by p.measure
        having count(*) >= {EQUAL_CELLS} and avg((o.value = p.superseded_value)::int) > {EQUAL_SHARE}
        """
    )


def find_unchanged(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Find a release that is only a new stamp, long enough after the last one for a real release."""
    if not load.release_days:
        return
    connection.execute(
        f"""
        insert into history_unchanged
        with newest as (select max(vintage_at)::timestamp as vintage_at from previous)
        select
            count(*) || ' cells', 'an additional month, or a revision',
            'all as released on ' || (select vintage_at::date from newest)
        from history_pairs
        having count(*) >= {EQUAL_CELLS} and bool_and(value = before)
            and (select max(t) from history_now) <= (select max(t) from history_before)
            and date_diff('day', (select vintage_at from newest), '{load.vintage_at}'::timestamp)
                >= 0.8 * {load.release_days}
        """
    )
