"""Whole pipelines in temporary state: the real dbt, Great Expectations and DuckDB, against simulator or recordings."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from metaalexport.settings import Settings
from simulator.server import run_simulator
from tests.states import SMALL, SPARSE, build_and_publish, load_all, settings_of, small_state

PE_FILM = Path(__file__).resolve().parents[2] / "docs" / "examples" / "scope_pe_film.csv"
# Data of CBS (v4, zip, v3) and of Eurostat (SDMX, bulk files); structures and timestamps have other paths.
DATA_PATHS = ("/Observations", "/csv/CBS/", "DataSet", "/data/", "/files?file=")


def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class SimulatedOffice:
    """A running simulator and settings that ask it."""

    url: str
    settings: Settings

    def release(self, number: int) -> None:
        """Let the offices publish another release."""
        requests.post(f"{self.url}/_simulator/release", json={"number": number}, timeout=60).raise_for_status()

    def fault(self, **fault: Any) -> None:
        """Switch on a fault."""
        requests.post(f"{self.url}/_simulator/faults", json=[fault], timeout=10).raise_for_status()

    def heal(self) -> None:
        """Switch off all faults."""
        requests.delete(f"{self.url}/_simulator/faults", timeout=10).raise_for_status()

    def data_requests(self) -> int:
        """Count the requests for observations since the log was cleared."""
        log = requests.get(f"{self.url}/_simulator/requests", timeout=10).json()
        return sum(any(part in entry["url"] for part in DATA_PATHS) for entry in log)

    def clear_log(self) -> None:
        """Clear the request log."""
        requests.delete(f"{self.url}/_simulator/requests", timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedOffice]:
    """Run two offices at release 11, with a small published warehouse: NL, from January 2025.

    The state is a copy of a folder that no test changes.
    """
    with run_simulator(release=11, parameters=SPARSE) as url:
        settings = settings_of(tmp_path_factory.mktemp("simulated") / "simulator", url, **SMALL)
        shutil.copytree(small_state(), settings.state)
        yield SimulatedOffice(url, settings)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A warehouse published from the recorded payloads, with a user scope of the one product they hold."""
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not shared.is_dir():
        pytest.skip("the recorded payloads (../shared/data) are not part of a checkout")
    settings = replace(
        Settings(profile="replay", state=tmp_path_factory.mktemp("replayed") / "replay"),
        replay_folder=shared,
        user_scopes=PE_FILM,
    )
    load_all(settings, "first")
    build_and_publish(settings, "first")
    return settings
