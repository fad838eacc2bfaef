"""Findings of `health` and their remedies: each remedy, followed as written, removes its finding.

The other findings are in `tests/postgres/test_remedies.py` (they need a server) and `tests/unit/test_health.py` (an
office's next release).
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from extract.landing.store import Landing
from extract.records import read_records
from metaalexport import gaps, health
from metaalexport.cli import app
from metaalexport.journal import Journal, utc_now
from metaalexport.settings import Settings
from tests.unit.test_politeness import start_holder
from tests.unit.test_remedies import COMMAND, RUNBOOK

from .conftest import SimulatedOffice

# Two builds; the other tests load one slice.
pytestmark = [pytest.mark.integration, pytest.mark.long]
CBS, COMEXT, SMALL = "cbs_85429ned", "eurostat_ds_045409", "cbs_81234ned"
LISTING, DATA = "/dataflow/ESTAT", "/data/DS-045409"
SOON = timedelta(hours=health.PUBLISH_WITHIN_HOURS + 1)


@pytest.fixture(autouse=True)
def user(simulated: SimulatedOffice, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the environment of a user who works on that state by hand."""
    settings = simulated.settings
    for name, value in {
        "PROFILE": settings.profile,
        "VAR": str(settings.state.parent),
        "REPORTERS": "NL",
        "FIRST_MONTH": str(settings.first_month),
        "DATASETS": f"{CBS},{COMEXT}",
        "SIMULATOR_URL": simulated.url,
        "HTTP_ATTEMPTS": "1",
        "HTTP_BASE_SECONDS": "0",
        "LOCK_WAIT_SECONDS": "0",
    }.items():
        monkeypatch.setenv(f"METAALEXPORT_{name}", value)
    yield
    simulated.heal()


def found(later: timedelta = timedelta(0)) -> dict[str, health.Finding]:
    """Return the findings by name, as of now plus `later`."""
    return {finding.name: finding for finding in health.examine(Settings.from_environment(), datetime.now(UTC) + later)}


def metaalexport(command: str) -> int:
    """Run a command as a text quotes it; return its exit code."""
    done = CliRunner().invoke(app, shlex.split(command))
    # `main` would print these.
    print(done.output, done.exception or "")
    assert "\n0 tables" not in f"\n{done.output}", "the search finds no tables"
    return done.exit_code


def follow(text: str) -> None:
    """Run every command that a text quotes, in order."""
    commands = [match[2] for match in COMMAND.finditer(text)]
    assert commands, f"names no command: {text}"
    for command in commands:
        assert metaalexport(command) == 0, command


@pytest.mark.parametrize("kind", ["http_503", "http_413_xml", "html_200", "truncate", "empty_200", "reset"])
def test_a_failed_office_request_is_repeated(simulated: SimulatedOffice, kind: str) -> None:
    simulated.fault(match=LISTING, kind=kind)
    assert metaalexport(f"load {COMEXT}") == 1
    finding = found()["slice_is_behind"]
    assert finding.where == f"{COMEXT} NL"
    simulated.heal()
    follow(finding.next_step)
    assert found() == {}


def test_a_busy_office_is_polled_after_the_other_run_ends(simulated: SimulatedOffice) -> None:
    other = start_holder(simulated.settings.offices / "eurostat.lock")
    assert metaalexport(f"load {COMEXT}") == 1
    finding = found()["slice_is_behind"]
    assert "wait for the other run" in finding.next_step
    other.kill()
    other.wait()
    follow(finding.next_step)
    assert found() == {}


def test_a_dataset_that_was_never_requested_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAALEXPORT_DATASETS", f"{CBS},{COMEXT},{SMALL}")
    finding = found()["slice_is_missing"]
    follow(finding.next_step)
    assert found() == {}


def test_a_late_poll_is_made(simulated: SimulatedOffice) -> None:
    before = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for path in (simulated.settings.journal / "runs").glob("*.jsonl"):
        for row in read_records(path):
            if row["step"] == "fetch":
                path.write_text(json.dumps({**row, "finished_at": before}) + "\n")
    for dataset in (CBS, COMEXT):
        (finding,) = [each for each in health.examine(Settings.from_environment()) if each.where == dataset]
        assert finding.name == "look_is_late"
        follow(finding.next_step)
    assert found() == {}


