"""Freshness and integrity of the publication, for a monitor other than Airflow.

Reads only files (journal, load markers, published file), and PostgreSQL if it serves the marts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from extract.landing.store import Landing
from extract.registry import load_registry
from metaalexport import gaps, published, serving, state
from metaalexport.alerts import SECTIONS
from metaalexport.journal import Journal, as_utc, in_order
from metaalexport.maintenance import TASKS
from metaalexport.settings import DBT_PROJECT, Settings
from publish.duckdb_file import PublishedFileError, check_published
from publish.postgres.server import PostgresServingError
from publish.postgres.serving import served_publication

# A commit starts a build, which may wait for another one and be retried.
PUBLISH_WITHIN_HOURS = 6
# Older failures show as late freshness SLAs, if they still matter.
FAILURE_DAYS = 14
LEAST_FREE_BYTES = 2 << 30
# Section of docs/runbook.md by check.
FINDINGS = {
    "slice_is_missing": "What was wanted is missing",
    "slice_is_behind": "What was wanted is missing",
    "load_is_held": "A load is held back",
    "table_is_discontinued": "The office stopped a table",
    "scope_is_empty": "A scope is empty",
    "load_not_published": "A load is not published",
    "published_file_was_changed": "The published file was changed",
    "look_is_late": "Nobody asked the office",
    "release_is_late": "The office did not publish",
    "gate_2_stopped": SECTIONS["gate_2_stopped"],
    "step_failed": SECTIONS["task_failed"],
    "record_is_damaged": "A record is damaged",
    "disk_is_short": SECTIONS["disk_full"],
    "server_is_away": SECTIONS["serving_failed"],
    "served_is_older": SECTIONS["serving_failed"],
}
# Command that repeats a failed step, and its section.
_BUILD, _MAINTAIN = "`metaalexport build`, then `metaalexport publish`", "`metaalexport maintain`"
STEPS = {
    "prepare_candidate": (_BUILD, SECTIONS["task_failed"]),
    "build": (_BUILD, SECTIONS["dbt_failed"]),
    "test": (_BUILD, SECTIONS["dbt_failed"]),
    "gate_candidate": (_BUILD, SECTIONS["task_failed"]),
    "record_operations": (_BUILD, SECTIONS["dbt_failed"]),
    "publish": ("`metaalexport publish`", SECTIONS["task_failed"]),
    "serve": ("`metaalexport serve`", SECTIONS["serving_failed"]),
    "report": ("`metaalexport report`", SECTIONS["task_failed"]),
    **dict.fromkeys(TASKS, (_MAINTAIN, SECTIONS["task_failed"])),
    "compare_raw_hashes": (_MAINTAIN, SECTIONS["raw_payload_changed"]),
}


@dataclass(frozen=True)
class Promise:
    """One of the two freshness SLAs of a dataset: the office was polled, or it published.

    Attributes
    ----------
    kind : str
        ``look`` or ``release``.
    last_at : datetime or None
        When it was last met, UTC.
    due_at : datetime or None
        When it counts as missed, UTC; None without an SLA or without data.
    state : str
        ``ok``, ``late`` or ``unknown``, at the requested moment.
    """

    dataset: str
    kind: str
    last_at: datetime | None
    due_at: datetime | None
    state: str


@dataclass(frozen=True)
class Finding:
    """A problem found by a check.

    Attributes
    ----------
    name : str
        The check, a key of `FINDINGS`.
    what, where : str
        Problem and place, in words.
    command : str
        The next command, if there is a single one.
    section : str
        Section of the runbook, if it differs from the check's.
    """

    name: str
    what: str
    where: str
    command: str = ""
    section: str = ""

    @property
    def next_step(self) -> str:
        """The next command and a reference to the remedy."""
        section = f"docs/runbook.md, section '{self.section or FINDINGS[self.name]}'"
        return f"{self.command}; {section}" if self.command else section


def examine(settings: Settings, now: datetime | None = None) -> list[Finding]:
    """Return all findings; empty if all is well.

    Parameters
    ----------
    now : datetime or None
        The moment to judge by, with a time zone; None for the clock.

    Raises
    ------
    NothingPublishedError
        If nothing was published under this profile.
    """
    # In UTC: in a local zone, adding hours would follow its wall clock.
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    published.require_published(settings)
    runs = Journal(settings.journal).read("runs")
    return [
        *_published_file(settings, runs, moment),
        *gap_findings(settings),
        *_late_promises(settings, moment),
        *_last_gate(settings, moment),
        *_unrepaired_steps(settings, runs, moment),
        *_damaged_records(settings),
        *_disk(settings),
    ]


def gap_findings(settings: Settings) -> list[Finding]:
    """Return a finding for each incomplete slice and empty scope, whether or not anything is published."""
    names = {
        gaps.MISSING: "slice_is_missing",
        gaps.BEHIND: "slice_is_behind",
        gaps.HELD: "load_is_held",
        gaps.DISCONTINUED: "table_is_discontinued",
    }
    slices = [
        Finding(
            names[state.state],
            f"{state.problem}: {state.found}" if state.found else state.problem,
            state.name,
            state.next_step,
        )
        for state in gaps.read_gaps(settings)
    ]
    return slices + [
        Finding("scope_is_empty", f"no office has its codes {', '.join(codes)}", scope)
        for scope, codes in gaps.read_empty_scopes(settings).items()
    ]


def promises(settings: Settings, now: datetime | None = None) -> list[Promise]:
    """Return both freshness SLAs of each dataset that the DAGs load, with polls and loads up to this moment.

    The SQL of ``ops.freshness`` runs here over the journal and the load markers: the table is as old as the newest
    build, and a monitor must also see later events.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    with duckdb.connect() as connection:
        _relate_to_now(connection, settings, moment)
        rows = connection.execute(
            "select dataset_code, last_looked_at, look_due_at, last_vintage_at, release_due_at"
            f" from ({_freshness_sql()})"
        ).fetchall()
    found = {code: [at.replace(tzinfo=UTC) if at else None for at in times] for code, *times in rows}
    return [
        Promise(code, kind, last, due, _state(due, moment))
        for code in settings.datasets_to_load()
        for kind, (last, due) in (("look", found[code][:2]), ("release", found[code][2:]))
    ]


