"""Commands that read the publication."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from common.files import hash_file
from extract.landing.store import Landing
from extract.raw import RawStore
from metaalexport import gaps, published
from metaalexport.arguments import parse_month
from metaalexport.client import become_client
from metaalexport.commands.screen import (
    MOST_SHOWN,
    console,
    errors,
    print_record,
    print_records,
    print_table,
    write_out,
)
from metaalexport.dbt import published_keys
from metaalexport.settings import Settings
from publish.data_package import export_data_package
from publish.duckdb_file import check_published

app = typer.Typer()


class Format(StrEnum):
    """Formats of `sql`."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command()
def sql(
    statement: Annotated[
        str | None, typer.Argument(help="One SQL query; schemas marts and ops. Without one: from a pipe, or a prompt.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.table,
    output: Annotated[Path | None, typer.Option(help="File to write; parquet needs one.")] = None,
) -> None:
    """Query the published file, read-only; without a statement, open a prompt."""
    settings = Settings.from_environment()
    if statement is None:
        if sys.stdin.isatty():
            _open_prompt(settings, format, output)
            return
        statement = sys.stdin.read()
        if not statement.strip():
            raise typer.BadParameter(
                "there is no statement, neither as argument nor from a pipe;"
                " next: metaalexport sql 'from ops.publication'"
            )
    if format is Format.table:
        _print_result(settings, published.one_statement(statement), output)
    elif output is not None:
        rows = published.write_result(settings, statement, output, format.value)
        errors.print(f"{rows:,} rows written to {output}", soft_wrap=True)
    elif format is Format.parquet:
        raise typer.BadParameter("--format parquet needs --output FILE")
    else:
        with tempfile.TemporaryDirectory(prefix="metaalexport_") as folder:
            file = Path(folder) / "result"
            published.write_result(settings, statement, file, format.value)
            with file.open(encoding="utf-8") as lines:
                write_out(lines)


def _print_result(settings: Settings, statement: str, output: Path | None) -> None:
    if output is not None:
        raise typer.BadParameter("a table is for the screen; for a file add --format csv, json or parquet")
    result = published.query(settings, statement, most=MOST_SHOWN + 1)
    print_table(replace(result, rows=result.rows[:MOST_SHOWN]))
    if len(result.rows) > MOST_SHOWN:
        errors.print(
            f"the first {MOST_SHOWN:,} rows; next: --format csv, json or parquet with --output FILE writes all of them",
            style="yellow",
        )


def _open_prompt(settings: Settings, format: Format, output: Path | None) -> None:
    if format is not Format.table or output is not None or not sys.stdout.isatty():
        raise typer.BadParameter("a prompt needs a screen; for a file or another format give the statement as argument")
    ((publish_id, at, is_simulated),) = published.query(
        settings, "select publish_id, published_at, is_simulated from ops.publication"
    ).rows
    kind = "SIMULATED data" if is_simulated else "real data"
    console.print(f"published {publish_id} on {at:%Y-%m-%d %H:%M} UTC, {kind}, read-only", soft_wrap=True)
    if missing := gaps.read_gaps(settings):
        names = ", ".join(state.name for state in missing)
        console.print(f"incomplete: {names}; see `from ops.slices`", style="yellow", soft_wrap=True)
    sys.stdout.flush()
    become_client(settings)


class ExportFormat(StrEnum):
    """Formats of `export`."""

    parquet = "parquet"
    csv = "csv"


@app.command()
def export(
    to: Annotated[Path, typer.Option(help="Folder to create.")],
    table: Annotated[list[str] | None, typer.Argument(help="Tables; all of schema marts by default.")] = None,
    format: Annotated[ExportFormat, typer.Option(help="Format of the data files.")] = ExportFormat.parquet,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export in that folder.")] = False,
) -> None:
    """Export tables with a data dictionary and a datapackage.json."""
    settings = Settings.from_environment()
    published.open_published(settings).close()
    with console.status("exporting"):
        rows = export_data_package(
            settings.published,
            to,
            kind=format.value,
            tables=table or (),
            keys=published_keys(),
            replace=force,
            warn=lambda line: errors.print(line, style="yellow", soft_wrap=True),
        )
    print_table(published.Table(("table", "rows"), tuple(rows.items())))
    kind = "SIMULATED data" if settings.is_simulated else "real data"
    console.print(f"{len(rows)} tables ({kind}) in {to}", soft_wrap=True)


@app.command()
def lineage(
    destination: Annotated[str, typer.Argument(help="Destination code, for example US.")],
    month: Annotated[str, typer.Argument(help="Month, YYYY-MM.")],
    scope: Annotated[str, typer.Option(help="Scope.")] = "metal_core_hs",
    source: Annotated[str, typer.Option(help="CBS or EUROSTAT.")] = "EUROSTAT",
    concept: Annotated[str, typer.Option(help="Concept.")] = "community",
    reporter: Annotated[str, typer.Option(help="Reporter.")] = "NL",
) -> None:
    """Trace one share back to request URL and sha256, and verify the bytes on disk."""
    settings = Settings.from_environment()
    share, requests = published.lineage(
        settings,
        source=source,
        concept=concept,
        scope=scope,
        reporter=reporter,
        destination=destination,
        month=parse_month(month, "the month"),
    )
    if not share.rows:
        errors.print(
            f"no share of {destination} in {month} for {source}, {concept}, {scope}, {reporter};"
            " see: metaalexport sql 'select distinct scope_code, source_code, concept_code from"
            " marts.rpt_destination_shares'",
            style="red",
        )
        raise typer.Exit(1)
    console.print("The share", style="bold")
    print_record(share.columns, share.rows[0])
    raw = RawStore(settings.raw)
    position = requests.columns.index("sha256")
    checked = []
    for row in requests.rows:
        path = raw.path(row[position])
        state = "missing" if not path.exists() else "same" if hash_file(path) == row[position] else "CHANGED"
        checked.append((*row, state, str(path)))
    print_records(published.Table((*requests.columns, "bytes_on_disk", "file"), tuple(checked)))
    if any(row[-2] != "same" for row in checked):
        errors.print("a raw payload is missing or was changed", style="red")
        raise typer.Exit(1)


@app.command()
def verify() -> None:
    """Verify the hashes of raw payloads and of the published file, and that every load's rows add up."""
    settings = Settings.from_environment()
    raw = RawStore(settings.raw)
    hashes = list(raw.hashes())
    bad = [name for name in hashes if hash_file(raw.path(name)) != name]
    console.print(f"{len(hashes) - len(bad)} of {len(hashes)} raw payloads have the hash that names them")
    for name in bad:
        errors.print(f"changed on disk: {raw.path(name)}", style="red")
    published.open_published(settings).close()
    check_published(settings.published)
    console.print("a reader of the published file sees what was published")
    unequal = published.query(
        settings, "select load_id from ops.loads where rows_read <> rows_loaded + rows_rejected"
    ).rows
    console.print(f"{len(unequal)} loads with rows unaccounted for")
    console.print(f"landing content {Landing(settings.landing).content_hash()}")
    if bad or unequal:
        raise typer.Exit(1)
