"""Alerts about failed and late runs, sent through Airflow's notifiers.

At most one message of each kind is sent per run, as an office that is down fails many tasks. A failed channel is
logged and fails no task.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from metaalexport import gaps
from metaalexport.harmless import harmless
from metaalexport.journal import Journal
from metaalexport.settings import Settings

log = logging.getLogger(__name__)

MAIL = "METAALEXPORT_ALERT_MAIL"
WEBHOOK = "METAALEXPORT_ALERT_WEBHOOK"
# Airflow connection for a webhook given as a plain URL.
WEBHOOK_CONNECTION = "metaalexport_alert_webhook"
# Section of docs/runbook.md by kind of alert.
SECTIONS = {
    "gate_1_stopped": "The landing gate stopped a load",
    "gate_2_stopped": "The publish gate stopped a candidate",
    "load_is_held": "A load is held back",
    "dbt_failed": "dbt failed",
    "office_not_reachable": "The office is not reachable",
    "office_refused": "The office refused the request",
    "office_busy": "Another run asks the office",
    "budget_spent": "The budget of requests is spent",
    "torn_read": "Torn read",
    "reply_is_not_data": "A reply has another shape",
    "raw_payload_changed": "A raw payload was changed or is missing",
    "disk_full": "The disk is full",
    "serving_failed": "PostgreSQL serves an older publication",
    "task_failed": "A task failed",
    "run_is_late": "A run is late",
}
# The first match applies, from the specific to the general.
_KINDS = (
    ("DbtFailedError", "dbt_failed"),
    ("PostgresServingError", "serving_failed"),
    ("OfficeBusyError", "office_busy"),
    ("BudgetSpentError", "budget_spent"),
    ("TornReadError", "torn_read"),
    ("RawIntegrityError", "raw_payload_changed"),
    ("StorageError", "disk_full"),
    ("NoWayThroughError", "office_not_reachable"),
    ("OfficeRefusedError", "office_refused"),
    ("BadReplyError", "reply_is_not_data"),
    ("TransientOfficeError", "office_not_reachable"),
)
_FIRST_LINES = 12
# Slices listed in a message; `metaalexport status` shows all.
_NAMED = 8
_LINE_WIDTH = 400
_TIMEOUT_SECONDS = 10
_SECRET_NAME = re.compile(
    r"(PASSWORD|SECRET|TOKEN|WEBHOOK|FERNET_KEY|SQL_ALCHEMY_CONN)(_FILE)?$|^(METAALEXPORT_)?AIRFLOW_CONN_"
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
# Shorter values would mask ordinary words.
_LEAST_SECRET = 6


@dataclass(frozen=True)
class Alert:
    """An alert: event, place and next step.

    Attributes
    ----------
    name : str
        Kind, a key of `SECTIONS`.
    profile : str
        Profile of the state.
    is_simulated : bool
        True if its figures are simulated.
    what : str
        First lines of the error: dataset, rule and rows, as far as it states them.
    dag_id, run_id, task_id, log_url
        Place of the event; `task_id` is empty for a whole run.
    missing : str
        Names of incomplete slices; everything else that passed is published.
    """

    name: str
    profile: str
    is_simulated: bool
    what: str
    dag_id: str
    run_id: str
    task_id: str
    log_url: str
    missing: str = ""

    @property
    def subject(self) -> str:
        """Subject in one line, whatever its parts contain: it becomes an email header."""
        kind = f"{self.profile}, SIMULATED data" if self.is_simulated else self.profile
        text = f"[metaalexport, {kind}] {SECTIONS[self.name]}: {self.dag_id} {self.task_id}"
        # `split` splits at every line end known to Python or email; `harmless` removes the other C0 characters.
        return harmless(" ".join(text.split()))

    @property
    def next_step(self) -> str:
        """Reference to the remedy."""
        return f"docs/runbook.md, section '{SECTIONS[self.name]}'"

    @property
    def text(self) -> str:
        """The message."""
        return "\n".join(
            [
                self.subject,
                "",
                self.what,
                "",
                f"where: DAG {self.dag_id}, run {self.run_id}" + (f", task {self.task_id}" if self.task_id else ""),
                f"log: {self.log_url}",
                f"next: {self.next_step}",
                *([f"incomplete: {self.missing}; everything else that passed is published"] if self.missing else []),
                "Further failures of this kind in this run are not sent; `metaalexport status` shows them.",
            ]
        )


def is_switched_on(environment: Mapping[str, str] | None = None) -> bool:
    """True if any channel is configured."""
    env = os.environ if environment is None else environment
    return bool(env.get(MAIL) or env.get(WEBHOOK))


def webhook_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variable that defines the Airflow connection of a webhook given as a URL."""
    target = environment.get(WEBHOOK, "")
    if "://" not in target:
        return {}
    return {f"AIRFLOW_CONN_{WEBHOOK_CONNECTION.upper()}": json.dumps({"conn_type": "http", "host": target})}


