"""Ownership of the candidate: one build at a time, from one recorded set of inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from common.files import hash_file, write_atomically
from extract.errors import ExtractError
from extract.landing.store import Landing
from extract.politeness import hold
from extract.records import read_records
from metaalexport import reference
from metaalexport.run import Run
from metaalexport.settings import DBT_PROJECT, REFERENCE, Settings
from publish.duckdb_file import PublishedFileError, check_published, connect_published

LOADS_FILE = "build_loads.jsonl"
# Inputs in the journal's folder that decide the marts; written by `building.prepare_candidate`.
_INPUTS = (LOADS_FILE, "slices.jsonl", "datasets.jsonl", "user_scopes.csv", reference.PARTNERS_FILE)
_ALL = "all datasets"


@contextmanager
def hold_candidate(run: Run) -> Iterator[None]:
    """Hold the candidate and its inputs; re-entrant within a process.

    Raises
    ------
    OfficeBusyError
        If another process holds it for longer than `lock_wait_seconds`.
    """
    with hold(
        run.settings.state / "build.lock",
        dataset=_ALL,
        what="the candidate",
        wait_seconds=run.settings.lock_wait_seconds,
        progress=run.progress,
    ):
        yield


@contextmanager
def own_candidate(run: Run) -> Iterator[None]:
    """Hold the candidate of a run for one of its steps.

    Raises
    ------
    ExtractError
        If another run has begun a candidate meanwhile, or a load was withdrawn.
    """
    with hold_candidate(run):
        owner = _read_owner(run.settings)
        if owner["run_id"] != run.id:
            raise ExtractError(
                f"the run {owner['run_id']} began another candidate at {owner['begun_at']}, and has taken the place of"
                f" that of {run.id}",
                dataset=_ALL,
                where=str(run.settings.warehouse),
                next_step="that run publishes what is loaded; `metaalexport status` shows how far it got",
            )
        require_loads(run.settings)
        yield


def claim(run: Run, begun_at: str) -> None:
    """Record the candidate's run and a hash of its inputs; later steps of other runs are refused."""
    owner = {
        "run_id": run.id,
        "begun_at": begun_at,
        "inputs_sha256": inputs_hash(run.settings),
    }
    write_atomically(_owner_file(run.settings), json.dumps(owner) + "\n")


def claimed_inputs(settings: Settings) -> str:
    """Return the hash of the candidate's inputs."""
    return _read_owner(settings)["inputs_sha256"]


def require_loads(settings: Settings) -> None:
    """Raise `ExtractError` if there is no candidate, or if its inputs were withdrawn since."""
    _read_owner(settings)
    landing = Landing(settings.landing)
    loads = [row["load_id"] for row in _read(settings.journal / LOADS_FILE, "load_id")]
    gone = [load for load in loads if not landing.is_committed(load)]
    if gone:
        raise ExtractError(
            f"the candidate is built from {', '.join(gone)}, withdrawn since",
            dataset=gone[0].split("__")[0],
            where=str(settings.warehouse),
            next_step="`metaalexport build` builds without it, then `metaalexport publish`",
        )


def inputs_hash(settings: Settings) -> str:
    """Return a hash of the inputs of a candidate: loads, slices, registry, scopes, dbt project, DuckDB version."""
    project = [path for path in DBT_PROJECT.rglob("*") if path.suffix in (".sql", ".yml")]
    digest = hashlib.sha256(f"DuckDB {duckdb.__version__}\n".encode())
    for path in (*sorted([*project, *REFERENCE.glob("*.csv")]), *(settings.journal / name for name in _INPUTS)):
        digest.update(f"{path.name} {hash_file(path) if path.exists() else ''}\n".encode())
    return digest.hexdigest()


def is_published(settings: Settings) -> bool:
    """True if the publication is intact and has the inputs that a build would have now."""
    if not settings.published.exists():
        return False
    try:
        with connect_published(settings.published) as connection:
            rows = connection.execute("select inputs_sha256 from ops.publication").fetchall()
        if rows != [(inputs_hash(settings),)]:
            return False
        check_published(settings.published)
    except (PublishedFileError, duckdb.Error):
        # From an earlier release of this software, or changed since: build again.
        return False
    return True


def _read_owner(settings: Settings) -> dict[str, str]:
    return _read(_owner_file(settings), "run_id", "begun_at", "inputs_sha256")[0]


def _read(path: Path, *keys: str) -> list[dict[str, Any]]:
    """Return the records of the candidate; a build rewrites them."""
    problem = "no candidate was begun"
    if path.exists():
        try:
            if rows := read_records(path, keys):
                return rows
        except ValueError:
            pass
        problem = "the record of the candidate is damaged"
    raise ExtractError(problem, dataset=_ALL, where=str(path), next_step="`metaalexport build` makes one")


def _owner_file(settings: Settings) -> Path:
    return settings.journal / "candidate.json"
