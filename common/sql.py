"""Helpers to compose SQL text."""

from __future__ import annotations

from collections.abc import Iterable


def quote(value: str) -> str:
    """Return a SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_list(values: Iterable[object]) -> str:
    """Return a SQL list of string literals."""
    return "[" + ", ".join(quote(str(value)) for value in values) + "]"


def sql_tuple(values: Iterable[object]) -> str:
    """Return string literals in parentheses, for ``in``; an empty list matches nothing."""
    return f"({', '.join(quote(str(value)) for value in values) or 'null'})"


def values_table(columns: dict[str, str], rows: Iterable[Iterable[str | float | None]]) -> str:
    """Return a small table as a query: column names to types, and rows of text, numbers and None.

    Replaces ``executemany``, which imports pandas and adds a second to every load.
    """
    names = ", ".join(columns)
    typed = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns.items())
    lines = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
    if not lines:
        return f"select {', '.join(f'cast(null as {kind}) as {name}' for name, kind in columns.items())} limit 0"
    return f"select {typed} from (values {lines}) as t({names})"


def number(text: str, limit: float) -> str:
    """Return the SQL expression of a text's number if it is finite and below a limit; else null.

    A cast accepts ``NaN`` and ``INF``, which may denote a missing value in OData and SDMX.
    """
    return f"case when abs(try_cast({text} as double)) < {limit!r} then try_cast({text} as double) end"


def _literal(value: str | float | None) -> str:
    if value is None:
        return "null"
    return quote(value) if isinstance(value, str) else repr(value)
