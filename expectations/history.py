"""History checks of the landing gate: whether a load continues its own past.

A response can be well formed, complete and internally consistent, and still be wrong as a whole: in another unit, a
month late, with partners exchanged. The dataset's own past reveals it. New months are compared with the months before,
restated months with their earlier figures. Comparisons are ratios, on logarithms; the usual value is a median, and the
bounds follow from the median deviation of the same group in its own past.

From the cells up:

- **series**: a cell over time (partner, product, flow, ...) in one measure; for bulk files, a chapter of products.
- **group**: the series of a measure; of a chapter, a partner or a reporter in it.
- **typical value**: median of a series over the known months. The expected value of a month is the sum of the typical
  values of the series present: partners not published yet are excluded.

An error of a whole measure, chapter or reporter blocks the load; so does one of a partner by a factor unknown in trade.
Merely odd figures warn (``warn``): real months are lumpy. On a first load there is nothing but the load itself, and all
of these warn. Bounds and false alarms on real series: docs/adr/0015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from expectations.landing import LandingGateInput

# Minimum number of months (or years, for annual figures) of a comparison, and of series behind a median.
KNOWN_MONTHS, REFERENCE_MONTHS, WHOLE_SERIES, FEW_SERIES = 3, 36, 5, 8
# More series than these are sampled: all months of a series, or none.
SAMPLED_CELLS = 600_000
# Multiple (or fraction) of the expected value, and of the usual deviation: beyond both, a group is an outlier.
WHOLE_FACTOR, CHAPTER_FACTOR, PARTNER_FACTOR, UNIT_VALUE_FACTOR = 2.0, 5.0, 8.0, 1.8
ODD_FACTOR, DEVIATIONS = 5.0, 6.0
# Share of a month's value in other cells than usual (one minus the Finger-Kreinin similarity), beyond usual.
STRUCTURE_MOVED, CHAPTER_MOVED, TOTAL_SHARE = 0.15, 0.25, 0.45
# Two partners or measures were exchanged if each is that much nearer to the history of the other, and that far from its
# own.
EXCHANGED_BETTER, EXCHANGED_FACTOR, EXCHANGED_CELLS = 2.0, 1.25, 8
# A regular series with this share of a measure is missed when it disappears.
MISSED_SHARE, MISSED_PARTNERS, SMALL_SHARE = 0.005, 0.05, 0.001
# Share of the cells that equal another month's to the last digit.
EQUAL_SHARE, EQUAL_CELLS = 0.5, 20
# A cell changed if it is restated by more than this factor; maximum share of the value of a measure, a month, a
# chapter, a partner.
MOVED_FACTOR, MOVED_WHOLE, MOVED_MONTH, MOVED_CHAPTER, MOVED_PARTNER = 1.5, 0.15, 0.25, 0.35, 0.5

UNIT_VALUE = "unit value"
UNMAPPED = "select code from partner_kinds where kind = 'unmapped'"
_CHAPTER = r"'^(?:GN|SITC)?\d{1,2}'"
_TABLES = {
    "history_levels": "severity varchar, month varchar, series varchar, expected varchar, found varchar, ratio double",
    "history_structure": "month varchar, series varchar, expected varchar, found varchar",
    "history_exchanged": "month varchar, series varchar, expected varchar, found varchar",
    "history_missing": "severity varchar, month varchar, series varchar, expected varchar, found varchar",
    "history_copies": "month varchar, series varchar, expected varchar, found varchar",
    "history_restated": (
        "severity varchar, month varchar, series varchar, expected varchar, found varchar, ratio double"
    ),
    "history_superseded": "series varchar, expected varchar, found varchar",
    "history_unchanged": "series varchar, expected varchar, found varchar",
}


def prepare_history(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Create the tables of findings behind the checks; each row is one line on a screen.

    Reads the views ``observations`` and, if there are earlier loads, ``previous``.
    """
    for table, columns in _TABLES.items():
        connection.execute(f"create table {table} ({columns})")
    if not load.history_measures:
        return
    _prepare_cells(connection, load)
    if not _scalar(connection, "select count(*) from history_points"):
        return
    _find_levels(connection, load)
    _find_other_structure(connection)
    _find_exchanged(connection, load)
    _find_missing(connection, load)
    _find_copies(connection, load)
    if load.previous is not None:
        _find_restated(connection, load)
        _find_superseded(connection, load)
        _find_unchanged(connection, load)


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0] or 0) if row else 0


