"""Superset over the marts: its settings, the datasets derived from dbt's contracts, the dashboard."""
