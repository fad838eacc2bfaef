"""Compatibility of Great Expectations 1.24 with DuckDB.

Great Expectations closes the connection of a query before it fetches the rows. DuckDB's cursor is then empty, and every
expectation fails with "list index out of range". Rows are therefore buffered while the cursor is open, with
SQLAlchemy's strategy for such drivers.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy


def buffer_duckdb_results() -> None:
    """Install the buffering listener; idempotent."""
    if not event.contains(Engine, "after_cursor_execute", _buffer):
        event.listen(Engine, "after_cursor_execute", _buffer)


def _buffer(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    if context is None or connection.dialect.name != "duckdb" or not cursor.description:
        return
    context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=cursor.fetchall())
