"""SQL text that is put together in Python."""

from __future__ import annotations


def quote(value: str) -> str:
    """Return a SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
