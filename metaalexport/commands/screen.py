"""Output of the commands: tables, records and progress, with control characters removed from office texts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from metaalexport import published
from metaalexport.display import TextConsole, format_cell, make_table
from metaalexport.harmless import harmless
from metaalexport.run import Run
from metaalexport.settings import Settings

# In a file or a pipe, numbers and names must not be folded to a screen's width.
console = TextConsole(width=None if sys.stdout.isatty() else 200)

errors = TextConsole(stderr=True)

# Most rows of a table on the screen: a million take minutes and gigabytes to lay out.
MOST_SHOWN = 1_000


def new_run(settings: Settings | None = None) -> Run:
    """Return a run of this command that prints its progress."""
    run_id = f"cli__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"
    return Run(settings or Settings.from_environment(), run_id, progress)


def progress(message: str) -> None:
    """Print a line of progress."""
    console.print(message)


def print_table(result: published.Table, title: str | None = None) -> None:
    """Print rows as a table."""
    console.print(make_table(result.columns, result.rows, title))


def print_records(result: published.Table) -> None:
    """Print wide rows as blocks of ``name value``, so that URLs and hashes stay whole."""
    for number, row in enumerate(result.rows, start=1):
        console.print(f"Request {number} of {len(result.rows)}", style="bold")
        print_record(result.columns, row)


def print_record(columns: tuple[str, ...], row: tuple[Any, ...]) -> None:
    """Print a row as lines of ``name value``."""
    for name, value in zip(columns, row, strict=True):
        console.print(f"  {name:17} {format_cell(value)}", soft_wrap=True)


def write_out(lines: Iterable[str]) -> None:
    """Write lines unchanged into a file or a pipe, and without control characters to a terminal."""
    is_screen = sys.stdout.isatty()
    for line in lines:
        sys.stdout.write(harmless(line) if is_screen else line)
