"""Display of results as tables, and of texts without markup or control characters."""

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
    """A console for foreign texts: titles, labels and errors of an office are neither markup nor controls.

    The console's own styles and cursor movements are added later or are in separate segments.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render a Rich object without control characters; everything printed, table cells included, passes here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


def make_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> RichTable:
    """Lay rows out in columns; numbers are right-aligned, wide values folded."""
    table = RichTable(title=title, title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        sample = next((row[position] for row in rows if row[position] is not None), None)
        is_number = isinstance(sample, (int, float, Decimal)) and not isinstance(sample, bool)
        table.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        # As Text: brackets in a value are not markup.
        table.add_row(*(Text(format_cell(value)) for value in row))
    return table


def format_cell(value: Any) -> str:
    """Format a value for display; a missing one is a dash."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return f"{value:,}"
    return str(value)
