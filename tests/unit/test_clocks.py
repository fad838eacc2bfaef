"""Clocks that were ahead, go back or change the hour: summer time, a leap day, the end of a year."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from common.files import left_behind
from extract.offices import OFFICES
from extract.offices.cbs.office import CbsOffice
from extract.offices.eurostat.structure import parse_last_update
from metaalexport import gaps, health, journal
from metaalexport.journal import Journal, as_utc, in_order
from metaalexport.settings import Settings
from tests.contract.loading import CountingAdapter, Loader, as_json
from tests.contract.offices_of_ours import CBS, CBS_PART, CBS_TABLE, SDMX, cbs_office
from tests.unit.test_health import LOAD, SUBJECT, committed, load_of
from tests.unit.test_health import published_state as published_state
from tests.unit.test_health import settings as settings

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
# Moments at which a wall clock jumps or rolls over.
TURNS = {
    "to summer time": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "to winter time": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "leap day": datetime(2028, 2, 29, 0, tzinfo=UTC),
    "end of a year": datetime(2026, 12, 31, 23, tzinfo=UTC),
}
AHEAD = timedelta(days=400)


@pytest.fixture(params=["UTC", "Europe/Amsterdam"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the machine's time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def write(settings: Settings, step: str, at: datetime, outcome: str, subject: str = SUBJECT) -> None:
    """Write a step that ended at a moment of the machine's clock; earlier steps stay."""
    row = {"run_id": "r", "step": step, "subject": subject, "outcome": outcome, "detail": "x"}
    folder = settings.journal / "runs"
    name = f"{len(list(folder.iterdir())):04}.jsonl"
    text = json.dumps({**row, "started_at": as_utc(at), "finished_at": as_utc(at)})
    (folder / name).write_text(f"{text}\n", encoding="utf-8")


def forget(settings: Settings) -> None:
    for path in (settings.journal / "runs").iterdir():
        path.unlink()


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
@pytest.mark.usefixtures("machine")
def test_poll_deadline_counts_elapsed_hours(settings: Settings, turn: datetime) -> None:
    forget(settings)
    last = turn - timedelta(hours=13)
    write(settings, "fetch", last, "done")
    due = last + timedelta(hours=26)
    for zone in (UTC, AMSTERDAM):
        states = [
            health.promises(settings, (due + beyond).astimezone(zone))[0]
            for beyond in (timedelta(0), timedelta(seconds=1))
        ]
        assert [state.state for state in states] == ["ok", "late"]
        assert states[0].due_at == due


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
@pytest.mark.usefixtures("machine")
def test_publication_deadline_counts_elapsed_hours(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, turn: datetime
) -> None:
    committed(monkeypatch, load_of("2026-01-02T04:30:00Z", "simulator", f"{LOAD}x"))
    at = turn - timedelta(hours=3)
    write(settings, "commit", at, "done", f"{LOAD}x")
    due = at + timedelta(hours=health.PUBLISH_WITHIN_HOURS)
    for zone in (UTC, AMSTERDAM):
        found = [
            [each.name for each in health.examine(settings, (due + beyond).astimezone(zone))]
            for beyond in (timedelta(0), timedelta(seconds=1))
        ]
        assert ["load_not_published" in names for names in found] == [False, True]


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_release_is_due_after_its_days(settings: Settings, monkeypatch: pytest.MonkeyPatch, turn: datetime) -> None:
    vintage = turn - timedelta(days=20)
    committed(monkeypatch, load_of(f"{vintage:%Y-%m-%dT%H:%M:%SZ}", "live"))
    (_, release) = health.promises(settings, turn)
    assert release.due_at == vintage + timedelta(days=45)


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_last_step_does_not_depend_on_file_order(settings: Settings, turn: datetime) -> None:
    steps = [("fetch", -2, "done"), ("land", -1, "done"), ("gate_landing", 0, "blocked"), ("fetch", 1, "unchanged")]
    for shuffled in itertools.permutations(steps):
        forget(settings)
        for step, hours, outcome in shuffled:
            write(settings, step, turn - AHEAD + timedelta(hours=hours), outcome)
        assert (
            gaps._last_steps(Journal(settings.journal).read("runs"))[gaps.slice_of(SUBJECT)]["outcome"] == "unchanged"
        )


