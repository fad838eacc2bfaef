"""The cells of a load next to their own history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.history.limits import KNOWN_MONTHS, REFERENCE_MONTHS, SAMPLED_CELLS

if TYPE_CHECKING:
    import duckdb

    from expectations.landing import LandingGateInput


UNIT_VALUE = "unit value"
UNMAPPED = "select code from partner_kinds where kind = 'unmapped'"
_CHAPTER = r"'^(?:GN|SITC)?\d{1,2}'"


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one number of a query; 0 for null."""
    row = connection.execute(query).fetchone()
    return int(row[0] or 0) if row else 0


def literals(values: tuple[str, ...]) -> str:
    """Return texts as a list of SQL; null for none."""
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
    member = f"(partner in ({literals(kinds)}) or partner in ({UNMAPPED}))" if load.total_partner else "true"
    if load.measure_column:
        parts = ", ".join(name for name in load.key if name not in ("period", "measure"))
        place = ", ".join(name for name in load.key if name not in ("period", "measure", "partner")) or "''"
        return f"""
            select hash({parts}) as series, hash({place}) as place, measure, {head}, {member} as is_member, t, value
            from {source} join history_periods using (period)
            where measure in ({literals(load.history_measures)}) and value > 0 {sample.format(parts=parts)}
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


def prepare_cells(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
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
    n_cells = scalar(connection, "select count(*) from observations") if load.measure_column else 0
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
    if not scalar(connection, "select count(*) from history_before"):
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


SERIES = """concat_ws(', ', measure,
    if(chapter is not null, 'products ' || chapter, null), if(partner is not null, 'partner ' || partner, null),
    if(reporter is not null, 'reporter ' || reporter, null), n_series || ' series')"""


def smaller(one: str, other: str) -> str:
    """Return the SQL of the smaller deviation; zero if the two have different signs."""
    return f"if(sign({one}) = sign({other}), sign({one}) * least(abs({one}), abs({other})), 0)"
