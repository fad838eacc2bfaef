"""Read-only queries on the published file, never on the build file: SQL, status, lineage."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from common.files import replacing
from common.sql import quote
from metaalexport.settings import Settings
from publish.duckdb_file import READER_CONFIG, connect_published

# DuckDB's copy options by format.
WRITERS = {"parquet": "format parquet", "csv": "format csv, header", "json": "format json, array"}
# A JSON string, which is kept, or a non-JSON number.
_JSON_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|-?\bInfinity\b|\bNaN\b')


class NothingPublishedError(Exception):
    """There is no published file yet."""


class QueryError(Exception):
    """The text is not one query, or its target is invalid; the message has the next step."""


@dataclass(frozen=True)
class Table:
    """A small result for people: column names and rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def open_published(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Open the published file as a reader.

    Raises
    ------
    NothingPublishedError
        If nothing was published under this profile.
    PublishedFileError
        If a write-ahead log is next to the published file.
    """
    require_published(settings)
    return connect_published(settings.published)


def require_published(settings: Settings) -> None:
    """Raise `NothingPublishedError` if nothing was published under this profile."""
    if not settings.published.exists():
        raise NothingPublishedError(
            f"nothing is published under profile {settings.profile!r} ({settings.published} does not exist);"
            f" next: make run SOURCE={settings.profile}"
        )


def publish_id(settings: Settings) -> str:
    """Return the publish id; empty if nothing is published."""
    if not settings.published.exists():
        return ""
    return str(query(settings, "select publish_id from ops.publication").rows[0][0])


def query(
    settings: Settings, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, most: int | None = None
) -> Table:
    """Run one query on the published file, reading at most `most` rows."""
    with open_published(settings) as connection:
        cursor = connection.execute(sql, parameters)
        columns = tuple(column[0] for column in cursor.description or ())
        return Table(columns, tuple(cursor.fetchall() if most is None else cursor.fetchmany(most)))


def top_destinations(settings: Settings, limit: int = 8) -> Table:
    """Return the largest destinations of Dutch exports in the newest 12 months, for the first scope with shares.

    Metal scopes come first, then the user's scopes, then the others; each row names source, concept and scope.
    """
    return query(
        settings,
        """
        with candidates as (
            select
                shares.source_code, shares.concept_code, shares.scope_code, shares.reporter_code,
                max(shares.month) as month,
                case when scopes.is_metal then 1 when scopes.origin = 'user' then 2 else 3 end as preference
            from marts.rpt_destination_shares as shares
            join marts.dim_metal_scope as scopes using (scope_code)
            where shares.share_r12 is not null and shares.reporter_code = 'NL'
            group by all
        ),
        chosen as (
            from candidates order by preference, scope_code = 'metal_core_hs' desc, source_code desc, scope_code limit 1
        )
        select
            now.source_code as source,
            now.concept_code as concept,
            now.scope_code as scope,
            now.month as to_month,
            now.destination_rank_r12 as rank,
            now.destination_name_en as destination,
            round(now.value_r12_eur / 1e6, 1) as mln_eur,
            round(100 * now.share_r12, 2) as share_pct,
            round(100 * (now.share_r12 - before.share_r12), 2) as change_pp
        from marts.rpt_destination_shares as now
        join chosen using (source_code, concept_code, scope_code, reporter_code, month)
        left join marts.rpt_destination_shares as before
            on before.source_code = now.source_code and before.concept_code = now.concept_code
            and before.scope_code = now.scope_code and before.reporter_code = now.reporter_code
            and before.destination_code = now.destination_code and before.month = now.month - interval 1 year
        where now.share_r12 is not null
        order by now.destination_rank_r12 nulls last, now.share_r12 desc
        limit ?
        """,
        [limit],
    )


def gate_summary(settings: Settings) -> Table:
    """Summarise the newest run of each gate on each subject."""
    return query(
        settings,
        """
        with newest as (
            from ops.checks qualify checked_at = max(checked_at) over (partition by gate, subject)
        )
        select
            gate, subject, count(*) as checks,
            count(*) filter (where not is_passed and severity = 'error') as failed,
            count(*) filter (where not is_passed and severity = 'warn') as warned,
            max(checked_at) as checked_at
        from newest
        group by gate, subject
        order by max(checked_at) desc, gate, subject
        limit 12
        """,
    )


def lineage(
    settings: Settings,
    *,
    source: str,
    concept: str,
    scope: str,
    reporter: str,
    destination: str,
    month: str,
) -> tuple[Table, Table]:
    """Trace one share back to the office's replies.

    Returns
    -------
    tuple of Table
        The share (one row), and one row per request: contribution to numerator and denominator, load, URL, sha256.
    """
    key = {
        "source": source,
        "concept": concept,
        "scope": scope,
        "reporter": reporter,
        "destination": destination,
        "month": f"{month}-01",
    }
    share = query(
        settings,
        """
        select
            source_code, concept_code, scope_code, reporter_code, destination_code, month, value_eur, total_eur, share,
            is_complete, incomplete_reason
        from marts.rpt_destination_shares
        where source_code = $source and concept_code = $concept and scope_code = $scope
            and reporter_code = $reporter and destination_code = $destination and month = cast($month as date)
        """,
        key,
    )
    requests = query(
        settings,
        """
        with figures as (
            select 'value' as part, f.product_code, m.sign * f.value_eur as value_eur, f.load_id, f.request_id
            from marts.fct_exports as f
            join marts.dim_metal_scope_member as m using (nomenclature_code, product_code)
            where f.source_code = $source and f.concept_code = $concept and m.scope_code = $scope
                and f.reporter_code = $reporter and f.destination_code = $destination and f.flow_kind = 'total'
                and f.month = cast($month as date)
                and (m.source_code is null or m.source_code = f.source_code)
                and f.month >= m.valid_from and (m.valid_to is null or f.month <= m.valid_to)
            union all
            select 'total', t.product_code, m.sign * t.value_eur as value_eur, t.load_id, t.request_id
            from marts.fct_export_totals as t
            join marts.dim_metal_scope_member as m using (nomenclature_code, product_code)
            where t.source_code = $source and t.concept_code = $concept and m.scope_code = $scope
                and t.reporter_code = $reporter and t.flow_kind = 'total' and t.period_type = 'month'
                and t.period_start = cast($month as date)
                and (m.source_code is null or m.source_code = t.source_code)
                and t.period_start >= m.valid_from and (m.valid_to is null or t.period_start <= m.valid_to)
        )
        select
            figures.part, count(*) as figures, sum(figures.value_eur) as value_eur,
            figures.load_id, loads.office_version, loads.retrieved_at, requests.url, requests.sha256
        from figures
        join ops.loads as loads on loads.load_id = figures.load_id
        join ops.requests as requests on requests.request_id = figures.request_id
        group by all
        order by figures.part desc, requests.url
        """,
        key,
    )
    return share, requests


def split_statements(sql: str) -> list[str]:
    """Split SQL text into its statements, without their semicolons.

    DuckDB's scanner finds the semicolons, ignoring those in strings and comments.
    """
    text = sql.encode()
    starts = [start for start, _ in duckdb.tokenize(sql)]
    statements, begin = [], 0
    # Offsets count bytes.
    for end in (*(start for start in starts if text[start:].startswith(b";")), len(text)):
        if any(begin <= start < end for start in starts):
            statements.append(text[begin:end].decode().strip())
        begin = end + 1
    return statements


def one_statement(sql: str) -> str:
    """Return the only statement of a text.

    Raises
    ------
    QueryError
        If there is none, or more than one.
    """
    statements = split_statements(sql)
    if len(statements) != 1:
        raise QueryError(
            f"the text holds {len(statements) or 'no'} statements, and each result is written separately;"
            " next: give one query"
        )
    return statements[0]


def write_result(settings: Settings, sql: str, target: Path, kind: str) -> int:
    """Write a query's result to a file with DuckDB's writers; return the number of rows.

    The query may read the published file only, and write no other file than the target. Duplicate column names are
    made unique (``a``, ``a_1``). The target appears when it is complete.

    Parameters
    ----------
    settings : Settings
        Settings of the profile whose published file is queried.
    sql : str
        One query.
    target : Path
        File to create or replace.
    kind : str
        ``parquet``, ``csv``, or ``json``: an array of one object per row, with null for values that JSON lacks (NaN,
        infinities).

    Raises
    ------
    NothingPublishedError
        If nothing was published under this profile.
    PublishedFileError
        If a write-ahead log is next to the published file.
    QueryError
        If the text is not one query, or the target is not a file.
    duckdb.Error
        If the query cannot be run, or the file cannot be written.
    """
    statement = one_statement(sql)
    open_published(settings).close()
    target = target.resolve()
    if target.exists() and not target.is_file():
        raise QueryError(f"{target} is not a file; next: give a file in an existing folder")
    with replacing(target) as part:
        with duckdb.connect() as connection:
            connection.execute(f"attach {quote(str(settings.published))} as published (read_only)")
            connection.execute("use published")
            connection.execute(f"set allowed_paths = [{quote(str(part))}]")
            for name, value in READER_CONFIG.items():
                connection.execute(f"set {name} = {value}")
            # On separate lines, as the statement may end with a comment. The subquery makes column names unique.
            copy = f"copy (from (\n{statement}\n)) to {quote(str(part))} ({WRITERS[kind]}, use_tmp_file false)"
            # A pivot becomes several statements; the copy returns the number of rows.
            told = [connection.execute(step).fetchall() for step in connection.extract_statements(copy)]
        if kind == "json":
            _without_nan(part)
    return sum(int(row[0]) for rows in told for row in rows)


def _without_nan(file: Path) -> None:
    """Replace numbers that JSON lacks with null."""
    with replacing(file) as changed, file.open(encoding="utf-8") as lines, changed.open("w", encoding="utf-8") as kept:
        kept.writelines(_JSON_TOKEN.sub(lambda found: found[1] or "null", line) for line in lines)
