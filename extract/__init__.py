"""Extraction from an office to raw payloads and landing Parquet; independent of settings, dbt and Airflow."""
