"""Run the DAGs once in this process, and prepare Airflow's home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from metaalexport.dbt import write_manifest
from metaalexport.settings import DAGS_FOLDER, Settings
from metaalexport.steps import prepare_state

POOLS = {
    "duckdb_writer": {"slots": 1, "description": "DuckDB has one writer.", "include_deferred": False},
    "cbs_api": {"slots": 1, "description": "One extraction at a time at CBS.", "include_deferred": False},
    "eurostat_api": {"slots": 1, "description": "One extraction at a time at Eurostat.", "include_deferred": False},
}
# In this order when there is no scheduler to follow the assets.
DAG_IDS = ("ingest_cbs", "ingest_eurostat", "build_warehouse")


class DagRunFailedError(Exception):
    """A DAG run ended in failure."""


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment that Airflow needs for a profile, over what is set already."""
    defaults = {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_FOLDER),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "COSMOS__TELEMETRY__ENABLED": "False",
        "COSMOS__ENABLE_TELEMETRY": "False",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    profile = {"METAALEXPORT_PROFILE": settings.profile, "METAALEXPORT_STATE": str(settings.state)}
    return {**defaults, **os.environ, **profile}


def prepare_airflow(settings: Settings) -> None:
    """Create or migrate Airflow's database, the pools, and the manifest that the DAG draws dbt's models from."""
    settings.airflow_home.mkdir(parents=True, exist_ok=True)
    prepare_state(settings)
    write_manifest(settings)
    # Migrating takes half of a second run's start and changes nothing while Airflow is the same.
    migrated = settings.airflow_home / f"migrated-{version('apache-airflow')}"
    if migrated.exists():
        return
    environment = airflow_environment(settings)
    pools = settings.airflow_home / "pools.json"
    pools.write_text(json.dumps(POOLS), encoding="utf-8")
    for command in (["db", "migrate"], ["pools", "import", str(pools)]):
        _airflow(command, environment, settings)
    migrated.touch()


def _airflow(command: list[str], environment: dict[str, str], settings: Settings) -> None:
    log = settings.airflow_home / "prepare.log"
    with log.open("a", encoding="utf-8") as handle:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            stdout=handle,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise DagRunFailedError(f"`airflow {' '.join(command)}` failed; see {log}")


def run_dags(dag_ids: tuple[str, ...], conf: dict[str, object]) -> None:
    """Run DAGs one after another in this process.

    Raises
    ------
    DagRunFailedError
        Naming the tasks that failed.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS_FOLDER))
    if bag.import_errors:
        raise DagRunFailedError("\n".join(f"{path}: {error}" for path, error in bag.import_errors.items()))
    for dag_id in dag_ids:
        dag = bag.dags[dag_id]
        ingest = dag_id.startswith("ingest_")
        run = dag.test(run_conf=conf if ingest else None)
        if str(run.state) != "success":
            failed = [ti.task_id for ti in run.get_task_instances() if ti.state == "failed"]
            raise DagRunFailedError(f"{dag_id} failed in {', '.join(failed)}")


def main(arguments: list[str]) -> int:
    """Run in a process whose environment was set before Airflow is imported: ``dag ids… conf``."""
    *dag_ids, conf = arguments
    try:
        run_dags(tuple(dag_ids), json.loads(conf))
    except DagRunFailedError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the message of this process
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


def dag_log_folder(settings: Settings) -> Path:
    """Where Airflow keeps the logs of tasks."""
    return settings.airflow_home / "logs"