def _literals(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values) or "null"


def _cells_of(load: LandingGateInput, source: str, sample: str) -> str:
    """Return the query of a source's positive cells: series, measure, reporter, partner, chapter, time, value."""
    names = set(load.key)
    product = next((name for name in ("product", "activity") if name in names), "")
    chapter = f"coalesce(nullif(regexp_extract(product, {_CHAPTER}), ''), product)" if product == "product" else product
    groups = {
        "reporter": "reporter" if "reporter" in names else "''",
        "partner": "partner" if "partner" in names else "''",
        "chapter": chapter or "''",
    }
    head = ", ".join(f"{expression} as {name}" for name, expression in groups.items())
    # Aggregates of partners would count their members twice.
    kinds = tuple(code for code, kind in load.partners.items() if kind in ("country", "unallocated"))
    member = f"(partner in ({_literals(kinds)}) or partner in ({UNMAPPED}))" if load.total_partner else "true"
    if load.measure_column:
        parts = ", ".join(name for name in load.key if name not in ("period", "measure"))
        place = ", ".join(name for name in load.key if name not in ("period", "measure", "partner")) or "''"
        return f"""
            select hash({parts}) as series, hash({place}) as place, measure, {head}, {member} as is_member, t, value
            from {source} join history_periods using (period)
            where measure in ({_literals(load.history_measures)}) and value > 0 {sample.format(parts=parts)}
        """
    # A file of millions of rows with one column per measure: its series are chapters.
    sums = ", ".join(f"sum({column}) as {column}" for column in load.history_measures)
    return f"""
        select hash(reporter, partner, chapter, flow) as series, hash(reporter, chapter, flow) as place, measure,
            reporter, partner, chapter, {member} as is_member, t, value
        from (
            unpivot (
                select reporter, partner, left(product, 2) as chapter, flow, t, {sums}
                from {source} join history_periods using (period)
                group by all
            ) on {", ".join(load.history_measures)} into name measure value value
        )
        where value > 0
    """


