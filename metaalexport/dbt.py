"""In-process runner of dbt."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import chdir, contextmanager

from common.contracts import read_models
from extract.errors import storage_error
from metaalexport import inherited, reference, stopping
from metaalexport.settings import DBT_PROJECT, Settings
from publish.duckdb_file import PUBLISHED_SCHEMAS

# The console's log level would otherwise apply to the file as well.
_QUIET = ("--log-level", "none", "--log-level-file", "debug", "--no-use-colors")
_FOUND_ROWS = "fail"
_OUT_OF_MEMORY = "Out of Memory Error"
_FAILED_STATUSES = ("error", "runtime error", _FOUND_ROWS)
# Every test fails on a candidate that is not built.
_MOST_NODES = 5


class DbtFailedError(Exception):
    """A dbt build or test failed.

    Parameters
    ----------
    failed : mapping of str to str
        Message by unique id of each failed node that may be attributed to a load: a test whose query found rows or a
        model that could not be built, but not a test that could not run.
    """

    def __init__(self, message: str, failed: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.failed = dict(failed or {})


@contextmanager
def dbt_environment(settings: Settings) -> Iterator[None]:
    """Work in the state folder, to which the paths of dbt's profile and sources are relative; hide dbt variables."""
    with inherited.without("dbt"), chdir(settings.state):
        yield


def run_dbt(settings: Settings, arguments: list[str]) -> None:
    """Invoke dbt.

    Raises
    ------
    DbtFailedError
        Naming the failed nodes with dbt's messages.
    StorageError
        If the disk is full.
    Stopped
        If a signal interrupted it.
    """
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
        # Imported here: dbt reads some variables at import.
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        # An unwritable log would print a traceback per line.
        logging.raiseExceptions = False
        try:
            outcome = dbtRunner().invoke([*_QUIET, *command])
        finally:
            # dbt-duckdb would keep the build file open until the process ends; gates and publish need it.
            DuckDBConnectionManager.close_all_connections()
            logging.raiseExceptions = True
    # dbt turns a signal into its own failure.
    stopping.check()
    if not outcome.success:
        results = getattr(outcome.result, "results", None) or []
        failed = _failed_nodes((r.status, r.node.unique_id, r.message) for r in results)
        for text in (*(message for _, message in failed.values()), str(outcome.exception)):
            # A storage error is not attributable to a load.
            if error := storage_error(text, "all datasets", settings.state):
                raise error
        raise _error(arguments[0], failed, str(outcome.exception), str(settings.dbt / "logs"))


def datasets_behind(settings: Settings, unique_id: str) -> set[str]:
    """Return the datasets that a dbt node depends on, as declared by its upstream models.

    A model declares them in its ``meta``: ``datasets`` lists them, ``datasets_of`` names a seed that does.
    """
    manifest = json.loads((settings.dbt / "target" / "manifest.json").read_text(encoding="utf-8"))
    parents, seen, found = [unique_id], set[str](), set[str]()
    while parents:
        node = parents.pop()
        if node in seen:
            continue
        seen.add(node)
        meta = manifest["nodes"].get(node, {}).get("config", {}).get("meta", {})
        found |= set(meta.get("datasets", ()))
        if seed := meta.get("datasets_of"):
            found |= reference.datasets_of(seed)
        parents += manifest["parent_map"].get(node, [])
    return found


def failed_test(settings: Settings, unique_id: str) -> tuple[str, str]:
    """Return the query of a dbt test that failed in the last run, and the reporter it compares others with.

    The reporter is empty if the test compares none.
    """
    target = settings.dbt / "target"
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    (query,) = (row["compiled_code"] for row in results if row["unique_id"] == unique_id)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    return query, manifest["nodes"][unique_id]["config"].get("meta", {}).get("compared_with", "")


def _failed_nodes(results: Iterable[tuple[str, str, str | None]]) -> dict[str, tuple[str, str]]:
    """Return status and message of each failed node by id, from status, id and message of all."""
    return {unique_id: (status, text or "") for status, unique_id, text in results if status in _FAILED_STATUSES}


def _error(command: str, failed: Mapping[str, tuple[str, str]], otherwise: str, logs: str) -> DbtFailedError:
    lines = [f"  {unique_id}: {message}" for unique_id, (_, message) in failed.items()]
    rest = [f"  and {len(lines) - _MOST_NODES} more"] if len(lines) > _MOST_NODES else []
    detail = "\n".join([*lines[:_MOST_NODES], *rest]) or otherwise
    if _OUT_OF_MEMORY in detail:
        # The machine is at fault, not a load: no node is attributed.
        return DbtFailedError(
            f"dbt {command} ran out of memory; what is published stays as it is\n{detail}"
            "\n  next: load fewer reporters (METAALEXPORT_REPORTERS), or raise memory_limit in"
            f" dbt_project/profiles.yml; {logs}"
        )
    broken = [status for status, _ in failed.values() if status != _FOUND_ROWS]
    # A test that could not run is not a finding about the data: usually the candidate is incomplete.
    next_step = "`metaalexport build` makes the candidate again; " if command == "test" and broken else ""
    return DbtFailedError(
        f"dbt {command} failed; what is published stays as it is\n{detail}"
        f"\n  next: {next_step}docs/runbook.md, 'dbt failed'; {logs}",
        {
            unique_id: message
            for unique_id, (status, message) in failed.items()
            if status == _FOUND_ROWS or unique_id.startswith("model.")
        },
    )


def published_keys() -> dict[str, tuple[str, ...]]:
    """Return the tested keys that are not constraints of the published models, by ``schema.table``."""
    return {
        f"{model.layer}.{model.name}": model.key
        for model in read_models(DBT_PROJECT, *PUBLISHED_SCHEMAS)
        if not model.has_constraint
    }
