"""Airflow tasks: the pipeline's steps with settings from the environment, pools, retries and assets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    AssetAny,
    ExceptionRetryPolicy,
    MultipleCronTriggerTimetable,
    Param,
    RetryAction,
    RetryRule,
    get_current_context,
    task,
    task_group,
)
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowSkipException

from extract.slices import Slice
from metaalexport import alerts, building, candidate, ingest, maintenance, serving
from metaalexport.run import Run
from metaalexport.settings import Settings

SETTINGS = Settings.from_environment()

# DuckDB allows one writer: every task that opens the build file takes the only slot.
WRITER_POOL = "duckdb_writer"

# Updated by a publish; other DAGs can be scheduled on it.
PUBLISHED = Asset(name="published_warehouse", uri="x-metaalexport://published/warehouse")

# Network and lock errors are transient; a reply that is not data or a figure that a gate stopped is not. The first
# match applies; errors not listed, such as a lost worker, are retried.
_RETRYABLE = {
    "extract.errors.TransientOfficeError": "the office could not answer now",
    "publish.postgres.server.PostgresAwayError": "PostgreSQL could not be reached now",
}
_NOT_RETRYABLE = {
    "extract.errors.ExtractError": "a retry would bring the same reply",
    "metaalexport.arguments.SettingsError": "the request is invalid",
    "metaalexport.gates.GateFailedError": "a gate stopped the data",
    "expectations.gate.GateBrokenError": "a check cannot be evaluated",
    "metaalexport.dbt.DbtFailedError": "a model or a test of dbt failed",
    "metaalexport.published.NothingPublishedError": "nothing is published",
    "publish.duckdb_file.PublishedFileError": "the published file is not as it was published",
    "publish.postgres.server.PostgresServingError": "PostgreSQL refused the request",
}
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        *(
            RetryRule(
                exception=name,
                action=RetryAction.RETRY,
                retry_delay=timedelta(seconds=SETTINGS.retry_delay_seconds),
                reason=reason,
            )
            for name, reason in _RETRYABLE.items()
        ),
        *(RetryRule(exception=name, action=RetryAction.FAIL, reason=reason) for name, reason in _NOT_RETRYABLE.items()),
    ]
)
# Each step can be repeated, so that a lost worker does not cost a release.
AGAIN = {
    "retries": SETTINGS.task_retries,
    "retry_policy": RETRY_POLICY,
    "on_failure_callback": alerts.task_failed,
}

# A field whose type excludes null is required: if it is empty, Airflow's form cannot be submitted.
_MONTH = {"type": ["null", "string"], "pattern": r"^(\d{4}-(0[1-9]|1[0-2]))?$"}
PARAMS = {
    "reporters": Param(
        None,
        type=["null", "array"],
        items={"type": "string", "pattern": "^([A-Z]{2}|EU27_2020)$"},
        description="Empty: those of the settings.",
    ),
    "first_month": Param(None, **_MONTH, description="YYYY-MM; empty: as declared."),
    "last_month": Param(None, **_MONTH, description="YYYY-MM; empty: the newest."),
}


def deadline(seconds: int) -> DeadlineAlert:
    """Return the alert for a run not finished within `seconds` after it was queued."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        # A number: with a timedelta, Airflow 3.3 cannot clear a failed run (its issue 70368).
        interval=seconds,
        # In the executor, where the notifiers find their connections as in a task.
        callback=SyncCallback(alerts.run_is_late),
    )


def looks(*crons: str, timezone: str) -> MultipleCronTriggerTimetable:
    """Return the schedule of an office's DAG: at each of these times, and immediately at its first start.

    A poll costs a few requests unless the office has a new release.
    """
    return MultipleCronTriggerTimetable(*crons, timezone=timezone, run_immediately=True)


def landing_asset(dataset: str) -> Asset:
    """Return the asset that a committed load of a dataset updates."""
    return Asset(name=f"landing_{dataset}", uri=f"x-metaalexport://landing/{dataset}")


def landing_assets() -> list[Asset]:
    """Return the assets that a build reads."""
    return [landing_asset(dataset) for dataset in SETTINGS.datasets_to_load()]


def any_landing_asset() -> AssetAny:
    """Return the trigger of a build: a committed load of any dataset."""
    return AssetAny(*landing_assets())


