"""Parsing of stored replies into a staged table, in one pass over the bytes.

Each office module defines how its replies read as rows and which rules they must meet. Common to all: every row is
loaded, or rejected with the rule that it broke, and the dataset's contract decides on undeclared columns and codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import duckdb

from common.sql import quote
from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.landing.layout import OBSERVATIONS, REJECTED_CELLS, cell_key, change_columns

# Rows of another release are not rejected: the load holds two vintages and must start again.
OTHER_VINTAGE = "other_vintage"
UNIT_CHANGE = "unit_change"
_GOOD = "new"


@dataclass(frozen=True)
class Counts:
    """Rows of a parsed load: ``read = loaded + rejected``."""

    read: int
    loaded: int
    rejected: int


@dataclass(frozen=True)
class Finding:
    """A deviation of a reply from its declaration.

    Attributes
    ----------
    rule : str
        A rule of the contract, or ``code_not_offered``: a requested code that the office does not have.
    subject : str
        Column, dimension or measure.
    detail : str
        The deviation.
    mode : str
        ``warn``, ``quarantine`` or ``fail``.
    """

    rule: str
    subject: str
    detail: str
    mode: str


@dataclass(frozen=True)
class Rows:
    """Stored replies as rows.

    Attributes
    ----------
    open : callable
        Returns a context with a SQL query over the replies; its rows have ``request_no`` and the columns used in
        `columns` and `rules`. It is opened again if rows must be rejected.
    columns : mapping of str to str
        SQL expression of each landing column (without ``load_id``, ``request_no``, ``change_kind``).
    rules : tuple of (str, str)
        Condition that a bad row meets, and the name of the rule; the first match counts.
    doubt : str
        Condition on landed columns, true for every row that breaks a rule and for few others. It is cheap on a written
        table, where codes are dictionaries; the rules are evaluated only if it finds a row.
    refused : tuple of (str, str)
        Rules that the first pass applies to every row; they precede the others.
    in_slice : str
        Condition of the rows that belong to the load. Other rows count neither as read nor as rejected.
    malformed : str
        Query of rows that could not be read at all (``request_no``, ``row_content``), valid after a pass; or empty.
    """

    open: Callable[[], AbstractContextManager[str]]
    columns: Mapping[str, str]
    rules: tuple[tuple[str, str], ...]
    doubt: str
    in_slice: str = "true"
    malformed: str = ""
    refused: tuple[tuple[str, str], ...] = ()

    def refusing(self, condition: str, rule: str) -> Rows:
        """Return the same rows with one more rule for the first pass."""
        return replace(self, refused=((condition, rule), *self.refused))


def unknown_code(column: str) -> str:
    """Return the name of the rule for rows with an unknown code in this column, in mode ``quarantine``."""
    return f"unknown_{column}"


# Codes by landing column.
Codes = Mapping[str, frozenset[str]]


def land_observations(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    rows: Rows,
    load_id: str,
    folder: Path,
    *,
    declared: Codes,
    codes_before: Callable[[Path], Codes],
) -> tuple[Counts, list[Finding]]:
    """Write ``observations`` and ``rejects`` of a load.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection for this load alone.
    dataset : Dataset
        The dataset.
    rows : Rows
        The stored replies.
    load_id : str
        Id of the load.
    folder : Path
        Folder of the Parquet files.
    declared : mapping of str to frozenset of str
        Codes in the reviewed seeds, by landing column, with ``*`` patterns. Other columns are compared with earlier
        loads.
    codes_before : callable
        Returns the codes of earlier loads in the cells that these observations (a file) cover.

    Returns
    -------
    tuple of Counts and list of Finding
        Row counts and deviations from the declaration.

    Raises
    ------
    BadReplyError
        If rows belong to another release than the load.
    """
    target = folder / f"{OBSERVATIONS}.parquet"
    written = f"read_parquet({quote(str(target))})"
    _write(connection, dataset, rows, load_id, target, rows.refused)
    read, good, other = connection.sql(
        f"select count(*), count(*) filter (where change_kind = '{_GOOD}'),"
        f" count(*) filter (where change_kind = '{OTHER_VINTAGE}') from {written}"
    ).fetchall()[0]
    if other:
        raise BadReplyError(
            f"{other:,} of {read:,} rows carry another stamp than the load",
            dataset=dataset.code,
            where=load_id,
            next_step="the office published during the load: load it again",
        )
    connection.execute(
        "create or replace temp table malformed (request_no integer, row_content varchar);"
        + (f"insert into malformed {rows.malformed}" if rows.malformed else "")
    )
    torn = connection.sql("select count(*) from malformed").fetchall()[0][0]
    if connection.sql(f"select count(*) from {written} where {rows.doubt}").fetchall()[0][0]:
        _write(connection, dataset, rows, load_id, target, rows.refused + rows.rules)
        good = connection.sql(f"select count(*) from {written} where change_kind = '{_GOOD}'").fetchall()[0][0]
    findings, quarantined = _check_codes(connection, dataset, written, declared, codes_before(target))
    bad_codes = "".join(
        f" when {column} in ({', '.join(quote(code) for code in codes)}) then {quote(unknown_code(column))}"
        for column, codes in quarantined.items()
    )
    if good < read or bad_codes:
        _reject(connection, dataset, rows, load_id, bad_codes, target)
    rejects = folder / "rejects.parquet"
    if not rejects.exists():
        connection.execute(
            f"copy (select null::varchar as load_id, null::integer as request_no, null::varchar as rule,"
            f" null::varchar as row_content limit 0) to {quote(str(rejects))} (format parquet)"
        )
    if torn:
        _append_malformed(connection, load_id, rejects)
    loaded = connection.sql(f"select count(*) from {written}").fetchall()[0][0]
    rejected = connection.sql(f"select count(*) from read_parquet({quote(str(rejects))})").fetchall()[0][0]
    spoilt = connection.sql(
        f"select count(*) from read_parquet({quote(str(rejects))}) where rule = 'not_a_number'"
    ).fetchall()[0][0]
    if spoilt:
        detail = f"{spoilt:,} of {read:,} values are not numbers"
        findings.append(Finding("type_change", "value", detail, dataset.contract.type_change))
    return Counts(int(read + torn), int(loaded), int(rejected)), findings


def _write(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    rows: Rows,
    load_id: str,
    target: Path,
    rules: tuple[tuple[str, str], ...],
) -> None:
    """Write all rows of a load; ``change_kind`` names the rule that a bad row breaks."""
    with rows.open() as source:
        connection.execute(
            f"""
            copy (
                select {quote(load_id)} as load_id, request_no::integer as request_no,
                    coalesce({_first_broken(rules)}, '{_GOOD}') as change_kind, {_projection(dataset, rows)}
                from ({source}) as r
                where {rows.in_slice}
            ) to {quote(str(target))} (format parquet, compression zstd)
            """
        )


def _first_broken(rules: tuple[tuple[str, str], ...]) -> str:
    if not rules:
        return "null"
    return f"case {' '.join(f'when {condition} then {quote(rule)}' for condition, rule in rules)} end"


def _projection(dataset: Dataset, rows: Rows) -> str:
    names = [name for name in change_columns(dataset) if name not in ("load_id", "request_no", "change_kind")]
    return ", ".join(f"{rows.columns[name]} as {name}" for name in names)


def _reject(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    rows: Rows,
    load_id: str,
    bad_codes: str,
    target: Path,
) -> None:
    """Read the replies again, write the rows that break a rule, and remove them from the observations."""
    rejects = target.with_name("rejects.parquet")
    by_code = f"case{bad_codes} end" if bad_codes else "null"
    with rows.open() as source:
        connection.execute(
            f"""
            copy (
                select {quote(load_id)} as load_id, request_no, rule, row_content
                from (
                    select request_no::integer as request_no, to_json(r)::varchar as row_content,
                        {_projection(dataset, rows)}, {_first_broken(rows.refused + rows.rules)} as broken,
                        coalesce(broken, {by_code}) as rule
                    from ({source}) as r
                    where {rows.in_slice}
                )
                where rule is not null
                order by request_no, rule, row_content
            ) to {quote(str(rejects))} (format parquet, compression zstd)
            """
        )
    kept, cells = target.with_name("kept.parquet"), target.with_name(f"{REJECTED_CELLS}.parquet")
    condition = f"change_kind = '{_GOOD}' and ({by_code}) is null" if bad_codes else f"change_kind = '{_GOOD}'"
    connection.execute(
        f"copy (select distinct {', '.join(cell_key(dataset))} from read_parquet({quote(str(target))})"
        f" where not ({condition}) order by all) to {quote(str(cells))} (format parquet, compression zstd)"
    )
    connection.execute(
        f"copy (from read_parquet({quote(str(target))}) where {condition})"
        f" to {quote(str(kept))} (format parquet, compression zstd)"
    )
    kept.replace(target)


def _append_malformed(connection: duckdb.DuckDBPyConnection, load_id: str, rejects: Path) -> None:
    extended = rejects.with_name("extended.parquet")
    connection.execute(
        f"""
        copy (
            from read_parquet({quote(str(rejects))})
            union all
            select {quote(load_id)}, request_no, 'malformed_line', row_content from malformed
            order by all
        ) to {quote(str(extended))} (format parquet, compression zstd)
        """
    )
    extended.replace(rejects)


def _check_codes(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, written: str, declared: Codes, before: Codes
) -> tuple[list[Finding], dict[str, list[str]]]:
    """Compare the codes of a load with the known ones; return findings and the codes to quarantine by column."""
    findings: list[Finding] = []
    quarantined: dict[str, list[str]] = {}
    # The classes behind a masked code change every month and come from no code list.
    named = [c for c in cell_key(dataset) if c not in ("period", "masked_class")]
    columns = [c for c in named if c in declared or before.get(c)]
    if not columns:
        return findings, quarantined
    lists = ", ".join(f"list(distinct {column})" for column in columns)
    found = connection.sql(f"select {lists} from {written} where change_kind = '{_GOOD}'").fetchall()[0]
    for column, values in zip(columns, found, strict=True):
        codes = {str(value) for value in values or () if value is not None}
        earlier = before.get(column, frozenset())
        if new := _unlisted(codes, declared.get(column) or earlier):
            mode = dataset.contract.new_code_mode(column)
            findings.append(Finding("new_code", column, _some(new), mode))
            if mode == "quarantine":
                quarantined[column] = new
        if gone := sorted(earlier - codes):
            findings.append(Finding("vanished_code", column, _some(gone), dataset.contract.vanished_code))
    return findings, quarantined


def _unlisted(codes: frozenset[str] | set[str], known: frozenset[str]) -> list[str]:
    """Return the codes that are known neither literally nor by a pattern."""
    patterns = [code for code in known if "*" in code]
    return sorted(code for code in codes - known if not any(fnmatchcase(code, pattern) for pattern in patterns))


def _some(codes: list[str]) -> str:
    rest = f" and {len(codes) - 20} more" if len(codes) > 20 else ""
    return f"{len(codes)}: {', '.join(codes[:20])}{rest}"
