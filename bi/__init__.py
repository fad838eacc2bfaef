"""Superset over the marts: its settings, the datasets made from dbt's contracts, the dashboard."""
