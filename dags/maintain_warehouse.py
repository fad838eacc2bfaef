"""Remove what is not needed any more, and compare what is kept with its hashes."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, chain

from metaalexport.airflow_tasks import maintain
from metaalexport.maintenance import TASKS

with DAG(
    dag_id="maintain_warehouse",
    description="Prune what is left over, compare the raw store with its hashes.",
    # No office publishes on a Sunday.
    schedule=CronTriggerTimetable("0 3 * * SUN", timezone="Europe/Amsterdam"),
    catchup=False,
    max_active_runs=1,
    tags=["maintenance"],
    doc_md=__doc__,
) as dag:
    chain(*(maintain.override(task_id=name)(name) for name in TASKS))
