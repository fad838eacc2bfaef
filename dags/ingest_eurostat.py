"""Load the datasets of Eurostat, when there is something new."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable

from metaalexport.airflow_tasks import PARAMS, load_dataset

DATASETS = ["eurostat_ds_045409"]

with DAG(
    dag_id="ingest_eurostat",
    description="Ask Eurostat for new releases and bring them through gate 1 into the landing area.",
    # Eurostat publishes at 11:00 and 23:00.
    schedule=CronTriggerTimetable("30 11 * * *", timezone="Europe/Brussels"),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["ingest", "eurostat"],
    doc_md=__doc__,
) as dag:
    for dataset in DATASETS:
        load_dataset(dataset, pool="eurostat_api")
