"""Build a candidate with dbt, run the publish gate, publish it, serve it, and write the report."""

from __future__ import annotations

from airflow.sdk import DAG

from metaalexport import airflow_tasks as tasks

with DAG(
    dag_id="build_warehouse",
    description="dbt build into a candidate, publish gate, publish, report.",
    schedule=tasks.any_landing_asset(),
    catchup=False,
    max_active_runs=1,
    deadline=tasks.deadline(tasks.SETTINGS.build_deadline_seconds),
    tags=["build"],
    doc_md=__doc__,
) as dag:
    published = (
        tasks.build_candidate()
        >> tasks.test_candidate()
        >> tasks.gate_candidate()
        >> tasks.record_operations()
        >> tasks.publish()
    )
    published >> [tasks.serve(), tasks.report()]