def test_a_discontinued_table_has_no_finding_once_it_is_not_requested(
    simulated: SimulatedOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(simulated.settings.journal).step("told", "fetch", f"{COMEXT} NL 2025-01..newest") as note:
        note.outcome, note.notice = "unchanged", "the office calls the table discontinued"
    finding = found()["table_is_discontinued"]
    follow(finding.next_step)
    monkeypatch.setenv("METAALEXPORT_DATASETS", CBS)
    assert found() == {}
    monkeypatch.delenv("METAALEXPORT_DATASETS")
    assert "table_is_discontinued" in found()
    overlay = simulated.settings.state / "overlay" / "registry" / f"{COMEXT}.yml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("by_default: false\n")
    try:
        assert "table_is_discontinued" not in found()
    finally:
        shutil.rmtree(overlay.parents[1])
    monkeypatch.setenv("METAALEXPORT_DATASETS", f"{CBS},{COMEXT}")
    assert metaalexport(f"load {COMEXT}") == 0


def test_an_empty_scope_is_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scopes = tmp_path / "scopes.csv"
    header = "scope_code,scope_name_en,scope_name_nl,nomenclature_code,product_code,valid_from,valid_to\n"
    scopes.write_text(f"{header}film,Film,Folie,CN,99999998,,\n")
    monkeypatch.setenv("METAALEXPORT_SCOPES", str(scopes))
    assert metaalexport(f"load {COMEXT}") == 3
    assert found()["scope_is_empty"].where == "film"
    scopes.write_text(f"{header}film,Film,Folie,CN,39201023,,\n")
    assert metaalexport(f"load {COMEXT}") == 0
    assert found() == {}


def test_a_damaged_record_is_set_aside(simulated: SimulatedOffice) -> None:
    path = simulated.settings.journal / "runs" / "cut.jsonl"
    path.write_text('{"run_id": "r", "st')
    follow(found()["record_is_damaged"].next_step)
    assert found() == {}


def test_a_changed_raw_payload_is_restored(simulated: SimulatedOffice) -> None:
    payload = next(path for path in (simulated.settings.raw / "objects").glob("*/*") if path.stat().st_size)
    kept, mode = payload.read_bytes(), payload.stat().st_mode
    payload.chmod(0o644)
    payload.write_bytes(b"x" + kept[1:])
    assert metaalexport("maintain") == 1
    finding = found()["step_failed"]
    assert "A raw payload was changed or is missing" in finding.next_step
    # Restore from the backup, as the runbook section says.
    payload.write_bytes(kept)
    payload.chmod(mode)
    follow(finding.next_step)
    assert found() == {}


def test_a_full_disk_is_cleared_of_removable_files(simulated: SimulatedOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    state = simulated.settings.state
    filler = state / "raw" / "incoming" / "filler"
    filler.parent.mkdir(parents=True, exist_ok=True)
    filler.write_bytes(b"0" * 1_000_000)

    def size() -> int:
        return sum(path.stat().st_size for path in state.rglob("*") if path.is_file())

    room = size() + health.LEAST_FREE_BYTES - 1
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(room - size()))
    assert "The disk is full" in found()["disk_is_short"].next_step
    section = RUNBOOK.partition("## The disk is full")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    commands = block[1].replace("var/simulator", str(state)).replace("var/*/*", f"{state}/*")
    subprocess.run(["sh", "-ec", commands], check=True)
    assert found() == {}


def test_a_load_stopped_at_the_landing_gate_is_requested_again(
    simulated: SimulatedOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated.release(12)
    monkeypatch.setenv("METAALEXPORT_REQUEST_BUDGET", "2")
    assert metaalexport(f"load {COMEXT}") == 1
    finding = found()["slice_is_behind"]
    assert "raise METAALEXPORT_REQUEST_BUDGET" in finding.next_step
    monkeypatch.delenv("METAALEXPORT_REQUEST_BUDGET")
    simulated.fault(match=DATA, kind="negative_value")
    (command,) = [match[2] for match in COMMAND.finditer(finding.next_step)]
    assert metaalexport(command) == 1, "with the raised budget, the load reaches the landing gate"
    finding = found()["slice_is_behind"]
    regate, again = [match[2] for match in COMMAND.finditer(finding.next_step)]
    assert metaalexport(regate) == 1, "the rules have not changed, so the landing gate must stop the load again"
    simulated.heal()
    assert metaalexport(again) == 0
    assert found() == {}


def test_a_held_load_is_withdrawn(simulated: SimulatedOffice) -> None:
    newest = [load.load_id for load in Landing(simulated.settings.landing).committed(COMEXT)][-1]
    row = {"load_id": newest, "problem": "totals_move_little", "found": "x 10", "held_at": utc_now()}
    gaps.write_held(simulated.settings, [row])
    finding = found()["load_is_held"]
    assert newest in finding.next_step
    follow(finding.next_step)
    assert found() == {}


def test_unpublished_loads_and_a_changed_published_file_are_built_and_published(simulated: SimulatedOffice) -> None:
    """One test covers the findings that a build and a publication resolve, because a build takes long."""
    settings = simulated.settings
    simulated.release(12)
    assert metaalexport(f"load {CBS}") == 0
    failed = {"gate": "candidate", "subject": "warehouse.duckdb", "check_name": "marts_hold_rows", "severity": "error"}
    now = utc_now()
    Journal(settings.journal).checks(
        "candidate", "warehouse.duckdb", "r", [{**failed, "is_passed": False, "checked_at": now, "run_id": "r"}]
    )
    with pytest.raises(OSError, match="none"), Journal(settings.journal).step("r", "report", "index.html"):
        raise OSError("none")
    (settings.journal / "checks" / "cut.jsonl").write_text('{"gate": "candid')
    # dbt's tests cannot run on an incomplete candidate.
    settings.warehouse.unlink()
    assert metaalexport("publish") == 1
    both = [finding for finding in health.examine(Settings.from_environment()) if finding.name == "step_failed"]
    test, report = sorted(both, key=lambda finding: "dbt failed" not in finding.next_step)
    findings = found(SOON)
    assert set(findings) == {"load_not_published", "gate_2_stopped", "step_failed", "record_is_damaged"}
    settings.published.chmod(0o644)
    with duckdb.connect(str(settings.published)) as connection:
        connection.execute("update marts.dim_metal_scope set scope_name_en = 'x'")
    assert "`metaalexport publish`" in found(SOON)["published_file_was_changed"].next_step
    assert findings["load_not_published"].next_step.startswith("`metaalexport build`, then `metaalexport publish`; ")
    assert test.next_step.startswith("`metaalexport build`, then `metaalexport publish`; ")
    follow(findings["load_not_published"].next_step)
    assert set(found(SOON)) == {"step_failed"}
    follow(report.next_step)
    assert found(SOON) == {}
    assert metaalexport("health") == 0