def months_asked(context: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return first and last month that a run requests (``YYYY-MM``); None for as declared, and the newest.

    A backfill run without months loads only the month of its logical date.
    """
    params = context["params"]
    first, last = params["first_month"] or None, params["last_month"] or None
    run = context["dag_run"]
    if run.run_type == "backfill" and not (first or last):
        # Schedules are daily: the day is the same in UTC.
        month = f"{run.logical_date:%Y-%m}"
        return month, month
    return first, last


def load_dataset(dataset: str, pool: str) -> Any:
    """Return the tasks of one dataset: plan its slices, then fetch, land, gate and commit each."""
    network = {**AGAIN, "pool": pool, "execution_timeout": timedelta(hours=3)}
    asset = landing_asset(dataset)

    @task(task_id=f"plan_{dataset}", **network)
    def plan_slices() -> list[dict[str, Any]]:
        context = get_current_context()
        first_month, last_month = months_asked(context)
        reporters = tuple(context["params"]["reporters"] or ()) or None
        return ingest.plan_loads(
            _run(),
            dataset,
            reporters=reporters,
            first_month=first_month,
            last_month=last_month,
        )

    @task_group(group_id=f"load_{dataset}")
    def load_slice(part: dict[str, Any]) -> None:
        @task(map_index_template="{{ slice_name }}", **network)
        def fetch(part: dict[str, Any]) -> dict[str, Any]:
            context = get_current_context()
            context["slice_name"] = Slice.from_dict(part).describe()
            fetched = ingest.fetch_load(_run(), part)
            if fetched is None:
                raise AirflowSkipException("the office has nothing newer than what is loaded")
            return fetched

        @task(**AGAIN, execution_timeout=timedelta(hours=1))
        def land(load: dict[str, Any]) -> str:
            return ingest.stage_load(_run(), load)

        @task(**AGAIN, execution_timeout=timedelta(hours=1))
        def gate(load_id: str) -> str:
            return ingest.gate_load(_run(), load_id)

        @task(**AGAIN, outlets=[asset])
        def commit(load_id: str) -> None:
            manifest = ingest.commit_load(_run(), load_id)
            said = {name: manifest[name] for name in ("vintage_at", "rows_loaded")}
            get_current_context()["outlet_events"][asset].extra = {"load_id": load_id, **said}

        commit(gate(land(fetch(part))))

    return load_slice.expand(part=plan_slices())


@task(**AGAIN, pool=WRITER_POOL, inlets=landing_assets())
def build_candidate() -> None:
    """Build all models with dbt into an empty candidate; skip if nothing changed since the publication."""
    if not building.build_candidate(_run(), is_repeated=False):
        raise AirflowSkipException("what is published was built from the same loads by the same rules")


@task(**AGAIN, pool=WRITER_POOL)
def test_candidate() -> None:
    """Run dbt's tests on the candidate."""
    with candidate.own_candidate(run := _run()):
        building.test_candidate(run)


@task(**AGAIN, pool=WRITER_POOL)
def gate_candidate() -> None:
    """Run the publish gate on the candidate; alert about the loads that it left out."""
    with candidate.own_candidate(run := _run()):
        building.gate_candidate(run)
    alerts.loads_are_held(get_current_context())


@task(**AGAIN, pool=WRITER_POOL)
def record_operations() -> None:
    """Write the results of the publish gate into the candidate."""
    with candidate.own_candidate(run := _run()):
        building.record_operations(run)


@task(**AGAIN, pool=WRITER_POOL, inlets=landing_assets(), outlets=[PUBLISHED])
def publish() -> str:
    """Swap the published file and record the publication on its asset."""
    with candidate.own_candidate(run := _run()):
        publication = building.publish_candidate(run)
    get_current_context()["outlet_events"][PUBLISHED].extra = {
        "publish_id": publication.publish_id,
        "content_sha256": publication.content_sha256,
        "is_simulated": publication.is_simulated,
    }
    return publication.publish_id


# A skipped build may still have to be served and reported.
@task(**AGAIN, inlets=[PUBLISHED], trigger_rule="none_failed")
def serve() -> str:
    """Load the publication into PostgreSQL; skip if no server is configured."""
    if not serving.is_served():
        raise AirflowSkipException(f"{serving.URL} names no server: the published file alone serves")
    return building.serve_publication(_run())


@task(**AGAIN, inlets=[PUBLISHED], trigger_rule="none_failed")
def report() -> str:
    """Write the report."""
    return str(building.write_report(_run()))


@task(**AGAIN, trigger_rule="all_done", execution_timeout=timedelta(hours=6))
def maintain(name: str) -> None:
    """Do one maintenance task, whatever the outcome of the previous ones."""
    maintenance.maintain(SETTINGS, _run().id, tasks=(name,))


def _run() -> Run:
    return Run(SETTINGS, str(get_current_context()["run_id"]))
