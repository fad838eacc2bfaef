"""Orchestration: settings, pipeline steps, the dbt runner and the command line."""
