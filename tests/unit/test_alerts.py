"""Alert messages: their content, what they never contain, and when none is sent."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from expectations.gate import CheckResult
from extract import errors as extract_errors
from extract.politeness import BudgetSpentError, OfficeBusyError
from metaalexport import alerts, gaps, health
from metaalexport.dbt import DbtFailedError
from metaalexport.gates import GateFailedError
from metaalexport.settings import Settings
from publish.postgres.server import PostgresServingError

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
CHECK = CheckResult("r", "landing", "s", "key_is_unique", "error", False, "2 rows", "Each cell is there once.", "now")


class Channel:
    """A notifier that records its alerts."""

    def __init__(self) -> None:
        self.alerts: list[alerts.Alert] = []

    def __call__(self, context: dict[str, Any]) -> None:
        self.alerts.append(context["alert"])


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """Return a working channel that follows a broken one."""
    channel = Channel()

    def broken(context: dict[str, Any]) -> None:
        raise OSError("https://hooks.example/secret-path refused the connection")

    monkeypatch.setenv(alerts.MAIL, "ops@example.org")
    monkeypatch.setenv("METAALEXPORT_VAR", str(tmp_path))
    monkeypatch.setattr(alerts, "_notifiers", lambda: {"webhook": broken, "mail": channel})
    return channel


def context_of(error: object, task_id: str = "load_cbs_85429ned.gate", run_id: str = "run-1") -> dict[str, Any]:
    instance = SimpleNamespace(task_id=task_id, dag_id="ingest_cbs", log_url="http://localhost:8080/log")
    return {"task_instance": instance, "exception": error, "run_id": run_id}


def error_of(kind: type[extract_errors.ExtractError]) -> extract_errors.ExtractError:
    return kind("p", dataset="d")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GateFailedError("landing", "s", []), "gate_1_stopped"),
        (GateFailedError("candidate", "s", []), "gate_2_stopped"),
        (DbtFailedError("x"), "dbt_failed"),
        (RuntimeError("x"), "task_failed"),
        (error_of(extract_errors.TornReadError), "torn_read"),
        (error_of(extract_errors.TransientOfficeError), "office_not_reachable"),
        (error_of(extract_errors.OfficeRefusedError), "office_refused"),
        (error_of(extract_errors.BadReplyError), "reply_is_not_data"),
        (error_of(extract_errors.RawIntegrityError), "raw_payload_changed"),
        (error_of(extract_errors.StorageError), "disk_full"),
        (error_of(OfficeBusyError), "office_busy"),
        (error_of(BudgetSpentError), "budget_spent"),
        (PostgresServingError("x"), "serving_failed"),
        (error_of(extract_errors.ExtractError), "task_failed"),
        ("a worker went away", "task_failed"),
        (None, "task_failed"),
    ],
)
def test_error_determines_the_kind_of_alert(error: object, kind: str) -> None:
    assert alerts.kind_of(error) == kind


def test_message_states_problem_place_and_next_step(channel: Channel) -> None:
    alerts.task_failed(context_of(GateFailedError("landing", "cbs_85429ned__nl__v1", [CHECK])))
    (alert,) = channel.alerts
    assert alert.subject == (
        "[metaalexport, simulator, SIMULATED data] The landing gate stopped a load: ingest_cbs load_cbs_85429ned.gate"
    )
    for part in (
        "gate 'landing' stopped cbs_85429ned__nl__v1",
        "key_is_unique: Each cell is there once.",
        "found: 2 rows",
        "where: DAG ingest_cbs, run run-1, task load_cbs_85429ned.gate",
        "log: http://localhost:8080/log",
        "next: docs/runbook.md, section 'The landing gate stopped a load'",
    ):
        assert part in alert.text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\r\n ", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x00"])
def test_name_cannot_inject_a_mail_header(channel: Channel, end: str) -> None:
    alerts.task_failed(context_of(None, task_id=f"load{end}Bcc: all@example.org{end}{end}body", run_id=f"r{end}x"))
    (subject,) = {alert.subject for alert in channel.alerts}
    assert subject.splitlines() == [subject]
    assert "Bcc: all@example.org" in subject
    assert subject.isprintable()


def test_message_is_neither_html_nor_template(channel: Channel) -> None:
    from airflow.sdk.definitions._internal.templater import SandboxedEnvironment

    hostile = "{{ alert.profile }} {% raw %} <img src=x onerror=alert(1)></pre>"
    alerts.task_failed(context_of(RuntimeError(hostile)))
    environment = SandboxedEnvironment()
    sent = environment.from_string("<pre>{{ alert.text | e }}</pre>").render(alert=channel.alerts[0])
    assert "{{ alert.profile }} {% raw %} &lt;img" in sent
    assert sent.count("<") == 2


def test_message_names_incomplete_slices(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    gap = gaps.SliceState("cbs_85429ned", "NL", gaps.BEHIND)
    monkeypatch.setattr(gaps, "read_gaps", lambda settings: [gap])
    alerts.task_failed(context_of(GateFailedError("landing", "cbs_85429ned__nl__v1", [CHECK])))
    assert "incomplete: cbs_85429ned NL (behind); everything else that passed is published" in channel.alerts[0].text


def test_loads_held_by_the_publish_gate_are_reported_once(channel: Channel) -> None:
    settings = Settings.from_environment()
    alerts.loads_are_held(context_of(None))
    assert channel.alerts == []
    row = {"load_id": "cbs_85429ned__nl__v1", "problem": "totals_move_little", "found": "x 10", "held_at": "2026-07-10"}
    gaps.write_held(settings, [row])
    alerts.loads_are_held(context_of(None))
    alerts.loads_are_held(context_of(None))
    (alert,) = channel.alerts
    assert "A load is held back" in alert.subject
    assert "cbs_85429ned__nl__v1: totals_move_little" in alert.text


def test_long_error_is_truncated(channel: Channel) -> None:
    alerts.task_failed(context_of(RuntimeError("\n".join(f"line {number} {'x' * 1000}" for number in range(100)))))
    (alert,) = channel.alerts
    assert "… 88 more lines in the log" in alert.what
    assert len(alert.what) < 6000


def test_each_kind_of_message_is_sent_once_per_run(channel: Channel, tmp_path: Path) -> None:
    for error, run_id in (
        (error_of(extract_errors.TransientOfficeError), "run-1"),
        (error_of(extract_errors.TransientOfficeError), "run-1"),
        (error_of(extract_errors.BadReplyError), "run-1"),
        (error_of(extract_errors.TransientOfficeError), "run-2"),
    ):
        alerts.task_failed(context_of(error, run_id=run_id))
    assert [(alert.name, alert.run_id) for alert in channel.alerts] == [
        ("office_not_reachable", "run-1"),
        ("reply_is_not_data", "run-1"),
        ("office_not_reachable", "run-2"),
    ]
    kept = [json.loads(path.read_text()) for path in (tmp_path / "simulator" / "ops" / "alerts").iterdir()]
    assert len(kept) == 3
    assert all(row["raised_at"] for row in kept)


def test_failed_channel_is_a_warning_without_its_address_and_does_not_stop_others(
    channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="metaalexport.alerts"):
        alerts.task_failed(context_of(RuntimeError("x")))
    assert len(channel.alerts) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "alert task_failed could not be sent by webhook: OSError"
    ]


def test_nothing_is_sent_or_kept_without_a_channel(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(alerts.MAIL)
    alerts.task_failed(context_of(RuntimeError("x")))
    alerts.run_is_late({"dag_run": {}, "deadline": {}})
    assert channel.alerts == []
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_removed_from_a_message(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n", encoding="utf-8")
    environment = {
        "METAALEXPORT_POSTGRES_PASSWORD": "s3cret-of-loader",
        "METAALEXPORT_BI_READER_PASSWORD_FILE": str(secret),
        "METAALEXPORT_ALERT_WEBHOOK": "https://hooks.example/T0/B0/xyz",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://airflow:metadata-pw@db/airflow",
        "METAALEXPORT_PROFILE": "simulator",
    }
    text = "s3cret-of-loader from-a-file https://hooks.example/T0/B0/xyz metadata-pw http://me:pw@host/x simulator"
    assert alerts.without_secrets(text, environment) == "*** *** *** *** http://***@host/x simulator"


def test_webhook_url_becomes_a_connection_and_an_id_stays_an_id() -> None:
    assert alerts.webhook_environment({alerts.WEBHOOK: "my_hook"}) == {}
    given = alerts.webhook_environment({alerts.WEBHOOK: "https://hooks.example/T0?x=1"})
    assert {name: json.loads(value) for name, value in given.items()} == {
        "AIRFLOW_CONN_METAALEXPORT_ALERT_WEBHOOK": {"conn_type": "http", "host": "https://hooks.example/T0?x=1"}
    }


@pytest.mark.parametrize("section", sorted({*alerts.SECTIONS.values(), *health.FINDINGS.values()}))
def test_every_alert_and_finding_has_a_section_in_the_runbook(section: str) -> None:
    assert re.search(f"^## {re.escape(section)}$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
