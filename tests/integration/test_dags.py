"""The DAGs as Airflow imports them, in a separate process with a fresh Airflow home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extract.registry import load_registry
from metaalexport.airflow_home import airflow_environment
from metaalexport.maintenance import TASKS
from metaalexport.settings import Settings
from metaalexport.state import prepare_state

pytestmark = pytest.mark.integration

DEFAULT_DATASETS = [dataset.code for dataset in load_registry().values() if dataset.by_default]

DESCRIBE = """
import json, os
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
dags = {}
for dag in bag.dags.values():
    dags[dag.dag_id] = {
        "tasks": {
            task.task_id: {
                "type": task.task_type, "pool": task.pool, "retries": task.retries,
                "upstream": sorted(task.upstream_task_ids),
                "outlets": [asset.name for asset in task.outlets],
                "inlets": sorted(asset.name for asset in task.inlets),
                "has_retry_policy": getattr(task, "retry_policy", None) is not None,
                "has_timeout": task.execution_timeout is not None,
                "tells_failure": "task_failed" in [getattr(c, "__name__", "") for c in task.on_failure_callback],
            } for task in dag.tasks
        },
        "params": sorted(dag.params), "schedule": str(dag.timetable.__class__.__name__),
        "looks": [
            [cron.expression, str(cron.timezone), cron.run_immediately]
            for cron in getattr(dag.timetable, "timetables", [])
        ],
        "deadlines": [[d.interval, d.callback.path] for d in (dag.deadline or [])],
        "catchup": dag.catchup, "max_active_runs": dag.max_active_runs,
    }