def _freshness_sql() -> str:
    """Return the model's SQL with the names of its sources instead of dbt's references."""
    text = (DBT_PROJECT / "models" / "ops" / "freshness.sql").read_text(encoding="utf-8")
    return re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", text)


def _relate_to_now(connection: duckdb.DuckDBPyConnection, settings: Settings, moment: datetime) -> None:
    """Create the tables that the model reads from the current journal, markers and registry.

    Polls dated in the future, from a clock that was ahead, are ignored: they would count as met until that time.
    """
    connection.execute(
        "create table stg_journal__runs (step varchar, subject varchar, outcome varchar, finished_at timestamp)"
    )
    runs = settings.journal / "runs"
    if any(runs.glob("*.jsonl")):
        connection.execute(
            "insert into stg_journal__runs select step, subject, outcome, finished_at from read_json(?, columns ="
            " {step: 'varchar', subject: 'varchar', outcome: 'varchar', finished_at: 'timestamp'},"
            " format = 'newline_delimited', ignore_errors = true) where finished_at <= ?",
            [str(runs / "*.jsonl"), moment.replace(tzinfo=None)],
        )
    connection.execute(
        "create table stg_landing__loads (dataset_code varchar, vintage_at timestamp, transport varchar)"
    )
    for load in Landing(settings.landing).committed():
        connection.execute(
            "insert into stg_landing__loads values (?, ?, ?)", [load.dataset, load.vintage_at, load.transport]
        )
    connection.execute(
        "create table stg_journal__datasets (dataset_code varchar, look_hours integer, is_scheduled boolean,"
        " release_days integer, release_note varchar)"
    )
    scheduled = settings.datasets_to_load()
    for code, dataset in load_registry().items():
        connection.execute(
            "insert into stg_journal__datasets values (?, ?, ?, ?, ?)",
            [code, dataset.release.look_hours, code in scheduled, dataset.release.days, dataset.release_note],
        )
    # The freshness SLAs do not depend on the months of the figures.
    connection.execute("create table int_export_totals (dataset_code varchar, period_start date, period_type varchar)")


def _state(due: datetime | None, moment: datetime) -> str:
    if due is None:
        return "unknown"
    return "late" if moment > due else "ok"


def _text(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}" if moment else "no time known"


def _published_file(settings: Settings, runs: list[dict[str, Any]], moment: datetime) -> Iterator[Finding]:
    """Check the published file; skip the other checks if it was changed."""
    try:
        check_published(settings.published)
        with published.open_published(settings) as connection:
            ((publish_id,),) = connection.execute("select publish_id from ops.publication").fetchall()
            loads = {load_id for (load_id,) in connection.execute("select load_id from ops.loads").fetchall()}
    except PublishedFileError as error:
        what, _, next_step = str(error).partition("; next: ")
        yield Finding("published_file_was_changed", what, str(settings.published), next_step)
        return
    yield from _unpublished_loads(settings, runs, loads, moment)
    yield from _serving(publish_id)