def task_failed(context: Mapping[str, Any]) -> None:
    """Alert that a task failed after all retries; an ``on_failure_callback`` of Airflow."""
    if not is_switched_on():
        return
    instance = context["task_instance"]
    error = context.get("exception")
    settings = Settings.from_environment()
    _send(
        Alert(
            name=kind_of(error),
            profile=settings.profile,
            is_simulated=settings.is_simulated,
            what=_first_lines(error),
            dag_id=instance.dag_id,
            run_id=context["run_id"],
            task_id=instance.task_id,
            log_url=str(instance.log_url),
            missing=_missing(settings),
        ),
        settings,
        context,
    )


def loads_are_held(context: Mapping[str, Any]) -> None:
    """Alert that the publish gate left loads out of a build whose other loads are published."""
    settings = Settings.from_environment()
    held = gaps.read_held(settings)
    if not held or not is_switched_on():
        return
    instance = context["task_instance"]
    _send(
        Alert(
            name="load_is_held",
            profile=settings.profile,
            is_simulated=settings.is_simulated,
            what="\n".join(
                f"{row['load_id']}: {row['problem']}\n  found: {row['found'][:_LINE_WIDTH]}" for row in held
            ),
            dag_id=instance.dag_id,
            run_id=context["run_id"],
            task_id=instance.task_id,
            log_url=str(instance.log_url),
            missing=_missing(settings),
        ),
        settings,
        context,
    )


def run_is_late(context: Mapping[str, Any]) -> None:
    """Alert that a run missed its deadline; the callback of an Airflow deadline."""
    if not is_switched_on():
        return
    from airflow.configuration import conf

    run = context["dag_run"]
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    settings = Settings.from_environment()
    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    _send(
        Alert(
            name="run_is_late",
            profile=settings.profile,
            is_simulated=settings.is_simulated,
            what=f"not done by {context['deadline']['deadline_time']}; it goes on",
            dag_id=dag_id,
            run_id=run_id,
            task_id="",
            log_url=f"{base}/dags/{dag_id}/runs/{quote(run_id)}",
        ),
        settings,
        context,
    )


def kind_of(error: object) -> str:
    """Return the kind of alert for an error, by the names of its class and base classes."""
    if gate := getattr(error, "gate", ""):
        return "gate_1_stopped" if gate == "landing" else "gate_2_stopped"
    names = {ancestor.__name__ for ancestor in type(error).__mro__}
    for name, kind in _KINDS:
        if name in names:
            return kind
    return "task_failed"


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Mask URL passwords and values of secret variables in a text."""
    env = os.environ if environment is None else environment
    secrets = set()
    for name, value in env.items():
        if not _SECRET_NAME.search(name):
            continue
        if name.endswith("_FILE"):
            try:
                value = Path(value).read_text(encoding="utf-8").strip()
            except OSError:
                log.warning("%s names a file that cannot be read; a message cannot be cleared of its secret", name)
                continue
        secrets |= {value, urlsplit(value).password or ""} if "://" in value else {value}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _LEAST_SECRET:
            text = text.replace(secret, "***")
    return _USER_INFO.sub("***@", text)


def _missing(settings: Settings) -> str:
    names = [f"{state.name} ({state.state})" for state in gaps.read_gaps(settings)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _first_lines(error: object) -> str:
    lines = str(error or "the task ended without an error message: see its log").splitlines()
    shown = [line[:_LINE_WIDTH] for line in lines[:_FIRST_LINES]]
    if len(lines) > _FIRST_LINES:
        shown.append(f"… {len(lines) - _FIRST_LINES} more lines in the log")
    return without_secrets("\n".join(shown))


def _send(alert: Alert, settings: Settings, context: Mapping[str, Any]) -> None:
    """Send an alert through each channel, unless one of its kind was sent in this run."""
    if not Journal(settings.journal).is_first_alert(alert.dag_id, alert.run_id, alert.name, asdict(alert)):
        log.info("alert %s of this run was sent already", alert.name)
        return
    for channel, notifier in _notifiers().items():
        try:
            # The alert is passed in the context, so that nothing in a message is rendered as a template.
            notifier({**context, "alert": alert})
        except Exception as error:  # noqa: BLE001 - a channel's error must not hide the task's
            # The error's text may contain the URL, and with it a secret.
            log.warning("alert %s could not be sent by %s: %s", alert.name, channel, type(error).__name__)


def _notifiers() -> dict[str, Any]:
    """Return the notifiers of the configured channels."""
    found: dict[str, Any] = {}
    if mail := os.environ.get(MAIL):
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        found["mail"] = SmtpNotifier(
            to=[address.strip() for address in mail.split(",")],
            subject="{{ alert.subject }}",
            html_content="<pre>{{ alert.text | e }}</pre>",
        )
    if webhook := os.environ.get(WEBHOOK):
        from airflow.providers.http.notifications.http import HttpNotifier

        fields = ("name", "subject", "text", "what", "dag_id", "run_id", "task_id", "log_url", "next_step")
        found["webhook"] = HttpNotifier(
            http_conn_id=WEBHOOK_CONNECTION if "://" in webhook else webhook,
            json={field: f"{{{{ alert.{field} }}}}" for field in fields},
            extra_options={"timeout": _TIMEOUT_SECONDS},
        )
    return found
