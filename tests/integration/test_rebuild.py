"""`metaalexport rebuild` restores landing, marts and publication from the raw store alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from extract.errors import ExtractError
from extract.landing.store import Landing
from extract.raw import RawStore
from metaalexport import gates, ingest, published
from metaalexport.journal import Journal
from metaalexport.rebuild import rebuild_landing
from metaalexport.run import Run
from metaalexport.settings import Settings
from tests.states import build_and_publish

from .conftest import SimulatedOffice

# Builds three times.
pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(600)]
METAALEXPORT = str(Path(sys.executable).with_name("metaalexport"))
CBS, COMEXT = "cbs_85429ned", "eurostat_ds_045409"


def quiet(message: str) -> None:
    """Discard a progress message."""


def load(settings: Settings, dataset: str, run_id: str) -> str:
    """Load the single slice of a dataset; return its load id."""
    (part,) = ingest.plan_loads(Run(settings), dataset)
    manifest = ingest.load_slice(Run(settings, run_id, quiet), part)
    assert manifest is not None
    return manifest.load_id


@pytest.fixture(scope="module")
def settings(simulated: SimulatedOffice) -> Settings:
    """Return a state with every fate of a load: stopped and accepted, withdrawn, withdrawn and reinstated."""
    settings = simulated.settings
    simulated.release(12)
    ingest.withdraw_load(Run(settings, "test", quiet), load(settings, COMEXT, "twelve"), "Eurostat confirmed an error")
    again = load(settings, CBS, "twelve")
    ingest.withdraw_load(Run(settings, "test", quiet), again, "by mistake")
    ingest.reinstate_load(Run(settings, "test"), again)
    simulated.release(13)
    simulated.fault(match="/data/DS-045409", kind="negative_value")
    with pytest.raises(gates.GateFailedError):
        load(settings, COMEXT, "thirteen")
    simulated.heal()
    (stopped,) = ingest.stopped_loads(settings)
    checks = ["values_are_not_negative", "level_is_as_before"]
    ingest.regate_load(
        Run(settings, "accepted", quiet), stopped, accept=checks, reason="a correction that was announced"
    )
    build_and_publish(settings, "thirteen")
    return settings


def raw_alone(settings: Settings, folder: Path) -> Settings:
    """Return settings of a state that holds only a copy of the raw store."""
    anew = replace(settings, state=folder / "var" / "simulator")
    shutil.copytree(settings.raw, anew.raw)
    return anew


def test_rebuild_ends_with_the_same_hashes(settings: Settings, tmp_path: Path) -> None:
    anew = raw_alone(settings, tmp_path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))}
    environment = {
        **clean,
        "METAALEXPORT_VAR": str(anew.state.parent),
        "METAALEXPORT_PROFILE": "simulator",
        "METAALEXPORT_DATASETS": ",".join(settings.datasets),
        "METAALEXPORT_REPORTERS": ",".join(settings.reporters),
        # Nothing listens on this port: a rebuild sends no requests.
        "METAALEXPORT_SIMULATOR_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [METAALEXPORT, "rebuild"], env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert Landing(anew.landing).content_hash() == Landing(settings.landing).content_hash()
    query = "select content_sha256 from ops.publication"
    assert published.query(anew, query).rows == published.query(settings, query).rows
    assert [(each.load.load_id, each.reason) for each in Landing(anew.landing).withdrawn()] == [
        (each.load.load_id, each.reason) for each in Landing(settings.landing).withdrawn()
    ]
    load_id = list(Landing(anew.landing).committed(COMEXT))[-1].load_id
    assert Journal(anew.journal).accepted(load_id)["level_is_as_before"] == "a correction that was announced"
    assert anew.report.exists()
    # The history is unchanged, so a second rebuild would repeat the same events.
    assert list(RawStore(anew.raw).events()) == list(RawStore(settings.raw).events())
    with pytest.raises(ExtractError, match="holds loads"):
        rebuild_landing(Run(anew, "again", quiet))


def test_a_damaged_reply_is_reported_and_does_not_block_other_loads(settings: Settings, tmp_path: Path) -> None:
    anew = raw_alone(settings, tmp_path)
    newest = list(Landing(settings.landing).committed(CBS))[-1]
    damaged = RawStore(anew.raw).path(newest.payload_sha256s[-1])
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    cut = min((anew.raw / "history" / CBS).glob("*.json"))
    cut.write_text('{"event": "comm', encoding="utf-8")
    problems = rebuild_landing(Run(anew, "damaged", quiet))
    for path in (damaged, cut):
        assert [problem for problem in problems if str(path) in problem]
    assert {load.load_id for load in Landing(anew.landing).committed(COMEXT)} == {
        load.load_id for load in Landing(settings.landing).committed(COMEXT)
    }
    assert newest.load_id not in {load.load_id for load in Landing(anew.landing).committed(CBS)}


def test_the_error_for_an_empty_raw_store_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="holds no history of loads") as caught:
        rebuild_landing(Run(Settings("simulator", tmp_path), "empty", quiet))
    assert "metaalexport run" in caught.value.next_step
