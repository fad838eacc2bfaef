"""SQL text that is put together in Python."""

from __future__ import annotations

from collections.abc import Iterable


def quote(value: str) -> str:
    """Return a SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def text_list(values: Iterable[object]) -> str:
    """Return a SQL list of string literals."""
    return "[" + ", ".join(quote(str(value)) for value in values) + "]"


def sql_tuple(values: Iterable[object]) -> str:
    """Return string literals in parentheses, for ``in``; that of no value is never equal to anything."""
    return f"({', '.join(quote(str(value)) for value in values) or 'null'})"
