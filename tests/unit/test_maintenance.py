"""Maintenance: the files that it removes, and those that it never touches."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from extract.errors import RawIntegrityError
from extract.landing.layout import STAGED
from extract.landing.store import Landing
from extract.raw import RawStore
from metaalexport.gates import gate_database
from metaalexport.journal import Journal
from metaalexport.maintenance import STOPPED_LOADS_DAYS, TASKS, maintain
from metaalexport.settings import Settings

OLD, YOUNG = "cbs_85429ned__nl__202601020430__00000000aa", "cbs_85429ned__nl__202607020430__00000000bb"


def make_old(path: Path, days: float) -> None:
    moment = time.time() - days * 24 * 3600
    os.utime(path, (moment, moment))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a state with two stopped loads, leftovers of killed runs, 31 gate results, a payload and a journal."""
    settings = Settings(profile="simulator", state=tmp_path / "simulator")
    for load_id, days in ((OLD, STOPPED_LOADS_DAYS + 1), (YOUNG, STOPPED_LOADS_DAYS - 1)):
        folder = settings.landing / ".staging" / "loads" / load_id
        folder.mkdir(parents=True)
        (folder / STAGED).write_text("{}", encoding="utf-8")
        make_old(folder / STAGED, days)
    for name, age in (("killed", 2.0), ("running", 0.0)):
        folder = settings.state / "gates" / name
        folder.mkdir(parents=True)
        make_old(folder, age)
    for number in range(31):
        result = (
            settings.gx / "gx" / "uncommitted" / "validations" / "suite" / f"run-{number:02}" / "at" / "result.json"
        )
        result.parent.mkdir(parents=True)
        result.write_text("{}", encoding="utf-8")
        make_old(result, 31 - number)
    RawStore(settings.raw).put([b"a reply"])
    with Journal(settings.journal).step("first", "fetch", "x"):
        pass
    return settings


def files(settings: Settings) -> set[str]:
    return {str(path.relative_to(settings.state)) for path in settings.state.rglob("*") if ".lock" not in str(path)}


EXPECTED = {
    "drop_stopped_loads": [OLD],
    "remove_leftovers": ["gates/killed"],
    "set_damaged_records_aside": [],
    "prune_gate_results": ["run-00"],
    "drop_served_generations": [],
    "compare_raw_hashes": [],
}


def test_dry_run_lists_removals_and_changes_nothing(settings: Settings) -> None:
    before = files(settings)
    assert maintain(settings, "run", is_dry_run=True, progress=lambda message: None) == EXPECTED
    assert files(settings) == before


def test_old_leftovers_are_removed_and_records_are_kept(settings: Settings) -> None:
    before = files(settings)
    said: list[str] = []
    assert maintain(settings, "run", progress=said.append) == EXPECTED
    gone = before - files(settings)
    assert {path.split("/")[-1] for path in gone} == {OLD, STAGED, "killed", "at", "result.json"}
    assert not any(path.startswith(("raw", "ops")) for path in gone)
    assert Landing(settings.landing).stopped(days=0) == [YOUNG]
    assert f"drop_stopped_loads: removed {OLD}" in said


def test_second_run_removes_nothing_and_each_task_is_in_the_journal(settings: Settings) -> None:
    maintain(settings, "first-run", progress=lambda message: None)
    assert not any(maintain(settings, "second-run", progress=lambda message: None).values())
    rows = {
        row["step"]: row["outcome"] for row in Journal(settings.journal).read("runs") if row["run_id"] == "second-run"
    }
    assert rows == dict.fromkeys(TASKS, "unchanged")


def test_changed_payload_is_an_error_that_names_the_file_after_all_other_tasks(settings: Settings) -> None:
    raw = RawStore(settings.raw)
    (name,) = raw.hashes()
    raw.path(name).chmod(0o644)
    raw.path(name).write_bytes(b"another reply")
    with pytest.raises(RawIntegrityError, match="1 raw payload") as caught:
        maintain(settings, "run", progress=lambda message: None)
    assert caught.value.where == str(raw.path(name))
    assert Landing(settings.landing).stopped(days=STOPPED_LOADS_DAYS) == []
    outcomes = {row["step"]: row["outcome"] for row in Journal(settings.journal).read("runs")}
    assert outcomes["compare_raw_hashes"] == "failed"


def test_single_task_does_nothing_else(settings: Settings) -> None:
    assert maintain(settings, "run", tasks=("remove_leftovers",), progress=lambda message: None) == {
        "remove_leftovers": ["gates/killed"]
    }
    assert Landing(settings.landing).stopped(days=STOPPED_LOADS_DAYS) == [OLD]


def test_gate_removes_files_of_killed_gates_and_keeps_those_of_running_ones(tmp_path: Path) -> None:
    gates = tmp_path / "gates"

    def of(database: Path) -> set[str]:
        return {database.parent.name, f"{database.parent.name}.lock"}

    with gate_database(gates, "cbs_85429ned") as running:
        (gates / "killed").mkdir()
        (gates / "killed.lock").touch()
        (gates / "killed_before_its_folder.lock").touch()
        with gate_database(gates, "cbs_85429ned") as database:
            assert {path.name for path in gates.iterdir()} == of(running) | of(database)
    assert list(gates.iterdir()) == []
