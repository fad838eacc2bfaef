"""Weekly maintenance: prune expired state and verify checksums."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, chain

from metaalexport.airflow_tasks import maintain
from metaalexport.maintenance import TASKS

with DAG(
    dag_id="maintain_warehouse",
    description="Prune expired state and verify the checksums of the raw store.",
    # No office publishes on a Sunday.
    schedule=CronTriggerTimetable("0 3 * * SUN", timezone="Europe/Amsterdam"),
    catchup=False,
    max_active_runs=1,
    tags=["maintenance"],
    doc_md=__doc__,
) as dag:
    chain(*(maintain.override(task_id=name)(name) for name in TASKS))
