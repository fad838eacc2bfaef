"""The landing gate: whether a load is complete and plausible.

Runs on a staged load, before its commit marker. The suite is derived from the dataset's registry entry and from the
loads before, so a new dataset gets a gate without new code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations.gate import Check
from expectations.history.findings import prepare_history
from expectations.suites import read_gate, read_suite

_LIMITS = read_gate("landing")["limits"]


@dataclass(frozen=True)
class LandingGateInput:
    """Input of the landing gate.

    Attributes
    ----------
    office : str
        ``cbs`` or ``eurostat``.
    folder : Path
        Staged load: ``observations``, ``findings`` and ``rejects`` as Parquet.
    previous : Path or None
        Cells of the loads before that this one covers, with ``vintage_at`` of each cell's last change; None if there
        are none.
    vintage_at : str
        Vintage of the load.
    key : tuple of str
        Columns of ``observations`` that identify a row.
    value_column : str
        Column of the figures; for a file with one column per measure, that of the value in euros.
    measure_column : str
        Column of the measure; empty for a file with one column per measure.
    measures, value_measures, level_measures, positive_measures : tuple of str
        All declared measures; those in euros, whose sums are checked; those whose level is compared with the loads
        before; those that cannot be negative.
    index_measures : tuple of str
        Indexes and rates, which are hardly revised.
    total_partner : str
        Code of the office's own total; empty if the dataset has none.
    total_parts : tuple of str
        Partners that sum to the office's total if it gives none.
    partners : mapping of str to str
        Known partner codes and their kind (``country``, ``unallocated``, ``total``, ``aggregate``, ``part``); a code
        with ``*`` is a pattern. Any other code is ``unmapped``.
    value_factor : float
        Factor from the office's unit to euros.
    thresholds : mapping of str to float
        Limits from the registry.
    guesses : tuple of str
        Unmeasured thresholds. They warn on a first load; later loads are held to the observed level.
    quarantine_rules : tuple of str
        Rules of rejected rows that the contract quarantines; they do not indicate a broken response.
    has_all_partners : bool
        True if the load requested all partners; only then can members be compared with the total.
    rows_read, rows_rejected : int
        From the load's manifest.
    history_measures : tuple of str
        Measures (for a file with one column per measure: columns) whose level has a history; see
        `expectations.history`.
    unit_value_of : tuple of str
        Value and quantity measures of the unit values; empty if there are none.
    history : Path or None
        Cells of the loads before for other months, by chapter of products, if one month is loaded at a time.
    said : Path or None
        Findings of the load before; None if there is none.
    reporter : str
        Requested reporter, if the rows of the response identify theirs; else empty.
    release_days : int
        Maximum days between two releases as scheduled; 0 if the office has no schedule.
    value_limit : float
        Exclusive upper bound of absolute values.
    """

    office: str
    folder: Path
    previous: Path | None
    vintage_at: str
    key: tuple[str, ...]
    value_column: str
    measure_column: str
    measures: tuple[str, ...]
    value_measures: tuple[str, ...]
    level_measures: tuple[str, ...]
    positive_measures: tuple[str, ...]
    index_measures: tuple[str, ...]
    total_partner: str
    total_parts: tuple[str, ...]
    partners: Mapping[str, str]
    value_factor: float
    thresholds: Mapping[str, float]
    guesses: tuple[str, ...]
    quarantine_rules: tuple[str, ...]
    has_all_partners: bool
    rows_read: int
    rows_rejected: int
    history_measures: tuple[str, ...] = ()
    unit_value_of: tuple[str, ...] = ()
    history: Path | None = None
    said: Path | None = None
    reporter: str = ""
    release_days: int = 0
    value_limit: float = 1e15

    @property
    def compared_measures(self) -> tuple[str, ...]:
        """Measures that must be present and are compared with the loads before."""
        return self.level_measures or self.measures


def prepare_database(database: Path, load: LandingGateInput) -> None:
    """Create a small DuckDB file with views on the staged Parquet and the loads before, and the known partners."""
    own = () if load.measure_column else (f"'{load.compared_measures[0]}' as measure",)
    value = () if load.value_column == "value" else (f"{load.value_column} as value",)
    projection = ", ".join(("*", *own, *value))
    with duckdb.connect(str(database)) as connection:
        observations = load.folder / "observations.parquet"
        connection.execute(f"create view observations as select {projection} from read_parquet('{observations}')")
        connection.execute(f"create view rejects as from read_parquet('{load.folder / 'rejects'}.parquet')")
        before = load.said or load.folder / "findings.parquet"
        connection.execute(
            f"""
            create view findings as
            select now.*, before.rule is not null as was_said
            from read_parquet('{load.folder / "findings"}.parquet') as now
            left join (
                select distinct rule, subject, detail, mode from read_parquet('{before}')
                -- This rule describes how this one response was obtained.
                where {load.said is not None} and rule != 'fallback_used'
            ) as before using (rule, subject, detail, mode)
            """
        )
        if load.previous is not None:
            connection.execute(f"create view previous as select {projection} from read_parquet('{load.previous}')")
        if load.total_partner:
            _prepare_partner_kinds(connection, load)
            _prepare_sums(connection, load, "observations", "sums")
            _prepare_unmapped(connection, load)
        if load.previous is not None:
            _prepare_comparison(connection, load)
            if load.total_partner:
                _prepare_sums(connection, load, "previous", "sums_before")
                _prepare_totals_apart(connection, load)
                connection.execute(
                    "create table explained as select now.*, before.most_before from sums_by_period as now left join"
                    " (select measure, max(unexplained) as most_before from sums_before_by_period group by measure)"
                    " as before using (measure)"
                )
        prepare_history(connection, load)


def _prepare_partner_kinds(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Classify each partner code of this load and of those before."""
    seen = "select partner as code from observations"
    if load.previous is not None:
        seen += " union select partner from previous"
    # Lists in one statement: `executemany` imports pandas, which costs each load a second.
    connection.execute(
        "create table partners as"
        " select unnest(cast(? as varchar[])) as code, unnest(cast(? as varchar[])) as member_kind",
        [[*load.partners.keys()], [*load.partners.values()]],
    )
    connection.execute(
        f"""
        create table partner_kinds as
        select seen.code, coalesce(any_value(listed.member_kind), any_value(patterns.member_kind), 'unmapped') as kind
        from (select distinct code from ({seen})) as seen
        left join partners as listed using (code)
        left join partners as patterns on contains(patterns.code, '*') and seen.code glob patterns.code
        group by seen.code
        """
    )


