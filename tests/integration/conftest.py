"""Whole pipelines in temporary state: the real dbt, Great Expectations and DuckDB, against simulator or recordings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from metaalexport import steps
from metaalexport.settings import Settings
from simulator.server import run_simulator

PE_FILM = Path(__file__).resolve().parents[2] / "docs" / "examples" / "scope_pe_film.csv"
# Data of CBS (v4, zip, v3) and of Eurostat (SDMX, bulk files); their structure and stamps are elsewhere.
DATA_PATHS = ("/Observations", "/csv/CBS/", "DataSet", "/data/", "/files?file=")


def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_all(settings: Settings, run_id: str, progress: Callable[[str], None] = lambda message: None) -> list[Any]:
    """Load every slice of every dataset of the settings; None in the list for an unchanged one."""
    return [
        steps.load_slice(settings, part, run_id, progress)
        for dataset in settings.datasets_to_load()
        for part in steps.plan_loads(settings, dataset)
    ]


def build_and_publish(settings: Settings, run_id: str) -> Any:
    """Build, test, gate, publish."""
    steps.build_candidate(settings, run_id)
    steps.test_candidate(settings, run_id)
    steps.gate_candidate(settings, run_id, lambda message: None)
    steps.record_operations(settings, run_id)
    return steps.publish_candidate(settings, run_id, lambda message: None)


@dataclass
class SimulatedOffice:
    """A running simulator and settings that ask it."""

    url: str
    settings: Settings

    def release(self, number: int) -> None:
        """Let the offices publish another release."""
        requests.post(f"{self.url}/_simulator/release", json={"number": number}, timeout=60).raise_for_status()

    def fault(self, **fault: Any) -> None:
        """Switch a fault on."""
        requests.post(f"{self.url}/_simulator/faults", json=[fault], timeout=10).raise_for_status()

    def heal(self) -> None:
        """Switch all faults off."""
        requests.delete(f"{self.url}/_simulator/faults", timeout=10).raise_for_status()

    def data_requests(self) -> int:
        """Count the requests for observations since the log was cleared."""
        log = requests.get(f"{self.url}/_simulator/requests", timeout=10).json()
        return sum(any(part in entry["url"] for part in DATA_PATHS) for entry in log)

    def clear_log(self) -> None:
        """Forget the requests so far."""
        requests.delete(f"{self.url}/_simulator/requests", timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedOffice]:
    """Two offices at release 11 and a small published warehouse of them: NL, from January 2025."""
    state = tmp_path_factory.mktemp("simulated") / "simulator"
    with run_simulator(release=11) as url:
        settings = Settings(
            profile="simulator",
            state=state,
            reporters=("NL",),
            first_month="2025-01",
            simulator_url=url,
            http_attempts=1,
            datasets=("cbs_85429ned", "eurostat_ds_045409"),
        )
        office = SimulatedOffice(url, settings)
        load_all(settings, "first")
        build_and_publish(settings, "first")
        yield office


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
