"""State of a load's cells in the committed loads, and the changes that the load makes to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb

from common.months import Month
from common.sql import quote, text_list, values_table
from extract.dataset import Dataset
from extract.errors import writing
from extract.landing.layout import (
    CHANGES,
    OBSERVATIONS,
    REJECTED_CELLS,
    cell_content,
    cell_key,
    change_columns,
    connect,
    month_of,
)
from extract.landing.manifest import LoadManifest
from extract.slices import Slice

# Lags, in months, that a monthly file is compared with: the latest months and the same month a year earlier.
HISTORY_MONTHS = (1, 2, 3, 12)
# Committed loads, oldest vintage first, each with its table `changes`.
Loads = list[tuple[LoadManifest, Path]]


def land_coverage(
    connection: duckdb.DuckDBPyConnection,
    observations: Path,
    part: Slice,
    manifest: LoadManifest,
    target: Path,
    *,
    newest_before: str = "",
) -> None:
    """Write table ``coverage``: it decides which cells a load covers, and so which it withdraws.

    A slice without a last month extends to the newest period of the reply, or of earlier loads (`newest_month`) where
    the office has withdrawn it.
    """
    periods = f"(select distinct period from read_parquet({quote(str(observations))}))"
    newest = f"(select max({month_of('period')}) from {periods})"
    if newest_before:
        newest = f"greatest({newest}, date '{newest_before}')"
    last = f"date '{part.last_month}-01'" if part.last_month else newest
    rows = ", ".join(f"({quote(product)})" for product in (part.products or ("*",)))
    connection.execute(
        f"""
        copy (
            select {quote(manifest.load_id)} as load_id, {quote(part.reporter)} as reporter_code,
                asked.product as product_code, date '{part.first_month}-01' as first_month, {last} as last_month,
                {str(not part.partners).lower()} as has_all_partners, {quote(manifest.panel)} as panel
            from (values {rows}) as asked(product)
            order by asked.product
        ) to {quote(str(target))} (format parquet, compression zstd)
        """
    )


def write_state(dataset: Dataset, loads: Loads, coverage: Path, target: Path) -> int:
    """Write the committed state of the cells that a load covers.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    loads : Loads
        Committed loads of the load's partner set; see `Landing.of_panel`.
    coverage : Path
        Table ``coverage`` of the load.
    target : Path
        Parquet file to write: the columns of ``changes``, ``vintage_at`` of each cell's newest change, and
        ``superseded_value``, the cell's first figure before that change. One row per cell that the office shows.

    Returns
    -------
    int
        Rows written.
    """
    columns = change_columns(dataset)
    with writing(dataset.code, target), connect(target.parent) as connection:
        if not loads:
            projection = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in columns.items())
            added = "cast(null as varchar) as vintage_at, cast(null as double) as superseded_value"
            query = f"select {projection}, {added} limit 0"
        else:
            query = _state_query(connection, dataset, loads, coverage)
        connection.execute(f"copy ({query}) to {quote(str(target))} (format parquet)")
        return int(connection.sql(f"select count(*) from read_parquet({quote(str(target))})").fetchall()[0][0])


def write_chapters(dataset: Dataset, manifest: LoadManifest, loads: Loads, target: Path) -> int:
    """Write committed sums by product chapter for some of the months before a load of one month.

    Parameters
    ----------
    dataset : Dataset
        A dataset that is loaded month by month, with one column per measure.
    manifest : LoadManifest
        The load.
    loads : Loads
        Committed loads of its partner set.
    target : Path
        Parquet file to write: reporter, partner, product (two digits), flow, period, and one column per measure, for
        the `HISTORY_MONTHS` before the load's month.

    Returns
    -------
    int
        Rows written.
    """
    month = Month.parse(manifest.slice["first_month"])
    wanted = {str(month - lag) for lag in HISTORY_MONTHS}
    by_month: dict[str, Loads] = {}
    for load, changes in loads:
        if load.slice["first_month"] in wanted:
            by_month.setdefault(str(load.slice["first_month"]), []).append((load, changes))
    key = ", ".join(cell_key(dataset))
    parts = []
    for same_month in by_month.values():
        cells = f"select * from read_parquet({text_list(changes for _, changes in same_month)})"
        if len(same_month) > 1:
            order = values_table(
                {"load_id": "varchar", "position": "integer"},
                [(load.load_id, n) for n, (load, _) in enumerate(same_month)],
            )
            cells += (
                f" join ({order}) using (load_id)"
                f" qualify row_number() over (partition by {key} order by position desc) = 1"
            )
        sums = ", ".join(f"sum({column}) as {column}" for column in dataset.history_measures)
        parts.append(
            f"select reporter, partner, left(product, 2) as product, flow, period, {sums} from ({cells})"
            " where change_kind != 'withdrawn' group by all"
        )
    if not parts:
        return 0
    with writing(dataset.code, target), connect(target.parent) as connection:
        connection.execute(f"copy ({' union all '.join(parts)}) to {quote(str(target))} (format parquet)")
        return int(connection.sql(f"select count(*) from read_parquet({quote(str(target))})").fetchall()[0][0])


def newest_month(dataset: Dataset, reporter: str, loads: Loads) -> str:
    """Return the newest month for which committed loads have a figure of a reporter.

    Returns
    -------
    str
        ``YYYY-MM-01``, or empty if there is none.
    """
    if not loads:
        return ""
    files = text_list(changes for _, changes in loads)
    own = f" where reporter = {quote(reporter)}" if "reporter" in change_columns(dataset) else ""
    with duckdb.connect() as connection:
        newest = connection.sql(
            f"select max({month_of('period')})"
            f" from (select distinct period from read_parquet({files}, union_by_name = true){own})"
        ).fetchall()[0][0]
    return str(newest or "")


def _state_query(connection: duckdb.DuckDBPyConnection, dataset: Dataset, loads: Loads, coverage: Path) -> str:
    files = text_list(changes for _, changes in loads)
    order = values_table(
        {"load_id": "varchar", "position": "integer", "vintage_at": "varchar"},
        [(load.load_id, position, load.vintage_at) for position, (load, _) in enumerate(loads)],
    )
    asked = connection.sql(
        f"select reporter_code, product_code, first_month, last_month from read_parquet({quote(str(coverage))})"
    ).fetchall()
    # An empty reply for an open-ended slice covers no month: its bounds are null and match nothing.
    first, last = (f"'{day}'::date" if day else "null::date" for day in asked[0][2:4])
    # There are few periods and many rows: months are computed once per period, and the list prunes row groups.
    periods = connection.sql(
        f"""
        select period from (select distinct period from read_parquet({files}, union_by_name = true))
        where ({month_of("period")}) between {first} and {last} order by period
        """
    ).fetchall()
    conditions = [f"c.period in ({', '.join(quote(row[0]) for row in periods) or 'null'})"]
    names = change_columns(dataset)
    if "reporter" in names and asked[0][0] != "*":
        conditions.append(f"c.reporter = {quote(asked[0][0])}")
    products = [row[1] for row in asked]
    if "product" in names and "*" not in products:
        exact = ", ".join(quote(code) for code in products if not code.endswith("*"))
        some = [f"c.product in ({exact})"] if exact else []
        some += [f"starts_with(c.product, {quote(code[:-1])})" for code in products if code.endswith("*")]
        conditions.append(f"({' or '.join(some)})")
    key = ", ".join(f"c.{name}" for name in cell_key(dataset))
    return f"""
        select
            {", ".join(f"c.{name}" for name in names)}, l.vintage_at,
            lead(c.{cell_content(dataset)[0]}) over (partition by {key} order by l.position desc)
                as superseded_value
        from read_parquet({files}, union_by_name = true) as c
        join ({order}) as l on l.load_id = c.load_id
        where {" and ".join(conditions)}
        qualify row_number() over (partition by {key} order by l.position desc) = 1 and c.change_kind != 'withdrawn'
    """


def write_changes(source: Path, manifest: LoadManifest, dataset: Dataset, loads: Loads) -> LoadManifest:
    """Write table ``changes`` of a staged load and return the manifest with its counts."""
    observations, changes = source / f"{OBSERVATIONS}.parquet", source / f"{CHANGES}.parquet"
    changes.unlink(missing_ok=True)
    state = source / "state.parquet"
    coverage = source / "coverage.parquet"
    if not write_state(dataset, loads, coverage, state):
        # No earlier load covers these cells: all of them are new, and observations equal changes.
        changes.hardlink_to(observations)
        return replace(manifest, rows_changed=manifest.rows_loaded, rows_withdrawn=0)
    names = list(change_columns(dataset))
    key, content = cell_key(dataset), cell_content(dataset)
    same_key = " and ".join(f"o.{name} is not distinct from s.{name}" for name in key)
    same = " and ".join(f"o.{name} is not distinct from s.{name}" for name in content)

    def pick(name: str) -> str:
        if name == "load_id":
            return f"{quote(manifest.load_id)} as load_id"
        if name == "change_kind":
            return (
                "case when s.load_id is null then 'new' when o.load_id is null then 'withdrawn'"
                " else 'revised' end as change_kind"
            )
        if name in key:
            return f"coalesce(o.{name}, s.{name}) as {name}"
        return f"o.{name}"

    # The office shows a cell whose row was rejected; its earlier figure remains until its row can be read.
    rejected = source / f"{REJECTED_CELLS}.parquet"
    is_withdrawn = "true"
    if rejected.exists():
        same_rejected = " and ".join(f"r.{name} is not distinct from s.{name}" for name in key)
        is_withdrawn = f"not exists (from read_parquet({quote(str(rejected))}) as r where {same_rejected})"

    with connect(source) as connection:
        connection.execute(
            f"""
            copy (
                select {", ".join(pick(name) for name in names)}
                from read_parquet({quote(str(observations))}) as o
                full join read_parquet({quote(str(state))}) as s on {same_key}
                where case
                    when o.load_id is null then {is_withdrawn} else s.load_id is null or not ({same})
                end
                order by {", ".join(f"coalesce(o.{name}, s.{name})" for name in key)}
            ) to {quote(str(changes))} (format parquet, compression zstd)
            """
        )
        changed, withdrawn = connection.sql(
            f"select count(*) filter (where change_kind != 'withdrawn'),"
            f" count(*) filter (where change_kind = 'withdrawn') from read_parquet({quote(str(changes))})"
        ).fetchall()[0]
    return replace(manifest, rows_changed=int(changed), rows_withdrawn=int(withdrawn))
