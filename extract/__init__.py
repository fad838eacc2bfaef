"""Office to raw payload to landing Parquet. Knows no settings, no dbt, no Airflow."""
