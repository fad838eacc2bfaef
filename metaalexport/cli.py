"""The command line."""

from __future__ import annotations

import io
import os
import sys
import traceback

import duckdb
import typer

from expectations.gate import GateBrokenError
from extract.errors import ExtractError
from metaalexport import airflow_home, gates, inherited, published, stopping
from metaalexport.arguments import SettingsError
from metaalexport.commands import loads, offices, pipeline, reading, state, warehouse
from metaalexport.commands.screen import errors
from metaalexport.dbt import DbtFailedError
from publish.data_package import ExportError
from publish.duckdb_file import PublishedFileError
from publish.postgres.server import PostgresServingError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A warehouse of Dutch and EU metal exports by destination. METAALEXPORT_PROFILE chooses simulator, live or"
    " replay; state lives under var/<profile>/.",
)

for _commands in (pipeline, loads, offices, warehouse, reading, state):
    app.add_typer(_commands.app)

EXPECTED_ERRORS = (
    ExtractError,
    SettingsError,
    gates.GateFailedError,
    GateBrokenError,
    DbtFailedError,
    airflow_home.DagRunFailedError,
    published.NothingPublishedError,
    published.QueryError,
    PostgresServingError,
    ExportError,
    PublishedFileError,
    duckdb.Error,
)


def main() -> None:
    """Run the command line; an expected error is a message and exit code 1, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # In a shell with another encoding, unsupported characters become question marks.
            stream.reconfigure(errors="replace")
    os.environ.update(inherited.direct(os.environ))
    try:
        app()
    except Exception as error:
        if isinstance(error, EXPECTED_ERRORS):
            said = str(error)
        elif isinstance(error, OSError) and error.filename is not None:
            said = f"{error.filename}: {error.strerror}; next: check that the path exists and is readable and writable"
        elif stopping.exit_code() is not None:
            raise
        else:
            # Python and Typer would bypass the safe consoles, and an unexpected error may quote an office.
            said = traceback.format_exc()
        errors.print(said, style="red", soft_wrap=True)
        sys.exit(1)


__all__ = ["app", "main"]
