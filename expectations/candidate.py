"""The publish gate: whether a candidate may replace the published file.

dbt has checked keys, contracts and identities inside the candidate. This gate compares it with the published file and
with third-party figures, and checks what readers would question.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from common.sql import quote
from expectations.gate import Check
from expectations.suites import read_gate, read_suite

_FOLDER = Path(__file__).parent
_ORIGIN_KEYS = ("source_code", "concept_code", "scope_code", "reporter_code", "dataset_code")
# All tables of the published file that candidate.sql reads.
_COMPARED = ("marts.rpt_destination_shares", "marts.fct_exports", "marts.fct_export_totals", "ops.loads")


@dataclass(frozen=True)
class CandidateGateInput:
    """Input of the publish gate.

    Attributes
    ----------
    candidate : Path
        The new warehouse.
    published : Path or None
        The published file, if there is one.
    is_simulated : bool
        True if the profile publishes simulated data.
    withdrawn : tuple of str
        Ids of withdrawn loads; their published figures may disappear.
    problem : str
        Why nothing is compared although there is a published file.
    """

    candidate: Path
    published: Path | None
    is_simulated: bool
    withdrawn: tuple[str, ...] = ()
    problem: str = ""


def _connect(candidate: Path) -> duckdb.DuckDBPyConnection:
    """Open the candidate to read; its views read files by paths relative to its folder."""
    return duckdb.connect(str(candidate), read_only=True, config={"file_search_path": str(candidate.parent)})


def loads_behind(candidate: Path, query: str) -> set[str]:
    """Return the load ids in the result of a query on the candidate; empty if it has no such column."""
    with _connect(candidate) as connection:
        columns = {row[0] for row in connection.execute(f"describe {query}").fetchall()}
        if "load_id" not in columns:
            return set()
        return {row[0] for row in connection.execute(f"select distinct load_id from ({query})").fetchall()}


def slices_behind(candidate: Path, query: str) -> set[tuple[str, str]]:
    """Return dataset and reporter of the exports behind the rows of a query on the candidate.

    Empty if the columns do not identify them.
    """
    with _connect(candidate) as connection:
        columns = {row[0] for row in connection.execute(f"describe {query}").fetchall()}
        keys = [key for key in _ORIGIN_KEYS if key in columns]
        if "reporter_code" not in keys:
            return set()
        found = connection.execute(
            f"""
            select distinct dataset_code, reporter_code
            from (
                select t.source_code, t.concept_code, m.scope_code, t.reporter_code, t.dataset_code
                from marts.fct_export_totals as t
                join marts.dim_metal_scope_member as m
                    on m.nomenclature_code = t.nomenclature_code
                    and coalesce(m.source_code, t.source_code) = t.source_code
            ) semi join ({query}) using ({", ".join(keys)})
            """
        ).fetchall()
        return {(dataset, reporter) for dataset, reporter in found}


def prepare_database(database: Path, gate: CandidateGateInput) -> None:
    """Summarise candidate and published file in one small DuckDB file for the checks (``candidate.sql``)."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"attach {quote(str(gate.candidate))} as candidate (read_only)")
        if gate.published is None:
            connection.execute("attach ':memory:' as published")
            for table in _COMPARED:
                connection.execute(f"create schema if not exists published.{table.partition('.')[0]}")
                connection.execute(f"create table published.{table} as from candidate.{table} limit 0")
        else:
            connection.execute(f"attach {quote(str(gate.published))} as published (read_only)")
        connection.execute("set variable withdrawn = cast(? as varchar[])", [list(gate.withdrawn)])
        connection.execute("set variable problem = cast(? as varchar)", [gate.problem])
        connection.execute("set variable is_simulated = cast(? as boolean)", [gate.is_simulated])
        connection.execute((_FOLDER / "candidate.sql").read_text(encoding="utf-8"))


def new_loads(database: Path) -> list[str]:
    """Return the ids of the candidate's loads that are not in the published file."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return [row[0] for row in connection.execute("select load_id from loads where is_new order by 1").fetchall()]


def blamed_loads(database: Path, check: Check) -> list[str]:
    """Return the ids of the new loads that brought the rows violating a check; empty if unknown."""
    if not check.blames:
        return []
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute(f"select distinct load_id from ({check.blames}) order by 1").fetchall()
        return [row[0] for row in rows]


def candidate_checks(gate: CandidateGateInput) -> list[Check]:
    """Return the suite of the publish gate (``candidate.yml``)."""
    values = {
        "is_simulated": str(gate.is_simulated).lower(),
        "figures_severity": "error" if gate.published else "warn",
    }
    blames = {
        table: "select load_id from loads semi join (select distinct o.dataset_code, o.reporter_code from origins as o"
        f" join (from {table} where {{where}}) as t using ({', '.join(columns)}))"
        " using (dataset_code, reporter_code) where is_new"
        for table, columns in read_gate("candidate")["origins"].items()
    }
    return read_suite("candidate", (), values, blames)
