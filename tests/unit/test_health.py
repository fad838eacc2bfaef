"""Findings for a monitor: freshness SLAs, gates, failed steps, disk, PostgreSQL, and the exit code."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from expectations.gate import CheckResult
from extract.errors import ExtractError
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from metaalexport import candidate, gaps, health
from metaalexport.cli import app
from metaalexport.gates import GateFailedError
from metaalexport.journal import Journal
from metaalexport.maintenance import maintain
from metaalexport.published import NothingPublishedError, publish_id
from metaalexport.run import Run
from metaalexport.settings import Settings
from publish.duckdb_file import publish_duckdb
from publish.postgres.server import PostgresServingError

NOW = datetime(2026, 7, 10, 12, tzinfo=UTC)
DATASET = "cbs_85429ned"
SUBJECT = f"{DATASET} NL 2015-01..newest"
LOAD = f"{DATASET}__nl__202607020430__0123456789"


@pytest.fixture(scope="session")
def published_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shared state with a published file from one CBS load; tests copy it and never change it."""
    settings = Settings(profile="simulator", state=tmp_path_factory.mktemp("health") / "simulator")
    settings.state.mkdir()
    with duckdb.connect(str(settings.warehouse)) as connection:
        for statement in (
            "create schema marts",
            "create table marts.facts as select 1 as value",
            "create schema ops",
            f"create table ops.loads as select '{LOAD}' as load_id",
        ):
            connection.execute(statement)
    publish_duckdb(
        settings.warehouse,
        settings.published,
        profile="simulator",
        is_simulated=True,
        published_at="2026-07-10T11:00:00Z",
    )
    return settings.state