def _unpublished_loads(
    settings: Settings, runs: list[dict[str, Any]], published_loads: set[str], moment: datetime
) -> Iterator[Finding]:
    committed_at = {row["subject"]: row["finished_at"] for row in runs if row["step"] == "commit"}
    since, until = as_utc(moment - timedelta(hours=PUBLISH_WITHIN_HOURS)), as_utc(moment)
    known = published_loads | {row["load_id"] for row in gaps.read_held(settings)}
    late = [
        load.load_id
        for load in Landing(settings.landing).committed()
        # A restored landing area may have more loads than its journal; a time in the future has no age.
        if load.load_id not in known and not since <= committed_at.get(load.load_id, load.retrieved_at) <= until
    ]
    if late:
        yield Finding(
            "load_not_published",
            f"{len(late)} load(s) are committed and not published, for example {late[0]}",
            str(settings.published),
            _BUILD,
        )


def _late_promises(settings: Settings, moment: datetime) -> Iterator[Finding]:
    for promise in promises(settings, moment):
        if promise.state != "late":
            continue
        if promise.kind == "look":
            yield Finding(
                "look_is_late",
                f"the office was last polled at {_text(promise.last_at)}, the next poll was due by"
                f" {_text(promise.due_at)}",
                promise.dataset,
                f"`metaalexport load {promise.dataset}` polls it",
            )
        else:
            dataset = load_registry()[promise.dataset]
            yield Finding(
                "release_is_late",
                f"the newest vintage is of {_text(promise.last_at)}, the next was due by {_text(promise.due_at)}",
                promise.dataset,
                f"`metaalexport discover {dataset.office} {' '.join(dataset.discover)}` shows what it publishes",
            )


def _last_gate(settings: Settings, moment: datetime) -> Iterator[Finding]:
    """Check the newest run of the publish gate; loads that the landing gate stopped are gaps."""
    rows = [row for row in Journal(settings.journal).read("checks") if row["gate"] == "candidate"]
    rows = in_order(rows, "checked_at", as_utc(moment))
    newest = rows[-1]["checked_at"] if rows else ""
    failed = [
        row["check_name"]
        for row in rows
        if row["checked_at"] == newest and not row["is_passed"] and row["severity"] == "error"
    ]
    if failed:
        yield Finding(
            "gate_2_stopped",
            f"the last run of gate 'candidate' failed: {', '.join(failed)}",
            rows[-1]["subject"],
            "look first; then `metaalexport build` and `metaalexport publish` judge it again",
        )


def _unrepaired_steps(settings: Settings, runs: list[dict[str, Any]], moment: datetime) -> Iterator[Finding]:
    """Yield each step whose latest attempt failed within 14 days; failed steps of slices are gaps."""
    newest = {
        (row["step"], row["subject"]): row
        for row in in_order(runs, now=as_utc(moment))
        if row["step"] not in gaps.SLICE_STEPS
    }
    since = as_utc(moment - timedelta(days=FAILURE_DAYS))
    for row in newest.values():
        # A step stopped by a gate has the outcome `blocked` and is reported by its checks.
        if row["outcome"] == "failed" and row["finished_at"] > since:
            first_line = (row["detail"].splitlines() or [""])[0]
            yield Finding(
                "step_failed",
                f"{row['step']} failed at {row['finished_at'][:16]}Z: {first_line[:200]}",
                f"{row['subject']}, run {row['run_id']}",
                *STEPS.get(row["step"], ()),
            )


def _damaged_records(settings: Settings) -> Iterator[Finding]:
    if damaged := state.damaged_records(settings):
        yield Finding(
            "record_is_damaged",
            f"{len(damaged)} record(s) of steps, checks or requests cannot be read and are ignored",
            str(damaged[0]),
            "`metaalexport maintain` sets them aside",
        )


def _disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(_existing(settings.state)).free
    if free < LEAST_FREE_BYTES:
        yield Finding(
            "disk_is_short",
            f"{free / 1e9:.1f} GB are free; a build needs {LEAST_FREE_BYTES / 1e9:.1f} GB",
            str(settings.state),
        )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _serving(publish_id: str) -> Iterator[Finding]:
    """Compare the served publication with the published file, if a server is configured."""
    if not serving.is_served():
        return
    server = serving.marts_server()
    where = f"{server.host}:{server.port}, database {server.database}"
    try:
        served = served_publication(server)
    except PostgresServingError as error:
        yield Finding(
            "server_is_away", str(error).splitlines()[0], where, "when it is available again: `metaalexport serve`"
        )
        return
    if served is None or served["publish_id"] != publish_id:
        yield Finding(
            "served_is_older",
            f"PostgreSQL serves {served['publish_id'] if served else 'nothing'}, the published file is {publish_id}",
            where,
            "`metaalexport serve`",
        )
