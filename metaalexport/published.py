"""Ask the published file: SQL, status, lineage. Read-only, and never the build file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from metaalexport.settings import Settings
from publish.duckdb_file import connect_published


class NothingPublishedError(Exception):
    """There is no published file yet."""


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
        If a write-ahead log lies beside the published file.
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
    """Return the id of what is published; empty if nothing is."""
    if not settings.published.exists():
        return ""
    return str(query(settings, "select publish_id from ops.publication").rows[0][0])


def query(settings: Settings, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Table:
    """Run one query on the published file."""
    with open_published(settings) as connection:
        cursor = connection.execute(sql, parameters)
        columns = tuple(column[0] for column in cursor.description or ())
        return Table(columns, tuple(cursor.fetchall()))


def top_destinations(settings: Settings, limit: int = 8) -> Table:
    """Return the largest destinations of Dutch exports: the first scope that has shares, newest 12 months.

    A scope of metal goes first, then the user's own, then the others; each row names source, concept and scope.
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
    """Return the newest run of each gate over each subject in few words."""
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
    """Lead from one share back to the office's replies.

    Returns
    -------
    tuple of Table
        The share (one row), and one row a request: what it gave to numerator and denominator, load, URL, sha256.
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


def write_result(settings: Settings, sql: str, target: Path, kind: str) -> int:
    """Write a query's result to a file (``parquet`` or ``csv``); returns the number of rows.

    A reader's connection may not write files, so this one attaches the published file read-only.
    """
    open_published(settings).close()
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.published}' as published (read_only)")
        connection.execute("use published")
        statement = sql.strip().rstrip(";")
        file = str(target).replace("'", "''")
        # On lines of its own: the statement may end with a comment.
        return int(connection.execute(f"copy (\n{statement}\n) to '{file}' (format {kind})").fetchall()[0][0])
