"""Load the datasets of CBS (Statistics Netherlands) after a new release."""

from __future__ import annotations

from airflow.sdk import DAG

from metaalexport.airflow_tasks import PARAMS, SETTINGS, deadline, load_dataset, looks

with DAG(
    dag_id="ingest_cbs",
    description="Poll CBS for new releases and load them through the landing gate into the landing area.",
    # CBS publishes at 06:30, and its tables can be half updated around then; noon covers late releases.
    schedule=looks("0 7 * * *", "0 12 * * *", timezone="Europe/Amsterdam"),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    deadline=deadline(SETTINGS.ingest_deadline_seconds),
    tags=["ingest", "cbs"],
    doc_md=__doc__,
) as dag:
    for dataset in SETTINGS.datasets_to_load("cbs"):
        load_dataset(dataset, pool="cbs_api")
