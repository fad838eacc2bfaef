"""Build a candidate with dbt, let gate 2 judge it, publish it, serve it, and write the report."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import (
    PRODUCER_WATCHER_TASK_ID,
    DbtResourceType,
    ExecutionMode,
    InvocationMode,
    LoadMode,
    TestBehavior,
)

from metaalexport import airflow_tasks, alerts, orchestration

PATHS = orchestration.dbt_paths()


def show_model(*, task_id: str, dag: DAG, task_group: Any, **_: Any) -> EmptyOperator:
    """Return the task that shows a model or a seed in Airflow's graph; the scheduler ends it without a worker."""
    return EmptyOperator(task_id=task_id, dag=dag, task_group=task_group)


def dbt_models() -> tuple[DbtTaskGroup, Any]:
    """Return dbt's models as tasks, and of them the one whose dbt process builds them all.

    The others show what the build holds and depends on. They end well with the build and do not run without it, and
    nothing waits for them.
    """
    group = DbtTaskGroup(
        group_id="models",
        project_config=ProjectConfig(
            dbt_project_path=PATHS["project"], manifest_path=PATHS["manifest"], install_dbt_deps=False
        ),
        profile_config=ProfileConfig(
            profile_name="metaalexport", target_name="embedded", profiles_yml_filepath=PATHS["profiles"]
        ),
        execution_config=ExecutionConfig(
            # A process of its own: it lets go of the build file when it ends.
            execution_mode=ExecutionMode.WATCHER,
            invocation_mode=InvocationMode.SUBPROCESS,
            dbt_executable_path=PATHS["dbt"],
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.NONE,
            emit_datasets=False,
            node_converters={DbtResourceType.MODEL: show_model, DbtResourceType.SEED: show_model},
        ),
        operator_args={
            "install_deps": False,
            "env": {"METAALEXPORT_STATE": PATHS["state"]},
            "append_env": True,
            "callback": "metaalexport.dbt.raise_failed_nodes",
        },
        default_args={"retries": 0},
    )
    producer = group.children[f"models.{PRODUCER_WATCHER_TASK_ID}"]
    producer.pool = airflow_tasks.WRITER_POOL
    producer.on_failure_callback = [*producer.on_failure_callback, alerts.task_failed]
    for child in group.children.values():
        if child is not producer and not child.upstream_task_ids:
            producer >> child
    return group, producer


with DAG(
    dag_id="build_warehouse",
    description="dbt build into a candidate, gate 2, publish, report.",
    schedule=airflow_tasks.any_landing_asset(),
    catchup=False,
    max_active_runs=1,
    deadline=airflow_tasks.deadline(orchestration.build_deadline_seconds()),
    tags=["build"],
    doc_md=__doc__,
) as dag:
    models, build = dbt_models()
    airflow_tasks.prepare_candidate() >> models
    published = (
        build
        >> airflow_tasks.test_candidate()
        >> airflow_tasks.gate_candidate()
        >> airflow_tasks.record_operations()
        >> airflow_tasks.publish()
    )
    published >> [airflow_tasks.serve(), airflow_tasks.report()]
