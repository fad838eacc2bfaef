"""Run suites over a DuckDB file and report the results.

Two severities only: ``error`` blocks, ``warn`` reports. A check that raises is a bug, not bad data, and a gate that
evaluates nothing has failed: Great Expectations would report both as a plain ``success=False``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

# Read before the first import of the library, which must not send analytics.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

_WHOLE_TABLE = "whole_table"
_KEPT_RUNS = 30
_DOCS_WAIT_SECONDS = 600


@dataclass(frozen=True)
class Check:
    """One expectation on one table of the gate's database.

    Attributes
    ----------
    name : str
        Unique within a gate; snake_case.
    table : str
        Table or view in the gate's database.
    severity : str
        ``error`` or ``warn``.
    message : str
        What is expected, worded for an alert.
    expectation : str
        Name of a Great Expectations class, for example ``ExpectColumnValuesToBeBetween``.
    arguments : dict
        Its arguments. ``UnexpectedRowsExpectation`` takes a query over ``{batch}``.
    blames : str
        Query over the gate's database for the ids of the loads that brought the rows violating the check; empty if
        they cannot be identified.
    """

    name: str
    table: str
    severity: str
    message: str
    expectation: str
    arguments: dict[str, Any]
    blames: str = ""


def rows_check(
    name: str, table: str, severity: str, message: str, query: str, blames: str = "", *, order: str = "all"
) -> Check:
    """Return a check that a query selects no rows.

    Messages and stored results show the first rows of a query: without an order these differ from run to run.

    Parameters
    ----------
    name, table, severity, message, blames : str
        As for `Check`.
    query : str
        Query over ``{batch}``, unordered.
    order : str
        Order of the rows; empty if the table is already in the order to show.

    Returns
    -------
    Check
        An ``UnexpectedRowsExpectation``.
    """
    ordered = f"{query} order by {order}" if order else query
    return Check(
        name, table, severity, message, "UnexpectedRowsExpectation", {"unexpected_rows_query": ordered}, blames
    )


@dataclass(frozen=True)
class CheckResult:
    """Result of a check."""

    run_id: str
    gate: str
    subject: str
    check_name: str
    severity: str
    is_passed: bool
    observed: str
    message: str
    checked_at: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


class GateBrokenError(RuntimeError):
    """The gate itself failed: nothing is known about the data."""


def run_gate(
    database: Path,
    checks: Sequence[Check],
    *,
    gate: str,
    subject: str,
    run_id: str,
    checked_at: str,
    gx_dir: Path,
) -> list[CheckResult]:
    """Evaluate checks on a DuckDB file, pushed down as SQL.

    Parameters
    ----------
    database : Path
        DuckDB file with the tables named by the checks, alone in its folder. Great Expectations keeps it open for the
        life of the process, so each gate run needs its own file.
    checks : sequence of Check
        Checks to evaluate.
    gate, subject, run_id, checked_at : str
        Labels for the results.
    gx_dir : Path
        Great Expectations project folder; suites and validation results are kept there for Data Docs.

    Returns
    -------
    list of CheckResult
        One per check, in the order of `checks`.

    Raises
    ------
    GateBrokenError
        If a check raises, or nothing is evaluated.
    """
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import DataContextConfig, FilesystemStoreBackendDefaults

    from expectations.duckdb_engine import buffer_duckdb_results

    buffer_duckdb_results()
    # Results go into files; the configuration would be written and read again for each table and check.
    project = database.parent / "gx"
    stores = FilesystemStoreBackendDefaults(root_directory=str(project / "gx"))
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(store_backend_defaults=stores, progress_bars={"globally": False}),
    )
    name = f"{gate}:{subject}"
    tables = list(dict.fromkeys(check.table for check in checks))
    source = context.data_sources.add_sql(
        name,
        connection_string=f"duckdb:///{database}",
        kwargs={"connect_args": {"read_only": True}},
        # All at once: the library saves its configuration with each addition.
        assets=[
            {"type": "table", "name": table, "table_name": table, "batch_definitions": [{"name": _WHOLE_TABLE}]}
            for table in tables
        ],
    )
    results: list[CheckResult] = []
    for table in tables:
        selected = [check for check in checks if check.table == table]
        batch = source.get_asset(table).get_batch_definition(_WHOLE_TABLE)
        suite = gx.ExpectationSuite(name=f"{gate}.{table}")
        for check in selected:
            kind = getattr(gxe, check.expectation)
            suite.add_expectation(
                kind(
                    **check.arguments,
                    description=check.message,
                    severity="critical" if check.severity == "error" else "warning",
                    meta={"check": check.name, "severity": check.severity},
                )
            )
        suite = context.suites.add_or_update(suite)
        definition = gx.ValidationDefinition(name=f"{gate}.{subject}.{table}", data=batch, suite=suite)
        definition = context.validation_definitions.add_or_update(definition)
        outcome = definition.run(run_id=gx.RunIdentifier(run_name=run_id), result_format={"result_format": "COMPLETE"})
        found = {result.expectation_config.meta["check"]: result for result in outcome.results}
        for check in selected:
            result = found.get(check.name)
            if result is None or (result.exception_info or {}).get("raised_exception") or _raised(result):
                raise GateBrokenError(
                    f"gate {gate}, {subject}: the check {check.name!r} could not be evaluated:"
                    f" {_raised(result) if result is not None else 'no result'}"
                )
            results.append(
                CheckResult(
                    run_id=run_id,
                    gate=gate,
                    subject=subject,
                    check_name=check.name,
                    severity=check.severity,
                    is_passed=bool(result.success),
                    observed=_observed(result),
                    message=check.message,
                    checked_at=checked_at,
                )
            )
    _keep(project, gx_dir)
    if not results:
        raise GateBrokenError(f"gate {gate}, {subject}: no check was evaluated")
    order = {check.name: position for position, check in enumerate(checks)}
    return sorted(results, key=lambda result: order[result.check_name])


def build_data_docs(gx_dir: Path) -> Path:
    """Render the stored validation results as HTML, pruned to the newest runs.

    Returns
    -------
    Path
        The index page.
    """
    import great_expectations as gx

    gx_dir.mkdir(parents=True, exist_ok=True)
    prune_validations(gx_dir)
    with FileLock(gx_dir / ".lock", timeout=_DOCS_WAIT_SECONDS):
        context = gx.get_context(mode="file", project_root_dir=str(gx_dir))
        context.build_data_docs()
    return gx_dir / "gx" / "uncommitted" / "data_docs" / "local_site" / "index.html"


def _keep(project: Path, gx_dir: Path) -> None:
    """Move suites and validation results of one gate run into the common folder, file by file and atomically."""
    for store in (Path("gx") / "expectations", Path("gx") / "uncommitted" / "validations"):
        for path in (project / store).rglob("*.json"):
            target = gx_dir / path.relative_to(project)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def prune_validations(gx_dir: Path, *, is_dry_run: bool = False) -> list[str]:
    """Delete the validation results of old runs: the time to build Data Docs grows with everything stored.

    Parameters
    ----------
    gx_dir : Path
        As for `run_gate`.
    is_dry_run : bool
        Only report what would be deleted.

    Returns
    -------
    list of str
        Names of the deleted runs (or those that would be), oldest first.
    """
    gx_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(gx_dir / ".lock", timeout=_DOCS_WAIT_SECONDS):
        runs: dict[str, list[Path]] = {}
        store = gx_dir / "gx" / "uncommitted" / "validations"
        for path in sorted(store.rglob("*.json"), key=lambda result: result.stat().st_mtime_ns):
            runs.setdefault(path.parent.parent.name, []).append(path)
        # Insertion order is the order of each run's first result.
        old = list(runs)[:-_KEPT_RUNS]
        for name in old if not is_dry_run else ():
            for path in runs[name]:
                shutil.rmtree(path.parent, ignore_errors=True)
    return old


def _raised(result: Any) -> str:
    """Return the exception of an expectation; some forms nest it one level deeper, by metric."""
    info = result.exception_info or {}
    if "raised_exception" in info:
        return str(info.get("exception_message") or "") if info["raised_exception"] else ""
    return "; ".join(
        str(entry.get("exception_message"))
        for entry in info.values()
        if isinstance(entry, dict) and entry.get("raised_exception")
    )


def _observed(result: Any) -> str:
    found = result.result or {}
    rows = (found.get("details") or {}).get("unexpected_rows")
    if rows:
        return f"{found.get('observed_value')} rows, for example {rows[:3]}"
    parts = []
    if found.get("observed_value") is not None:
        parts.append(str(found["observed_value"]))
    if found.get("unexpected_count"):
        sample = found.get("partial_unexpected_list") or []
        parts.append(f"{found['unexpected_count']} of {found.get('element_count')} values, for example {sample[:5]}")
    return "; ".join(parts)
