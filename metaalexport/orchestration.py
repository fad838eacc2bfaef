"""What the DAGs call: the pipeline's steps with settings from the environment and Airflow's run id."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaalexport.settings import DBT_PROJECT, Settings

Context = Mapping[str, Any]


def task_retries() -> int:
    """How often a task that asks an office is repeated."""
    return Settings.from_environment().task_retries


def retry_delay_seconds() -> int:
    """How long to wait before that."""
    return Settings.from_environment().retry_delay_seconds


def ingest_deadline_seconds() -> int:
    """How long after it was queued a run that loads counts as late."""
    return Settings.from_environment().ingest_deadline_seconds


def build_deadline_seconds() -> int:
    """How long after it was queued a run that builds counts as late."""
    return Settings.from_environment().build_deadline_seconds


def dbt_paths() -> dict[str, str]:
    """Where Cosmos finds project, profile and manifest."""
    settings = Settings.from_environment()
    return {
        "dbt": str(Path(sys.executable).with_name("dbt")),
        "project": str(DBT_PROJECT),
        "profiles": str(DBT_PROJECT / "profiles.yml"),
        "manifest": str(settings.dbt / "target" / "manifest.json"),
        "state": str(settings.state),
    }


def datasets_to_load(office: str = "") -> list[str]:
    """Return the codes of the datasets that the DAGs load, of one office or of both."""
    return Settings.from_environment().datasets_to_load(office)


def plan(dataset: str, context: Context) -> list[dict[str, Any]]:
    """Return the slices to load."""
    from metaalexport import steps

    params = context["params"]
    first_month, last_month = months_asked(context)
    return steps.plan_loads(
        Settings.from_environment(),
        dataset,
        reporters=tuple(params["reporters"] or ()) or None,
        first_month=first_month,
        last_month=last_month,
        run_id=context["run_id"],
    )


def months_asked(context: Context) -> tuple[str | None, str | None]:
    """Return first and last month that a run asks for (``YYYY-MM``); None for as declared, and the newest.

    A run of a backfill that is given no months loads the month of its logical date, and no other.
    """
    params = context["params"]
    first, last = params["first_month"] or None, params["last_month"] or None
    run = context["dag_run"]
    if run.run_type == "backfill" and not (first or last):
        # The schedules are by day: there it is the same day as in UTC.
        month = f"{run.logical_date:%Y-%m}"
        return month, month
    return first, last


def fetch(part: dict[str, Any], context: Context) -> dict[str, Any]:
    """Fetch a slice; skip what follows if the office has nothing newer."""
    from airflow.sdk.exceptions import AirflowSkipException

    from extract.slices import Slice
    from metaalexport import steps

    context["slice_name"] = Slice.from_dict(part).describe()  # type: ignore[index]
    fetched = steps.fetch_load(Settings.from_environment(), part, context["run_id"])
    if fetched is None:
        raise AirflowSkipException("the office has nothing newer than what is loaded")
    return fetched


def land(load: dict[str, Any], context: Context) -> str:
    """Parse stored replies into a staged load."""
    from metaalexport import steps

    return steps.stage_load(Settings.from_environment(), load, context["run_id"])


def gate(load_id: str, context: Context) -> str:
    """Run gate 1."""
    from metaalexport import steps

    return steps.gate_load(Settings.from_environment(), load_id, context["run_id"])


def commit(load_id: str, context: Context, asset: Any) -> None:
    """Make a load visible, and tell its asset what came in."""
    from metaalexport import steps

    manifest = steps.commit_load(Settings.from_environment(), load_id, context["run_id"])
    context["outlet_events"][asset].extra = {
        "load_id": load_id,
        "vintage_at": manifest["vintage_at"],
        "rows_loaded": manifest["rows_loaded"],
    }


def prepare_candidate(context: Context) -> None:
    """Start from an empty build file."""
    from metaalexport import steps

    steps.prepare_candidate(Settings.from_environment(), context["run_id"])


def test_candidate(context: Context) -> None:
    """Run dbt's tests on the candidate."""
    from metaalexport import steps

    steps.test_candidate(Settings.from_environment(), context["run_id"])


def gate_candidate(context: Context) -> None:
    """Run gate 2; tell of the loads that it left out."""
    from metaalexport import alerts, steps

    steps.gate_candidate(Settings.from_environment(), context["run_id"])
    alerts.loads_are_held(context)


def record_operations(context: Context) -> None:
    """Bring the results of gate 2 into the candidate."""
    from metaalexport import steps

    steps.record_operations(Settings.from_environment(), context["run_id"])


def publish(context: Context, asset: Any) -> str:
    """Swap the published file, and tell its asset what is published; return its publish id."""
    from metaalexport import steps

    publication = steps.publish_candidate(Settings.from_environment(), context["run_id"])
    context["outlet_events"][asset].extra = {
        "publish_id": publication.publish_id,
        "content_sha256": publication.content_sha256,
        "is_simulated": publication.is_simulated,
    }
    return publication.publish_id


def serve(context: Context) -> str:
    """Fill PostgreSQL with what is published; skip where no server is named."""
    from airflow.sdk.exceptions import AirflowSkipException

    from metaalexport import serving, steps

    if not serving.is_served():
        raise AirflowSkipException(f"{serving.URL} names no server: the published file alone serves")
    return steps.serve_publication(Settings.from_environment(), context["run_id"])


def report(context: Context) -> str:
    """Write the report."""
    from metaalexport import steps

    return str(steps.write_report(Settings.from_environment(), context["run_id"]))


def maintain(task: str, context: Context) -> None:
    """Do one task of maintenance."""
    from metaalexport import maintenance

    maintenance.maintain(Settings.from_environment(), context["run_id"], tasks=(task,))


def maintenance_tasks() -> tuple[str, ...]:
    """Return the names of the tasks of maintenance, in their order."""
    from metaalexport import maintenance

    return tuple(maintenance.TASKS)
