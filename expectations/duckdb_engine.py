"""The one place that makes Great Expectations 1.24 work on DuckDB.

Great Expectations closes the connection of a query before it fetches the rows. DuckDB's cursor has nothing left
by then, and every expectation fails with "list index out of range". Rows are therefore buffered while the cursor
is open, by the strategy that SQLAlchemy has for such drivers.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy


def buffer_duckdb_results() -> None:
    """Install the buffering listener; calling it again changes nothing."""
    if not event.contains(Engine, "after_cursor_execute", _buffer):
        event.listen(Engine, "after_cursor_execute", _buffer)


def _buffer(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    if context is None or connection.dialect.name != "duckdb" or not cursor.description:
        return
    context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=cursor.fetchall())
