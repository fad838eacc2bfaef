"""The tasks of the DAGs: the pipeline's steps with pools, retries and assets."""

from __future__ import annotations

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

from metaalexport import alerts, orchestration

# DuckDB has one writer: whatever opens the build file takes the only slot.
WRITER_POOL = "duckdb_writer"

# What a publish updates; DAGs of others can be scheduled on it.
PUBLISHED = Asset(name="published_warehouse", uri="x-metaalexport://published/warehouse")

# Time heals a network; it does not heal a reply that is not data, nor a figure that a gate stopped.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="extract.errors.TransientOfficeError",
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=orchestration.retry_delay_seconds()),
            reason="the office could not answer now",
        ),
        RetryRule(
            exception="extract.errors.ExtractError",
            action=RetryAction.FAIL,
            reason="trying again cannot heal what the office sent",
        ),
        RetryRule(
            exception="metaalexport.arguments.SettingsError",
            action=RetryAction.FAIL,
            reason="what was asked for makes no sense",
        ),
        RetryRule(
            exception="metaalexport.steps.GateFailedError",
            action=RetryAction.FAIL,
            reason="a gate stopped the data",
        ),
        RetryRule(
            exception="metaalexport.dbt.DbtFailedError",
            action=RetryAction.FAIL,
            reason="a model or a test of dbt failed",
        ),
    ]
)
# Each step can be repeated: a worker that went away must not cost a release.
AGAIN = {
    "retries": orchestration.task_retries(),
    "retry_policy": RETRY_POLICY,
    "on_failure_callback": alerts.task_failed,
}

# A field whose type does not allow null is required: with one that is empty, Airflow's form cannot be sent.
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
    """Return what tells that a run is not done some time after it was queued."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        # A number, which Airflow reads too: with a timedelta, Airflow 3.3 cannot clear a failed run (its issue 70368).
        interval=seconds,
        # In the executor: the notifiers find their connections there as in a task.
        callback=SyncCallback(alerts.run_is_late),
    )


def looks(*crons: str, timezone: str) -> MultipleCronTriggerTimetable:
    """Return the schedule of an office's DAG: at each of these times, and at once when it is first started.

    A look costs a few requests, unless the office has something newer.
    """
    return MultipleCronTriggerTimetable(*crons, timezone=timezone, run_immediately=True)


def landing_asset(dataset: str) -> Asset:
    """Return the asset that a committed load of a dataset updates."""
    return Asset(name=f"landing_{dataset}", uri=f"x-metaalexport://landing/{dataset}")


def landing_assets() -> list[Asset]:
    """Return what a build reads."""
    return [landing_asset(dataset) for dataset in orchestration.datasets_to_load()]


def any_landing_asset() -> AssetAny:
    """Return what a build waits for: a committed load of any dataset."""
    return AssetAny(*landing_assets())


def load_dataset(dataset: str, pool: str) -> Any:
    """Return the tasks of one dataset: plan its slices, then fetch, land, gate and commit each."""
    network = {**AGAIN, "pool": pool, "execution_timeout": timedelta(hours=3)}

    @task(task_id=f"plan_{dataset}", **network)
    def plan_slices() -> list[dict[str, Any]]:
        return orchestration.plan(dataset, get_current_context())

    @task_group(group_id=f"load_{dataset}")
    def load_slice(part: dict[str, Any]) -> None:
        @task(map_index_template="{{ slice_name }}", **network)
        def fetch(part: dict[str, Any]) -> dict[str, Any]:
            return orchestration.fetch(part, get_current_context())

        @task(**AGAIN, execution_timeout=timedelta(hours=1))
        def land(load: dict[str, Any]) -> str:
            return orchestration.land(load, get_current_context())

        @task(**AGAIN, execution_timeout=timedelta(hours=1))
        def gate(load_id: str) -> str:
            return orchestration.gate(load_id, get_current_context())

        @task(**AGAIN, outlets=[landing_asset(dataset)])
        def commit(load_id: str) -> None:
            orchestration.commit(load_id, get_current_context(), landing_asset(dataset))

        commit(gate(land(fetch(part))))

    return load_slice.expand(part=plan_slices())


@task(**AGAIN, pool=WRITER_POOL, inlets=landing_assets())
def prepare_candidate() -> None:
    """Start from an empty build file."""
    orchestration.prepare_candidate(get_current_context())


@task(**AGAIN, pool=WRITER_POOL)
def test_candidate() -> None:
    """Run dbt's tests on the candidate."""
    orchestration.test_candidate(get_current_context())


@task(**AGAIN, pool=WRITER_POOL)
def gate_candidate() -> None:
    """Let gate 2 judge the candidate."""
    orchestration.gate_candidate(get_current_context())


@task(**AGAIN, pool=WRITER_POOL)
def record_operations() -> None:
    """Bring the results of gate 2 into the candidate."""
    orchestration.record_operations(get_current_context())


@task(**AGAIN, pool=WRITER_POOL, inlets=landing_assets(), outlets=[PUBLISHED])
def publish() -> str:
    """Swap the published file."""
    return orchestration.publish(get_current_context(), PUBLISHED)


@task(**AGAIN, inlets=[PUBLISHED])
def serve() -> str:
    """Fill PostgreSQL with what is published."""
    return orchestration.serve(get_current_context())


@task(**AGAIN, inlets=[PUBLISHED])
def report() -> str:
    """Write the report."""
    return orchestration.report(get_current_context())


@task(**AGAIN, trigger_rule="all_done", execution_timeout=timedelta(hours=6))
def maintain(name: str) -> None:
    """Do one task of maintenance, whatever became of those before it."""
    orchestration.maintain(name, get_current_context())
