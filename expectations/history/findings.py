"""The tables of findings behind the history checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.history.cells import prepare_cells, scalar
from expectations.history.levels import find_levels, find_other_structure
from expectations.history.repeats import (
    find_copies,
    find_exchanged,
    find_missing,
    find_restated,
    find_superseded,
    find_unchanged,
)

if TYPE_CHECKING:
    import duckdb

    from expectations.landing import LandingGateInput


_TABLES = {
    "history_levels": "severity varchar, month varchar, series varchar, expected varchar, found varchar, ratio double",
    "history_structure": "month varchar, series varchar, expected varchar, found varchar",
    "history_exchanged": "month varchar, series varchar, expected varchar, found varchar",
    "history_missing": "severity varchar, month varchar, series varchar, expected varchar, found varchar",
    "history_copies": "month varchar, series varchar, expected varchar, found varchar",
    "history_restated": (
        "severity varchar, month varchar, series varchar, expected varchar, found varchar, ratio double"
    ),
    "history_superseded": "series varchar, expected varchar, found varchar",
    "history_unchanged": "series varchar, expected varchar, found varchar",
}


def prepare_history(connection: duckdb.DuckDBPyConnection, load: LandingGateInput) -> None:
    """Create the tables of findings behind the checks; each row is one line on a screen.

    Reads the views ``observations`` and, if there are earlier loads, ``previous``.
    """
    for table, columns in _TABLES.items():
        connection.execute(f"create table {table} ({columns})")
    if not load.history_measures:
        return
    prepare_cells(connection, load)
    if not scalar(connection, "select count(*) from history_points"):
        return
    find_levels(connection, load)
    find_other_structure(connection)
    find_exchanged(connection, load)
    find_missing(connection, load)
    find_copies(connection, load)
    if load.previous is not None:
        find_restated(connection, load)
        find_superseded(connection, load)
        find_unchanged(connection, load)