def _prepare_sums(connection: duckdb.DuckDBPyConnection, load: LandingGateInput, source: str, target: str) -> None:
    rounding = load.thresholds["rounding_unit_eur"] / load.value_factor
    rest = ", ".join(f"o.{column}" for column in load.key if column != "partner")
    parts = _literals(load.total_parts) or "null"
    connection.execute(
        f"""
        create table {target} as
        select
            {rest},
            coalesce(
                sum(o.value) filter (where k.kind = 'total'),
                case
                    when count(*) filter (where o.partner in ({parts})) = {len(load.total_parts) or "null"}
                        then sum(o.value) filter (where o.partner in ({parts}))
                end
            ) as total,
            coalesce(sum(o.value) filter (where k.kind in ('country', 'unallocated')), 0) as members,
            coalesce(sum(o.value) filter (where k.kind = 'unmapped'), 0) as unmapped,
            count(*) filter (where k.kind in ('country', 'unallocated', 'unmapped')) * {rounding} / 2 as rounding
        from {source} as o
        join partner_kinds as k on k.code = o.partner
        where o.measure in ({_literals(load.value_measures)})
        group by all
        """
    )
    by_period = ", ".join(column for column in load.key if column not in ("partner", "product"))
    connection.execute(
        f"""
        create table {target}_by_period as
        select {by_period}, sum(total) as total, sum(members + unmapped) as members, sum(rounding) as rounding,
            round(1 - sum(members + unmapped) / sum(total), 4) as unexplained
        from {target}
        where total is not null
        group by all
        having sum(total) > {100 * rounding}
        """
    )


