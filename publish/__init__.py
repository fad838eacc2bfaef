"""Publishing: an accepted candidate becomes a read-only DuckDB file and a report."""
