"""Run dbt in this process."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from metaalexport.settings import DBT_PROJECT, Settings
from publish.duckdb_file import PUBLISHED_SCHEMAS

_FOUND_ROWS = "fail"
_FAILED_STATUSES = ("error", "runtime error", _FOUND_ROWS)
# Of a candidate that is not built each test fails.
_MOST_NODES = 5
_LANDING_SOURCE = re.compile(r"source\.\w+\.landing_(\w+)\.\w+$")


class DbtFailedError(Exception):
    """dbt could not build, or one of its tests failed.

    Parameters
    ----------
    failed : mapping of str to str
        Message of each test whose query found rows, by its unique id; not of what could not run at all.
    """

    def __init__(self, message: str, failed: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.failed = dict(failed or {})


@contextmanager
def dbt_environment(settings: Settings) -> Iterator[None]:
    """Tell profiles.yml and the sources where the profile's state is."""
    before = os.environ.get("METAALEXPORT_STATE")
    os.environ["METAALEXPORT_STATE"] = str(settings.state)
    try:
        yield
    finally:
        if before is None:
            del os.environ["METAALEXPORT_STATE"]
        else:
            os.environ["METAALEXPORT_STATE"] = before


def run_dbt(settings: Settings, arguments: list[str]) -> None:
    """Invoke dbt.

    Raises
    ------
    DbtFailedError
        Naming the nodes that failed and what dbt said of them.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    command = [
        *arguments,
        "--project-dir",
        str(DBT_PROJECT),
        "--profiles-dir",
        str(DBT_PROJECT),
        "--target-path",
        str(settings.dbt / "target"),
        "--log-path",
        str(settings.dbt / "logs"),
    ]
    with dbt_environment(settings):
        try:
            outcome = dbtRunner().invoke(["--log-level", "none", "--no-use-colors", *command])
        finally:
            # dbt-duckdb keeps the build file open until the process ends; the gates and the publish want it.
            DuckDBConnectionManager.close_all_connections()
    if not outcome.success:
        results = getattr(outcome.result, "results", None) or []
        failed = _failed_nodes((r.status, r.node.unique_id, r.message) for r in results)
        raise _error(arguments[0], failed, str(outcome.exception), str(settings.dbt / "logs"))


def raise_failed_nodes(project_dir: str, **_: Any) -> None:
    """Name what failed when dbt ran in a process of its own; what Cosmos says of it is the exit code.

    Parameters
    ----------
    project_dir : str
        Folder in which dbt ran; its results are in ``target``.

    Raises
    ------
    DbtFailedError
        If a node failed.
    """
    results = Path(project_dir) / "target" / "run_results.json"
    # Without it dbt ended before its first node, and Cosmos raises.
    if results.exists():
        rows = json.loads(results.read_text(encoding="utf-8"))["results"]
        if failed := _failed_nodes((row["status"], row["unique_id"], row["message"]) for row in rows):
            raise _error("build", failed, "", "the log of this task")


def datasets_behind(settings: Settings, unique_id: str) -> set[str]:
    """Return the datasets whose landing a node of dbt stands on, whether through models or not."""
    manifest = json.loads((settings.dbt / "target" / "manifest.json").read_text(encoding="utf-8"))
    parents, seen, found = [unique_id], set[str](), set[str]()
    while parents:
        node = parents.pop()
        if node in seen:
            continue
        seen.add(node)
        if match := _LANDING_SOURCE.match(node):
            found.add(match[1])
        parents += manifest["parent_map"].get(node, [])
    return found


def failed_test(settings: Settings, unique_id: str) -> tuple[str, str]:
    """Return the query whose rows made a test of dbt fail in the last run, and the reporter it compares others with.

    The reporter is empty where the test compares none.
    """
    target = settings.dbt / "target"
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    (query,) = (row["compiled_code"] for row in results if row["unique_id"] == unique_id)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    return query, manifest["nodes"][unique_id]["config"].get("meta", {}).get("compared_with", "")


def _failed_nodes(results: Iterable[tuple[str, str, str | None]]) -> dict[str, tuple[str, str]]:
    """Return status and message of each node that failed, by its id, from status, id and message of all."""
    return {unique_id: (status, text or "") for status, unique_id, text in results if status in _FAILED_STATUSES}


def _error(command: str, failed: Mapping[str, tuple[str, str]], otherwise: str, logs: str) -> DbtFailedError:
    lines = [f"  {unique_id}: {message}" for unique_id, (_, message) in failed.items()]
    rest = [f"  and {len(lines) - _MOST_NODES} more"] if len(lines) > _MOST_NODES else []
    detail = "\n".join([*lines[:_MOST_NODES], *rest]) or otherwise
    broken = [status for status, _ in failed.values() if status != _FOUND_ROWS]
    # What could not run is no finding of the data: most often the candidate is not whole.
    next_step = "`metaalexport build` makes the candidate anew; " if command == "test" and broken else ""
    return DbtFailedError(
        f"dbt {command} failed; what is published stays as it is\n{detail}\n  next: {next_step}{logs}",
        {unique_id: message for unique_id, (status, message) in failed.items() if status == _FOUND_ROWS},
    )


def write_manifest(settings: Settings) -> Path:
    """Parse the project and return the manifest that Airflow draws the models from."""
    run_dbt(settings, ["parse"])
    return settings.dbt / "target" / "manifest.json"


def published_keys() -> dict[str, tuple[str, ...]]:
    """Return the keys of the published models that are tested and not constraints, by ``schema.table``."""
    keys: dict[str, tuple[str, ...]] = {}
    for schema in PUBLISHED_SCHEMAS:
        for path in sorted((DBT_PROJECT / "models" / schema).glob("*.yml")):
            for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
                if key := model.get("config", {}).get("meta", {}).get("primary_key"):
                    keys[f"{schema}.{model['name']}"] = tuple(key)
    return keys