import importlib, pkgutil
from metaalexport.airflow_tasks import RETRY_POLICY
retried = {}
for package in ("extract", "expectations", "publish", "metaalexport"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == module.name:
                decision = RETRY_POLICY.evaluate(kind.__new__(kind), 1, 3)
                retried[kind.__name__] = decision.action.value
print("DAGS " + json.dumps({"dags": dags, "errors": {str(k): str(v) for k, v in bag.import_errors.items()},
    "retried": retried}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Import the DAG folder as Airflow does; return a description of the DAGs."""
    settings = Settings(profile="simulator", state=tmp_path_factory.mktemp("dags") / "simulator")
    prepare_state(settings)
    environment = {**airflow_environment(settings), "METAALEXPORT_VAR": str(settings.state.parent)}
    settings.airflow_home.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("DAGS ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    described: dict[str, Any] = json.loads(lines[-1].removeprefix("DAGS "))
    return described


def test_dag_folder_imports_exactly_the_four_dags(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {"ingest_cbs", "ingest_eurostat", "build_warehouse", "maintain_warehouse"}


def test_every_task_does_work_and_reports_its_failure(bag: dict[str, Any]) -> None:
    tasks = {f"{dag_id}.{name}": task for dag_id, dag in bag["dags"].items() for name, task in dag["tasks"].items()}
    assert len(tasks) > 80
    assert [name for name, task in tasks.items() if not task["tells_failure"]] == []
    assert [name for name, task in tasks.items() if task["type"] == "EmptyOperator"] == []


def test_ingest_and_build_runs_have_a_deadline(bag: dict[str, Any]) -> None:
    deadlines = {dag_id: dag["deadlines"] for dag_id, dag in bag["dags"].items()}
    callback = "metaalexport.alerts.run_is_late"
    assert deadlines == {
        "ingest_cbs": [[6 * 3600, callback]],
        "ingest_eurostat": [[6 * 3600, callback]],
        "build_warehouse": [[2 * 3600, callback]],
        "maintain_warehouse": [],
    }


def test_maintenance_compares_raw_hashes_last(bag: dict[str, Any]) -> None:
    tasks = bag["dags"]["maintain_warehouse"]["tasks"]
    assert tasks["compare_raw_hashes"]["upstream"] == ["drop_served_generations"]
    assert set(tasks) == set(TASKS)


def test_every_default_dataset_is_ingested_and_triggers_the_build(bag: dict[str, Any]) -> None:
    outlets = {
        asset
        for dag_id in ("ingest_cbs", "ingest_eurostat")
        for task in bag["dags"][dag_id]["tasks"].values()
        for asset in task["outlets"]
    }
    assert outlets == {f"landing_{code}" for code in DEFAULT_DATASETS}
    assert "Asset" in bag["dags"]["build_warehouse"]["schedule"]


def test_offices_are_polled_after_their_release_hours_and_at_the_first_start(bag: dict[str, Any]) -> None:
    assert bag["dags"]["ingest_cbs"]["looks"] == [
        ["0 7 * * *", "Europe/Amsterdam", True],
        ["0 12 * * *", "Europe/Amsterdam", True],
    ]
    assert bag["dags"]["ingest_eurostat"]["looks"] == [
        ["30 11 * * *", "Europe/Brussels", True],
        ["30 23 * * *", "Europe/Brussels", True],
    ]


def test_assets_link_the_loads_to_the_published_warehouse(bag: dict[str, Any]) -> None:
    tasks = bag["dags"]["build_warehouse"]["tasks"]
    landed = sorted(f"landing_{code}" for code in DEFAULT_DATASETS)
    assert (tasks["publish"]["inlets"], tasks["publish"]["outlets"]) == (landed, ["published_warehouse"])
    assert tasks["build_candidate"]["inlets"] == landed
    assert tasks["serve"]["inlets"] == tasks["report"]["inlets"] == ["published_warehouse"]


def test_fetch_tasks_have_a_pool_a_timeout_and_a_retry_policy(bag: dict[str, Any]) -> None:
    fetches = {
        (dag_id, name): task
        for dag_id, dag in bag["dags"].items()
        for name, task in dag["tasks"].items()
        if name.endswith(".fetch")
    }
    assert len(fetches) == len(DEFAULT_DATASETS)
    for (dag_id, name), task in fetches.items():
        assert task["pool"] == f"{dag_id.removeprefix('ingest_')}_api", name
        assert task["has_retry_policy"], name
        assert task["has_timeout"], name


def test_all_tasks_that_open_the_build_file_share_the_writer_slot(bag: dict[str, Any]) -> None:
    tasks = bag["dags"]["build_warehouse"]["tasks"]
    writers = {name for name, task in tasks.items() if task["pool"] == "duckdb_writer"}
    assert writers == {
        "build_candidate",
        "test_candidate",
        "gate_candidate",
        "record_operations",
        "publish",
    }
    assert set(tasks) - writers == {"serve", "report"}


def test_publish_follows_build_test_and_gate(bag: dict[str, Any]) -> None:
    tasks = bag["dags"]["build_warehouse"]["tasks"]
    order = ["build_candidate", "test_candidate", "gate_candidate", "record_operations", "publish"]
    assert [tasks[name]["upstream"] for name in order] == [[], *([name] for name in order[:-1])]
    assert tasks["serve"]["upstream"] == tasks["report"]["upstream"] == ["publish"]


def test_every_error_is_classified_as_retryable_or_not(bag: dict[str, Any]) -> None:
    # These never leave the command line or the function that raises them.
    inside = {
        "ArchiveContentError",
        "ArchiveError",
        "DagRunFailedError",
        "ExportError",
        "QueryError",
        "UnreadableError",
        "_LeftOutError",
        "RetryableError",
    }
    healed = {"OfficeBusyError", "PostgresAwayError", "TornReadError", "TransientOfficeError"}
    actions = {name: action for name, action in bag["retried"].items() if name not in inside}
    assert inside <= bag["retried"].keys()
    assert {name for name, action in actions.items() if action == "retry"} == healed
    assert {name for name, action in actions.items() if action not in ("retry", "fail")} == set()
    assert {"GateBrokenError", "NoWayThroughError", "PostgresServingError", "SettingsError"} <= actions.keys()


def test_dags_do_not_overlap_and_do_not_catch_up(bag: dict[str, Any]) -> None:
    assert {dag["max_active_runs"] for dag in bag["dags"].values()} == {1}
    assert {dag["catchup"] for dag in bag["dags"].values()} == {False}
    assert bag["dags"]["ingest_eurostat"]["params"] == ["first_month", "last_month", "reporters"]


def test_dag_files_are_thin(bag: dict[str, Any]) -> None:
    folder = Path(__file__).resolve().parents[2] / "dags"
    files = sorted(folder.glob("*.py"))
    assert len(files) == 4
    for path in files:
        text = path.read_text(encoding="utf-8")
        for forbidden in ("import duckdb", "import requests", "import pandas", "open(", "select ", "os.environ"):
            assert forbidden not in text, f"{path.name}: {forbidden}"
    assert os.path.commonpath([str(folder), str(files[0])]) == str(folder)
