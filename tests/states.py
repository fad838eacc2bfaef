"""Warehouses that test runs share: each is built once per state of the code and never changed.

Whole pipelines take most of the test time. The warehouses are in ``var/tests/<hash of the code>/``;
``python -m tests.states`` builds those that do not exist.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from common.files import remove_left_behind
from metaalexport import building, ingest
from metaalexport.run import Run
from metaalexport.settings import Settings
from simulator.parameters import EconomyParameters
from simulator.server import run_simulator

ROOT = Path(__file__).resolve().parents[1]
_STATES = ROOT / "var" / "tests"
# Inputs that determine the warehouses.
_CODE = (
    "common",
    "dbt_project",
    "expectations",
    "extract",
    "metaalexport",
    "publish",
    "reference",
    "simulator",
    "requirements.lock",
    "tests/states.py",
)
_SUFFIXES = {".py", ".sql", ".yml", ".csv", ".json", ".j2", ".lock"}
# The economy of all tests. It has trade with large partners only: a third of the cells.
SPARSE = EconomyParameters(smallest_cell_eur=1e6, cbs_smallest_cell_mln=5.0)
# The large state has both releases; the small one has the first.
RELEASES = (11, 12)
SMALL = {
    "reporters": ("NL",),
    "first_month": "2025-01",
    "datasets": ("cbs_85429ned", "eurostat_ds_045409"),
}


def load_all(settings: Settings, run_id: str, progress: Callable[[str], None] = lambda message: None) -> list[Any]:
    """Load every slice of the settings' datasets; the list has None for an unchanged slice."""
    return [
        ingest.load_slice(Run(settings, run_id, progress), part)
        for dataset in settings.datasets_to_load()
        for part in ingest.plan_loads(Run(settings), dataset)
    ]


def build_and_publish(settings: Settings, run_id: str) -> Any:
    """Build, test, gate and publish the candidate."""
    building.build_candidate(Run(settings, run_id))
    building.test_candidate(Run(settings, run_id))
    building.gate_candidate(Run(settings, run_id, lambda message: None))
    building.record_operations(Run(settings, run_id))
    return building.publish_candidate(Run(settings, run_id, lambda message: None))


def settings_of(state: Path, url: str = "", **values: Any) -> Settings:
    """Return settings of a simulated state."""
    settings = Settings("simulator", state, http_attempts=1, **values)
    return replace(settings, simulator_url=url) if url else settings


def small_state() -> Path:
    """Return the state of a small published warehouse: NL, two datasets, from January 2025, one release."""

    def make(state: Path) -> None:
        with run_simulator(release=RELEASES[0], parameters=SPARSE) as url:
            settings = settings_of(state, url, **SMALL)
            load_all(settings, "first")
            build_and_publish(settings, "first")

    return _made_once("small", make)


def large_state() -> Path:
    """Return the state of a published warehouse with two releases of both offices and all default datasets."""

    def make(state: Path) -> None:
        settings = settings_of(state)
        for release in RELEASES:
            with run_simulator(release=release, parameters=SPARSE) as url:
                load_all(replace(settings, simulator_url=url), "test")
        build_and_publish(settings, "test")

    return _made_once("large", make)


def _made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first test process fills while the others wait."""
    folder = _STATES / _code_hash()
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    # Remove states of code that is no longer tested.
    remove_left_behind(_STATES)
    state, done = folder / name, folder / f"{name}.done"
    with FileLock(folder / f"{name}.lock"):
        if not done.exists():
            # Remove the leftovers of a killed test run.
            shutil.rmtree(state, ignore_errors=True)
            make(state)
            done.touch()
    return state


@cache
def _code_hash() -> str:
    digest = hashlib.sha256()
    for name in _CODE:
        path = ROOT / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.suffix in _SUFFIXES and not {"target", "logs"} & set(file.parts):
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    small_state()
    large_state()
