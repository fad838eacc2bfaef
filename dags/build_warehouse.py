"""Build a candidate with dbt, let gate 2 judge it, publish it, serve it, and write the report."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from cosmos import DbtTaskGroup, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import DbtResourceType, InvocationMode, LoadMode, TestBehavior
from cosmos.operators.local import DbtBuildLocalOperator

from metaalexport import airflow_tasks, alerts, orchestration

PATHS = orchestration.dbt_paths()
PROFILE = ProfileConfig(profile_name="metaalexport", target_name="embedded", profiles_yml_filepath=PATHS["profiles"])


def build_models() -> DbtBuildLocalOperator:
    """Return the task whose dbt process builds seeds and models into the candidate.

    A process of its own lets go of the build file when it ends. Every table is replaced, so the task can be repeated.
    """
    return DbtBuildLocalOperator(
        task_id=alerts.BUILD_TASK_ID,
        project_dir=PATHS["project"],
        profile_config=PROFILE,
        dbt_executable_path=PATHS["dbt"],
        invocation_mode=InvocationMode.SUBPROCESS,
        dbt_cmd_flags=["--resource-type", "seed", "--resource-type", "model"],
        install_deps=False,
        emit_datasets=False,
        # Airflow would keep the SQL of every model with each run; the log names its file.
        should_store_compiled_sql=False,
        env={"METAALEXPORT_STATE": PATHS["state"]},
        append_env=True,
        callback="metaalexport.dbt.raise_failed_nodes",
        pool=airflow_tasks.WRITER_POOL,
        **airflow_tasks.AGAIN,
    )


def show_model(*, task_id: str, dag: DAG, task_group: Any, **_: Any) -> EmptyOperator:
    """Return the task that shows a model or a seed in Airflow's graph; the scheduler ends it without a worker."""
    return EmptyOperator(task_id=task_id, dag=dag, task_group=task_group)


def show_models() -> DbtTaskGroup:
    """Return a task for each model and seed, which show what the build holds and what depends on what.

    They end well with the build and do not run without it, and nothing waits for them.
    """
    return DbtTaskGroup(
        group_id="models",
        project_config=ProjectConfig(
            dbt_project_path=PATHS["project"], manifest_path=PATHS["manifest"], install_dbt_deps=False
        ),
        profile_config=PROFILE,
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.NONE,
            emit_datasets=False,
            node_converters={DbtResourceType.MODEL: show_model, DbtResourceType.SEED: show_model},
        ),
    )


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
    built = airflow_tasks.prepare_candidate() >> build_models()
    built >> show_models()
    published = (
        built
        >> airflow_tasks.test_candidate()
        >> airflow_tasks.gate_candidate()
        >> airflow_tasks.record_operations()
        >> airflow_tasks.publish()
    )
    published >> [airflow_tasks.serve(), airflow_tasks.report()]