@pytest.fixture
def settings(published_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings with a published file from one CBS load; the office was polled two hours ago."""
    settings = Settings(profile="simulator", state=tmp_path / "simulator", datasets=(DATASET,))
    shutil.copytree(published_state, settings.state)
    write_run(settings, "fetch", SUBJECT, hours_ago=2)
    committed(monkeypatch, load_of("2026-07-02T04:30:00Z", "simulator"))
    return settings


def write_run(
    settings: Settings, step: str, subject: str, *, hours_ago: float, outcome: str = "done", detail: str = ""
) -> None:
    """Write a step to the journal that ended some hours ago."""
    at = (NOW - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    row = {"run_id": "r", "step": step, "subject": subject, "outcome": outcome, "detail": detail}
    folder = settings.journal / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{len(list(folder.iterdir())):04}.jsonl"
    (folder / name).write_text(json.dumps({**row, "started_at": at, "finished_at": at}) + "\n", encoding="utf-8")


def write_check(settings: Settings, gate: str, subject: str, checked_at: str, *, is_passed: bool) -> None:
    """Write the result of a gate with one check to the journal."""
    row = {"gate": gate, "subject": subject, "check_name": "key_is_unique", "severity": "error"}
    Journal(settings.journal).checks(
        gate, subject, checked_at, [{**row, "is_passed": is_passed, "checked_at": checked_at}]
    )


def names(settings: Settings, now: datetime = NOW) -> list[str]:
    return [finding.name for finding in health.examine(settings, now)]


def load_of(vintage_at: str, transport: str, load_id: str = LOAD) -> LoadManifest:
    """Return a load with only the fields that the tests need."""
    manifest = LoadManifest.__new__(LoadManifest)
    values = {"dataset": DATASET, "vintage_at": vintage_at, "transport": transport, "load_id": load_id}
    for name, value in {**values, "office_version": "1", "retrieved_at": "2026-07-10T11:00:00.000000Z"}.items():
        object.__setattr__(manifest, name, value)
    return manifest


def committed(monkeypatch: pytest.MonkeyPatch, *loads: LoadManifest) -> None:
    monkeypatch.setattr(Landing, "committed", lambda self, dataset=None: iter(loads))


def test_healthy_state_has_no_findings(settings: Settings) -> None:
    assert names(settings) == []


def test_changed_published_file_is_found(settings: Settings) -> None:
    settings.published.chmod(0o644)
    with duckdb.connect(str(settings.published)) as connection:
        connection.execute("update marts.facts set value = 2")
    (finding,) = health.examine(settings, NOW)
    assert (finding.name, finding.where) == ("published_file_was_changed", str(settings.published))
    assert "was changed after publication: the content of its marts is" in finding.what
    assert finding.next_step.startswith("`metaalexport publish`")


def test_log_next_to_the_published_file_is_found(settings: Settings) -> None:
    settings.published.with_name(f"{settings.published.name}.wal").touch()
    (finding,) = health.examine(settings, NOW)
    assert finding.name == "published_file_was_changed"
    assert "is next to the published file" in finding.what


def test_poll_is_late_only_after_its_deadline(settings: Settings) -> None:
    last = NOW - timedelta(hours=2)
    assert names(settings, last + timedelta(hours=26)) == []
    (finding,) = health.examine(settings, last + timedelta(hours=26, seconds=1))
    assert (finding.name, finding.where) == ("look_is_late", DATASET)
    assert "last polled at 2026-07-10T10:00Z, the next poll was due by 2026-07-11T12:00Z" in finding.what


def test_unchanged_poll_counts_and_failed_poll_does_not(settings: Settings) -> None:
    write_run(settings, "fetch", SUBJECT, hours_ago=1, outcome="unchanged")
    write_run(settings, "fetch", SUBJECT, hours_ago=0.5, outcome="failed")
    (look, _) = health.promises(settings, NOW)
    assert look.last_at == NOW - timedelta(hours=1)
    assert look.state == "ok"


def test_release_is_late_after_interval_and_grace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(monkeypatch, load_of("2026-05-02T04:30:00Z", "live"), load_of("2026-06-02T04:30:00Z", "live"))
    due = datetime(2026, 7, 17, 4, 30, tzinfo=UTC)
    (_, release) = health.promises(settings, due)
    assert (release.last_at, release.due_at, release.state) == (due - timedelta(days=45), due, "ok")
    (_, release) = health.promises(settings, due + timedelta(seconds=1))
    assert release.state == "late"
    later = due + timedelta(days=1)
    (late,) = [finding for finding in health.examine(settings, later) if finding.name == "release_is_late"]
    assert "`metaalexport discover cbs " in late.next_step
    committed(monkeypatch, load_of("2026-07-16T04:30:00Z", "live"))
    assert "release_is_late" not in names(settings, later)


@pytest.mark.parametrize("transport", ["simulator", "replay"])
def test_release_not_from_a_live_office_is_never_late(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    committed(monkeypatch, load_of("2020-06-02T04:30:00Z", transport))
    (_, release) = health.promises(settings, NOW)
    assert (release.due_at, release.state) == (None, "unknown")


def test_dataset_never_polled_is_unknown(settings: Settings) -> None:
    (look, release) = health.promises(replace(settings, datasets=("cbs_85427ned",)), NOW)
    assert (look.last_at, look.state, release.state) == (None, "unknown", "unknown")


@pytest.mark.parametrize("is_in_journal", [True, False])
def test_load_may_wait_some_hours_for_its_publication(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, is_in_journal: bool
) -> None:
    vintage = "2026-07-02T04:30:00Z"
    # The second load was committed after the published build had started.
    both = (load_of(vintage, "simulator"), load_of(vintage, "simulator", f"{LOAD}x"))
    monkeypatch.setattr(Landing, "committed", lambda self, dataset=None: iter(both))
    if is_in_journal:
        write_run(settings, "commit", f"{LOAD}x", hours_ago=1)
    wait = timedelta(hours=health.PUBLISH_WITHIN_HOURS)
    assert names(settings, NOW - timedelta(hours=1) + wait) == []
    (finding,) = health.examine(settings, NOW - timedelta(hours=1) + wait + timedelta(seconds=1))
    assert finding.name == "load_not_published"
    assert f"{LOAD}x" in finding.what


def test_publish_gate_remedy_reviews_before_it_withdraws() -> None:
    def failed(name: str) -> list[CheckResult]:
        return [CheckResult("r", "candidate", "warehouse.duckdb", name, "error", False, "x 1.3", "No more.", "")]

    step = GateFailedError("candidate", "warehouse.duckdb", failed("totals_move_little"), [LOAD]).next_step
    order = [
        "look at",
        "The publish gate stopped a candidate",
        LOAD,
        "Accept a revision",
        f"withdraw {LOAD} --reason",
        "build",
    ]
    assert [step.index(words) for words in order] == sorted(step.index(words) for words in order)
    many = GateFailedError("candidate", "warehouse.duckdb", failed("marts_hold_rows"), [f"{LOAD}{n}" for n in range(5)])
    assert f"{LOAD}2 and 2 more;" in many.next_step
    assert "withdraw <load_id> --reason" in many.next_step
    assert "Accept" not in many.next_step
    none = GateFailedError("candidate", "warehouse.duckdb", failed("marts_hold_rows"))
    assert "no load is new" in none.next_step
    assert "withdraw" not in none.next_step


def test_newest_run_of_the_publish_gate_decides(settings: Settings) -> None:
    write_check(settings, "candidate", "warehouse.duckdb", "2026-07-10T10:30:00Z", is_passed=False)
    (finding,) = health.examine(settings, NOW)
    assert (finding.name, finding.where) == ("gate_2_stopped", "warehouse.duckdb")
    assert "key_is_unique" in finding.what
    write_check(settings, "candidate", "warehouse.duckdb", "2026-07-10T11:30:00Z", is_passed=True)
    assert names(settings) == []


@pytest.mark.parametrize(
    ("step", "subject", "outcome"),
    [("commit", f"{LOAD}x", "done"), ("fetch", f"{DATASET} NL 2024-01..newest", "unchanged")],
    ids=["it was committed", "all is loaded"],
)
def test_slice_is_behind_until_it_is_loaded(settings: Settings, step: str, subject: str, outcome: str) -> None:
    write_run(settings, "land", SUBJECT, hours_ago=1, outcome="failed", detail="BadReplyError: no such column\n  where")
    (finding,) = health.examine(settings, NOW)
    assert (finding.name, finding.where) == ("slice_is_behind", f"{DATASET} NL")
    assert "BadReplyError: no such column" in finding.what
    assert finding.next_step.startswith(f"`metaalexport load {DATASET} --reporter NL`; docs/runbook.md")
    write_run(settings, step, subject, hours_ago=0.5, outcome=outcome)
    assert names(settings) == []


def test_slice_never_loaded_is_missing_with_its_cause(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(monkeypatch)
    assert [f.name for f in health.gap_findings(settings)] == ["slice_is_missing"]
    check = CheckResult("r", "landing", LOAD, "key_is_unique", "error", False, "2 rows, for example (1)", "No two.", "")
    with pytest.raises(GateFailedError), Journal(settings.journal).step("later", "gate_landing", LOAD):
        raise GateFailedError("landing", LOAD, [check])
    (finding,) = health.gap_findings(settings)
    assert finding.what == "key_is_unique: No two.: 2 rows, for example (1)"
    assert f"metaalexport regate {LOAD}" in finding.next_step


def test_load_excluded_by_the_publish_gate_is_held_not_unpublished(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = f"{LOAD}x"
    committed(monkeypatch, load_of("2026-07-02T04:30:00Z", "simulator", later))
    row = {"load_id": later, "problem": "totals_move_little", "found": "x 10", "held_at": "2026-07-10T11:00:00Z"}
    gaps.write_held(settings, [row])
    (finding,) = health.examine(settings, NOW + timedelta(hours=24))[:1]
    assert (finding.name, finding.what) == ("load_is_held", "totals_move_little: x 10")
    assert "load_not_published" not in names(settings, NOW + timedelta(hours=24))


def test_failures_of_on_demand_loads_and_old_failures_are_not_reported(settings: Settings) -> None:
    write_run(settings, "fetch", "cbs_85682ned NL 2015-01..newest", hours_ago=1, outcome="failed")
    write_run(settings, "report", "index.html", hours_ago=24 * health.FAILURE_DAYS + 1, outcome="failed")
    assert names(settings) == []
    write_run(settings, "report", "index.html", hours_ago=1, outcome="failed")
    assert names(settings) == ["step_failed"]


@pytest.mark.parametrize(
    "name",
    [
        "ops/runs/cut.jsonl",
        "ops/checks/cut.jsonl",
        "ops/accepted/cut.jsonl",
        "ops/held.jsonl",
        "raw/requests/cbs_85429ned/cut.json",
    ],
)
def test_damaged_record_is_reported_and_hides_nothing_else(settings: Settings, name: str) -> None:
    path = settings.state / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text('{"run_id": "r", "step', encoding="utf-8")
    (finding,) = health.examine(settings, NOW)
    assert (finding.name, finding.where) == ("record_is_damaged", str(path))
    assert health.promises(settings, NOW)[0].last_at == NOW - timedelta(hours=2)
    maintain(settings, "r", tasks=["set_damaged_records_aside"])
    assert names(settings) == []


@pytest.mark.parametrize("name", ["candidate.json", "build_loads.jsonl"])
def test_candidate_with_a_damaged_record_must_be_rebuilt(settings: Settings, name: str) -> None:
    candidate.claim(Run(settings, "r"), "2026-07-10T11:00:00Z")
    (settings.journal / "build_loads.jsonl").write_text('{"load_id": "x"}\n', encoding="utf-8")
    (settings.journal / name).write_text('{"run', encoding="utf-8")
    with pytest.raises(ExtractError, match="of the candidate is damaged") as caught:
        candidate.require_loads(settings)
    assert caught.value.next_step == "`metaalexport build` makes one"


def test_low_disk_space_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 1 << 62)
    assert names(settings) == ["disk_is_short"]


@pytest.mark.parametrize(
    ("served", "found"),
    [
        ("the same", []),
        ("an older one", ["served_is_older"]),
        ("nothing", ["served_is_older"]),
        ("not there", ["server_is_away"]),
    ],
)
def test_postgresql_must_serve_the_published_file(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, served: str, found: list[str]
) -> None:
    def answer(server: Any) -> dict[str, str] | None:
        if served == "not there":
            raise PostgresServingError("PostgreSQL at db:5432 is not there")
        ids = {"the same": publish_id(settings), "an older one": "20260709-110000"}
        return {"publish_id": ids[served], "profile": "simulator"} if served in ids else None

    monkeypatch.setenv("METAALEXPORT_POSTGRES_URL", "postgresql://db/marts")
    monkeypatch.setenv("METAALEXPORT_POSTGRES_PASSWORD", "secret-of-loader")
    monkeypatch.setattr(health, "served_publication", answer)
    findings = health.examine(settings, NOW)
    assert [finding.name for finding in findings] == found
    assert "secret-of-loader" not in str(findings)


def test_nothing_published_is_a_separate_error(tmp_path: Path) -> None:
    with pytest.raises(NothingPublishedError):
        health.examine(Settings(profile="simulator", state=tmp_path))


@pytest.mark.parametrize(
    ("case", "code", "state"), [("well", 0, "ok"), ("late", 1, "not_well"), ("nothing", 2, "nothing_published")]
)
def test_exit_code_and_document_agree(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, case: str, code: int, state: str
) -> None:
    monkeypatch.setenv("METAALEXPORT_VAR", str(settings.state.parent))
    monkeypatch.setenv("METAALEXPORT_DATASETS", DATASET)
    # The command uses the current time.
    write_run(settings, "fetch", SUBJECT, hours_ago=(NOW - datetime.now(UTC)).total_seconds() / 3600)
    if case == "late":
        write_run(
            settings,
            "report",
            "index.html",
            hours_ago=(NOW - datetime.now(UTC)).total_seconds() / 3600,
            outcome="failed",
        )
    if case == "nothing":
        settings.published.unlink()
        committed(monkeypatch)
    done = CliRunner().invoke(app, ["health", "--json"])
    document = json.loads(done.stdout)
    assert (done.exit_code, document["state"], document["is_simulated"]) == (code, state, True)
    found = {"well": [], "late": ["step_failed"], "nothing": ["slice_is_missing"]}[case]
    assert [finding["name"] for finding in document["findings"]] == found
    plain = CliRunner().invoke(app, ["health"])
    assert plain.exit_code == code
    assert ("next: `metaalexport report`; docs/runbook.md, section 'A task failed'" in plain.output) == (case == "late")
