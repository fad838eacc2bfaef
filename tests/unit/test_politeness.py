"""Only one run at a time sends requests to an office, within a request budget."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from extract.errors import TransientOfficeError
from extract.politeness import BudgetSpentError, OfficeBusyError, RequestBudget, hold

HOLDER = """
import sys, time
from pathlib import Path
from extract.politeness import hold
with hold(Path(sys.argv[1]), dataset="d", what="cbs", wait_seconds=0, progress=print):
    print("held", flush=True)
    time.sleep(60)
"""


def start_holder(lock: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock, and wait until it does."""
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_hold_free_lock_reports_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with hold(tmp_path / "deep" / "cbs.lock", dataset="d", what="cbs", wait_seconds=0, progress=said.append):
            pass
    assert said == []


def test_hold_is_released_when_the_holder_fails(tmp_path: Path) -> None:
    lock = tmp_path / "cbs.lock"
    with pytest.raises(KeyError), hold(lock, dataset="d", what="cbs", wait_seconds=0, progress=print):
        raise KeyError
    with hold(lock, dataset="d", what="cbs", wait_seconds=0, progress=print):
        assert lock.exists()


def test_hold_second_holder_waits_and_then_names_the_busy_connection(tmp_path: Path) -> None:
    lock = tmp_path / "cbs.lock"
    process = start_holder(lock)
    said: list[str] = []
    try:
        start = time.monotonic()
        with (
            pytest.raises(OfficeBusyError, match="another run holds the connection to cbs") as caught,
            hold(lock, dataset="d", what="the connection to cbs", wait_seconds=0.3, progress=said.append),
        ):
            pytest.fail("two processes hold one office")
        assert time.monotonic() - start >= 0.3
    finally:
        process.kill()
        process.communicate()
    assert said == ["waiting: another run holds the connection to cbs"]
    assert isinstance(caught.value, TransientOfficeError)
    assert caught.value.where == str(lock)
    assert caught.value.next_step


def test_hold_second_holder_continues_after_the_first_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "cbs.lock"
    process = start_holder(lock)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert lock.exists()
    with hold(lock, dataset="d", what="cbs", wait_seconds=5, progress=print):
        assert process.returncode == -signal.SIGKILL


def test_hold_waits_for_a_holder_that_ends_in_time(tmp_path: Path) -> None:
    lock = tmp_path / "cbs.lock"
    process = start_holder(lock)
    said: list[str] = []

    def told(message: str) -> None:
        said.append(message)
        process.kill()

    with hold(lock, dataset="d", what="cbs", wait_seconds=30, progress=told):
        assert len(said) == 1
    process.communicate()


def test_hold_two_offices_do_not_wait_for_each_other(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        hold(tmp_path / "cbs.lock", dataset="d", what="cbs", wait_seconds=0, progress=said.append),
        hold(tmp_path / "eurostat.lock", dataset="d", what="eurostat", wait_seconds=0, progress=said.append),
    ):
        assert said == []


def test_budget_is_shared_by_all_sessions_of_a_run(tmp_path: Path) -> None:
    first, second = (RequestBudget.of_run(tmp_path, "cbs", "scheduled__2026-11-24T07:00", 3) for _ in range(2))
    for budget in (first, second, first):
        budget.spend(dataset="d", where="u")
    assert (first.spent, second.spent) == (3, 3)
    with pytest.raises(BudgetSpentError) as caught:
        second.spend(dataset="d", where="https://x.example")
    assert (caught.value.dataset, caught.value.where) == ("d", "https://x.example")
    assert second.spent == 3


def test_budget_is_separate_per_run_and_office(tmp_path: Path) -> None:
    RequestBudget.of_run(tmp_path, "cbs", "one", 1).spend(dataset="d", where="u")
    for office, run in (("cbs", "two"), ("eurostat", "one")):
        assert RequestBudget.of_run(tmp_path, office, run, 1).spent == 0


def test_budget_run_id_with_any_character_stays_in_its_folder(tmp_path: Path) -> None:
    RequestBudget.of_run(tmp_path, "cbs", "../../x/y z", 1).spend(dataset="d", where="u")
    assert [path.parent for path in tmp_path.rglob("*.requests")] == [tmp_path]


def test_budget_of_an_old_run_is_deleted_and_a_new_one_kept(tmp_path: Path) -> None:
    RequestBudget.of_run(tmp_path, "cbs", "old", 9).spend(dataset="d", where="u")
    RequestBudget.of_run(tmp_path, "cbs", "new", 9).spend(dataset="d", where="u")
    month_ago = time.time() - 30 * 24 * 3600
    os.utime(tmp_path / "cbs.old.requests", (month_ago, month_ago))
    assert RequestBudget.of_run(tmp_path, "cbs", "new", 9).spent == 1
    assert [path.name for path in tmp_path.glob("*.requests")] == ["cbs.new.requests"]


@pytest.mark.parametrize("content", [b"", b"1x", b"[3]", b"\x00\xff"])
def test_budget_with_a_damaged_count_restarts(tmp_path: Path, content: bytes) -> None:
    budget = RequestBudget.of_run(tmp_path, "cbs", "run", 2)
    budget.spend(dataset="d", where="url")
    next(tmp_path.glob("*.requests")).write_bytes(content)
    for _ in range(2):
        budget.spend(dataset="d", where="url")
    with pytest.raises(BudgetSpentError):
        budget.spend(dataset="d", where="url")