@pytest.mark.parametrize(
    ("ahead", "since", "state"), [("failed", "done", gaps.LOADED), ("done", "failed", gaps.BEHIND)]
)
def test_clock_that_was_ahead_does_not_hide_the_state_of_a_slice(
    settings: Settings, ahead: str, since: str, state: str
) -> None:
    now = datetime.now(UTC)
    write(settings, "fetch", now + AHEAD, ahead)
    # The clock is corrected, and the office is polled again.
    write(settings, "fetch", now - timedelta(seconds=1), since)
    (found,) = gaps.read_slices(settings)
    assert found.state == state


def test_clock_that_was_ahead_does_not_hide_a_step_a_gate_or_a_poll(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    forget(settings)
    record = Journal(settings.journal)
    row = {"gate": "candidate", "subject": "warehouse.duckdb", "check_name": "marts_hold_rows", "severity": "error"}
    for at, is_passed in ((now + AHEAD, False), (now - timedelta(seconds=1), True)):
        record.checks("candidate", "w", str(at), [{**row, "is_passed": is_passed, "checked_at": as_utc(at)}])
    write(settings, "report", now + AHEAD, "failed", "index.html")
    write(settings, "report", now - timedelta(seconds=1), "done", "index.html")
    write(settings, "fetch", now + AHEAD, "done")
    write(settings, "fetch", now - timedelta(hours=27), "done")
    committed(monkeypatch, load_of("2026-07-02T04:30:00Z", "simulator", f"{LOAD}x"))
    write(settings, "commit", now + AHEAD, "done", f"{LOAD}x")
    assert [finding.name for finding in health.examine(settings)] == ["load_not_published", "look_is_late"]


def test_future_records_come_first() -> None:
    rows = [{"finished_at": f"20{year}-01-01T00:00:00.000000Z"} for year in (30, 24, 31, 25)]
    ordered = in_order(rows, now="2026-01-01T00:00:00.000000Z")
    assert [row["finished_at"][2:4] for row in ordered] == ["30", "31", "24", "25"]


def test_journal_times_sort_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [turn + timedelta(minutes=n) for turn in sorted(TURNS.values()) for n in (-61, -1, 0, 1, 61)]
    texts = [as_utc(moment.astimezone(AMSTERDAM)) for moment in moments]
    assert texts == sorted(texts)
    assert [datetime.fromisoformat(text) for text in texts] == moments
    assert journal.utc_now().endswith("Z")


def test_folders_dated_ahead_of_the_clock_are_kept(tmp_path: Path) -> None:
    now = time.time()
    for name, age in (("old", 2 * 86400), ("running", 60), ("ahead", -2 * 86400)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (now - age, now - age))
    assert [path.name for path in left_behind(tmp_path)] == ["old"]


@pytest.mark.parametrize(
    ("version", "vintage_at"),
    [
        ("202603280630", "2026-03-28T05:30:00Z"),
        ("202603290630", "2026-03-29T04:30:00Z"),
        ("202610240630", "2026-10-24T04:30:00Z"),
        ("202610250630", "2026-10-25T05:30:00Z"),
        ("202802290630", "2028-02-29T05:30:00Z"),
        ("202701010000", "2026-12-31T23:00:00Z"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_cbs_stamp_is_dutch_time(tmp_path: Path, version: str, vintage_at: str) -> None:
    answers = cbs_office([]) | {f"{CBS_TABLE}/Properties": [as_json(Version=version)]}
    session = Loader(CBS, tmp_path).session(CountingAdapter(answers))
    assert CbsOffice().probe(session, OFFICES["cbs"].hosts(), CBS, CBS_PART).vintage_at == vintage_at


@pytest.mark.parametrize(
    ("stamp", "vintage_at"),
    [
        ("28/03/26 23:00:00", "2026-03-28T22:00:00Z"),
        ("29/03/26 11:00:00", "2026-03-29T09:00:00Z"),
        ("25/10/26 11:00:00", "2026-10-25T10:00:00Z"),
        ("29/02/28 23:00:00", "2028-02-29T22:00:00Z"),
        ("31/12/26 23:00:00", "2026-12-31T22:00:00Z"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_eurostat_stamp_is_brussels_time(stamp: str, vintage_at: str) -> None:
    assert parse_last_update(stamp, SDMX).vintage_at == vintage_at