def _prepare_cells(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Put the cells of the load and of the loads before on one time axis, and compute each series' typical value."""
    sources = ["observations"]
    if load.history is not None:
        connection.execute(f"create view earlier as select * from read_parquet('{load.history}')")
    sources += ["previous"] * (load.previous is not None) + ["earlier"] * (load.history is not None)
    # Months if there are any; a year among months is their sum.
    periods = " union ".join(f"select distinct period from {source}" for source in sources)
    connection.execute(
        f"""
        create table history_periods as
        with periods as ({periods}),
        dated as (
            select period, regexp_matches(period, '^\\d{{4}}(-|MM)?\\d\\d$') as is_month, left(period, 4)::int as y
            from periods where regexp_matches(period, '^\\d{{4}}((-|MM)?\\d\\d|JJ00)?$')
        )
        select
            period,
            if(is_month, 12 * y + right(period, 2)::int - 1, y) as t,
            if(is_month, left(period, 4) || '-' || right(period, 2), left(period, 4)) as month,
            if(is_month, 12, 1) as season
        from dated
        qualify is_month = bool_or(is_month) over ()
        """
    )
    n_cells = _scalar(connection, "select count(*) from observations") if load.measure_column else 0
    step = -(-n_cells // SAMPLED_CELLS)
    sample = f"and hash({{parts}}) % {step} = 0" if step > 1 else ""
    connection.execute(f"create table history_now as {_cells_of(load, 'observations', sample)}")
    before = [_cells_of(load, source, sample) for source in sources[1:]]
    empty = "select * from history_now limit 0"
    connection.execute(
        f"create table history_before as {' union all '.join(f'({query})' for query in before or [empty])}"
    )
    for table in ("history_now", "history_before") if load.unit_value_of else ():
        value, quantity = load.unit_value_of
        connection.execute(
            f"""
            create or replace table {table} as
            select *, 1.0 as weight from {table}
            union all
            select v.series, v.place, '{UNIT_VALUE}', v.reporter, v.partner, v.chapter, v.is_member, v.t,
                v.value / q.value, q.value
            from {table} as v join {table} as q using (series, t)
            where v.measure = '{value}' and q.measure = '{quantity}'
            """
        )
    if not load.unit_value_of:
        for table in ("history_now", "history_before"):
            connection.execute(f"alter table {table} add column weight double default 1.0")
    connection.execute("create table history_months as select distinct t, month, season from history_periods")
    # New months are compared with history. So are partners that arrive later than others, in the newest month before.
    # Restated figures are compared with the earlier ones. On a first load everything is new.
    late = "(select max(t) from history_before)" if load.previous is not None and load.history is None else "null"
    connection.execute(
        f"""
        create table history_judged as
        select distinct t, partner from history_now
        where t not in (select t from history_before)
        union
        select distinct t, partner from history_now
        where t = {late} and partner not in (select partner from history_before where t = {late})
        """
    )
    connection.execute(
        f"""
        create table history_reference as
        from history_before where t >= (select max(t) from history_before) - {REFERENCE_MONTHS}
        """
    )
    if not _scalar(connection, "select count(*) from history_before"):
        connection.execute("insert into history_reference from history_now")
    connection.execute(
        """
        create table history_typical as
        select series, measure, any_value(place) as place, any_value(reporter) as reporter,
            any_value(partner) as partner, any_value(chapter) as chapter, exp(median(ln(value))) as typical,
            any_value(is_member) as is_member, count(*) as n_months
        from history_reference
        group by series, measure
        having count(*) >= greatest(2, (select count(distinct t) from history_reference) / 3)
        """
    )
    connection.execute(
        f"""
        create table history_points as
        select p.*, s.typical, s.place, s.reporter, s.partner, s.chapter, s.is_member
        from (
            select series, measure, t, value, weight, false as is_judged from history_reference
            where (t, partner) not in (from history_judged)
            union all
            select series, measure, t, value, weight, true from history_now where (t, partner) in (from history_judged)
        ) as p
        join history_typical as s using (series, measure)
        where (select count(distinct t) from history_reference) >= {KNOWN_MONTHS}
        """
    )


def _find_levels(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
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
                {_smaller("sum_off", "coalesce(sum_off_year, sum_off)")} as sum_both,
                {_smaller("median_off", "coalesce(median_off_year, median_off)")} as median_both
            from apart
            where n_near >= {KNOWN_MONTHS}
        )
        select *, {_smaller("sum_both", "median_both")} as deviation
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
            m.month, {_SERIES}, 'as usual', format('{{:.3g}} times the usual', exp(deviation)), exp(deviation)
        from judged
        join history_months as m using (t)
        where abs(deviation) > {DEVIATIONS} * spread
            and abs(deviation) > if(n_series >= enough, ln(least(factor, {ODD_FACTOR})), ln({ODD_FACTOR}))
            and n_series >= 3 and share >= {SMALL_SHARE}
        order by abs(deviation) desc, 2, 3
        limit 200
        """
    )


_SERIES = """concat_ws(', ', measure,
    if(chapter is not null, 'products ' || chapter, null), if(partner is not null, 'partner ' || partner, null),
    if(reporter is not null, 'reporter ' || reporter, null), n_series || ' series')"""


def _smaller(one: str, other: str) -> str:
    """Return the SQL of the smaller deviation; zero if the two have different signs."""
    return f"if(sign({one}) = sign({other}), sign({one}) * least(abs({one}), abs({other})), 0)"


def _find_other_structure(connection: duckdb.DuckDBPyConnection) -> None:
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


def _find_exchanged(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Find pairs of partners, or of measures, that each fit the other's history better than their own."""
    values = _literals(load.value_measures)
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


def _find_missing(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
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


def _find_copies(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
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


def _find_restated(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
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
            coalesce(m.month, 'all months'), {_SERIES.replace("reporter", "null").replace("series'", "cells'")},
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


def _find_superseded(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
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


def _find_unchanged(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
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
