"""A candidate that passed becomes a read-only DuckDB file and a report."""
