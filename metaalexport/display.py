"""Results as tables for people: on a screen, or in a file where nothing is folded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.table import Table as RichTable
from rich.text import Text


def make_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> RichTable:
    """Lay rows out in columns; numbers stand to the right, and what is too wide is folded."""
    table = RichTable(title=title, title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        sample = next((row[position] for row in rows if row[position] is not None), None)
        is_number = isinstance(sample, (int, float, Decimal)) and not isinstance(sample, bool)
        table.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        # As text: brackets in a value are no markup.
        table.add_row(*(Text(format_cell(value)) for value in row))
    return table


def format_cell(value: Any) -> str:
    """Return a value as people read it; a missing one is a dash."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return f"{value:,}"
    return str(value)
