"""Load the datasets of Eurostat after a new release."""

from __future__ import annotations

from airflow.sdk import DAG

from metaalexport.airflow_tasks import PARAMS, SETTINGS, deadline, load_dataset, looks

with DAG(
    dag_id="ingest_eurostat",
    description="Poll Eurostat for new releases and load them through the landing gate into the landing area.",
    # Eurostat publishes at 11:00 and 23:00.
    schedule=looks("30 11 * * *", "30 23 * * *", timezone="Europe/Brussels"),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    deadline=deadline(SETTINGS.ingest_deadline_seconds),
    tags=["ingest", "eurostat"],
    doc_md=__doc__,
) as dag:
    for dataset in SETTINGS.datasets_to_load("eurostat"):
        load_dataset(dataset, pool="eurostat_api")