def _prepare_unmapped(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """List the partner codes missing from the seeds, largest first, each with the seed line that would add it."""
    connection.execute(
        f"""
        create table unmapped as
        select
            o.partner, round(sum(o.value) * {load.value_factor} / 1e6, 1) as mln_eur,
            min(o.period) as first_period, max(o.period) as last_period,
            '{load.office},' || o.partner || ',country,<ISO code>,<name>,,,<where you saw it>,reported' as line_to_add
        from observations as o
        join partner_kinds as k on k.code = o.partner and k.kind = 'unmapped'
        where o.measure in ({_literals(load.value_measures)})
        group by o.partner
        order by sum(o.value) desc, o.partner
        """
    )


def _prepare_totals_apart(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    rest = [column for column in load.key if column != "partner"]
    same = " and ".join(f"now.{column} is not distinct from before.{column}" for column in rest)
    connection.execute(
        f"""
        create table totals_apart as
        select
            {", ".join(f"now.{column}" for column in rest)}, now.total, now.members,
            round(now.total / before.total, 3) as total_moved, round(now.members / before.members, 3) as members_moved
        from sums as now
        join sums_before as before on {same}
        where now.members > 100 * now.rounding and before.members > 100 * before.rounding
            and abs(now.total / before.total - now.members / before.members) > {_LIMITS["total_apart"]}
        """
    )


def _prepare_comparison(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    same = " and ".join(f"o.{column} is not distinct from b.{column}" for column in load.key)
    # Aggregates come and go with their names (EA21) and contain their members again; so does a total that has parts.
    # Trade moved to a code missing from the seeds has not vanished.
    counted, moved = "true", "select 0 as value, 0 as n"
    if load.total_partner:
        left_out = ("aggregate", "total") if load.total_parts else ("aggregate",)
        counted = f"partner in (select code from partner_kinds where kind not in ({_literals(left_out)}))"
        moved = (
            "select coalesce(sum(o.value), 0) as value, count(*) as n from observations as o"
            " join partner_kinds as k on k.code = o.partner and k.kind = 'unmapped'"
            f" where o.measure in ({_literals(load.compared_measures)}) and o.period in (select period from before)"
        )
    # The newest period of the loads before is still filling up at the office; a file of one month has no other.
    connection.execute(
        f"""
        create table compared as
        with before as (
            select * from previous
            where measure in ({_literals(load.compared_measures)}) and {counted}
            qualify period < max(period) over () or min(period) over () = max(period) over ()
        ),
        moved as ({moved})
        select
            count(*) as n_before,
            count(o.period) + any_value(moved.n) as n_kept,
            greatest(coalesce(sum(b.value) filter (where o.period is null), 0) - any_value(moved.value), 0)
                / nullif(sum(b.value), 0) as vanished_share,
            sum(o.value) / nullif(sum(b.value) filter (where o.period is not null), 0) as level,
            count(*) filter (
                where b.measure in ({_literals(load.index_measures) or "null"})
                    and abs(o.value - b.value) > {_LIMITS["index_move"]} * abs(b.value)
            ) as n_indexes_moved
        from before as b
        left join observations as o on {same}
        cross join moved
        """
    )
    connection.execute(
        f"""
        create table restated as
        select {", ".join(f"b.{column}" for column in load.key)}, b.value as value_before, o.value as value_now
        from previous as b
        join observations as o on {same}
        where b.vintage_at = '{load.vintage_at}' and o.value is distinct from b.value
        order by all
        limit 100
        """
    )


def landing_checks(load: LandingGateInput) -> list[Check]:
    """Return the suite of the landing gate (``landing.yml``) that applies to a load."""
    is_guess = "max_unexplained_share" in load.guesses
    given = {
        "reporter": load.reporter,
        "positive_measures": load.positive_measures,
        "total": load.total_partner,
        "all_partners": load.has_all_partners,
        "guessed_limit": is_guess,
        "previous": load.previous,
        "level_measures": load.level_measures,
        "index_measures": load.index_measures,
        "history": load.history_measures,
    }
    parts = [" + ".join(load.total_parts)] if load.total_parts else []
    values = {
        **load.thresholds,
        "key": ", ".join(load.key),
        "rest_of_key": ", ".join(column for column in load.key if column != "partner"),
        "measures": ", ".join(load.compared_measures),
        "measure_values": ", ".join(f"('{measure}')" for measure in load.compared_measures),
        "positive_measures": _literals(load.positive_measures),
        "quarantine_rules": _literals(load.quarantine_rules),
        "reporter": load.reporter,
        "total_codes": " or ".join((load.total_partner, *parts)),
        "value_limit": load.value_limit,
        "rows_read": load.rows_read,
        "most_rejected": int(load.rows_read * _LIMITS["rejected_share"]),
        "floor": 100 * load.thresholds["rounding_unit_eur"] / load.value_factor,
        "unexplained_severity": "warn" if is_guess else "error",
        "history_severity": "warn" if load.previous is None and load.history is None else "error",
    }
    return read_suite("landing", {name for name, there in given.items() if there}, values)


def _literals(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
