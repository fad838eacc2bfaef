"""What people see: results as tables, on a screen or in a file where nothing is folded, and text that is only text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from metaalexport.harmless import harmless


class TextConsole(Console):
    """A console for texts of others: titles, labels and errors of an office are neither markup nor controls.

    Its own styles and movements of the cursor are made after this, or stand in segments of their own.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render what Rich can show; all that is printed, tables and their cells included, comes through here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


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
