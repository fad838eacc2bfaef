"""Export tables of the published file as a Data Package: data files, a data dictionary and ``datapackage.json``.

The descriptor follows version 1 of the Data Package specification (Frictionless). Equal publications give equal bytes.

Cells are written unchanged, including those that spreadsheets interpret as formulas (``=1+1``): an escaping apostrophe
would be part of the value for all other programs and break joins. The export warns about such cells instead.
"""

from __future__ import annotations

import csv
import difflib
import glob
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from common.files import private_name
from common.sql import identifier, quote
from publish.duckdb_file import refuse_log

DESCRIPTOR = "datapackage.json"
DICTIONARY = "data_dictionary.csv"
# Identifies the publication, so it is part of every export.
PUBLICATION = "ops.publication"
_NAME = "metaalexport"
_TITLE = "Dutch and EU metal exports by destination"
_SIMULATED = "SIMULATED"
_MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
# First characters of a formula in a spreadsheet, including their full-width forms; a lone sign is not a formula.
_FORMULA = "length({column}) > 1 and contains('=+-@\t\r\uff1d\uff0b\uff0d\uff20', left({column}, 1))"
_TIMESTAMP = "%Y-%m-%dT%H:%M:%S.%fZ"
_FIELD_TYPES = {
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "datetime",
    "DOUBLE": "number",
    "DECIMAL": "number",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "HUGEINT": "integer",
}


class ExportError(Exception):
    """The export is impossible as requested; nothing was written."""


@dataclass(frozen=True)
class _Column:
    name: str
    data_type: str
    is_required: bool
    comment: str

    def field(self, kind: str) -> dict[str, Any]:
        """Return the field of a Table Schema."""
        field: dict[str, Any] = {
            "name": self.name,
            "type": _FIELD_TYPES.get(self.data_type.partition("(")[0], "string"),
            "description": self.comment,
        }
        if field["type"] == "datetime" and kind == "csv":
            field["format"] = _TIMESTAMP
        if self.is_required:
            field["constraints"] = {"required": True}
        return field


@dataclass(frozen=True)
class _Table:
    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[_Column, ...]


def export_data_package(
    published: Path,
    target: Path,
    *,
    kind: str,
    tables: Sequence[str] = (),
    keys: Mapping[str, Sequence[str]] | None = None,
    replace: bool = False,
    warn: Callable[[str], None] | None = None,
) -> dict[str, int]:
    """Write tables of the published file into a folder, atomically.

    Parameters
    ----------
    published : Path
        The published DuckDB file.
    target : Path
        Folder to create.
    kind : str
        ``csv`` or ``parquet``.
    tables : sequence of str
        Names with or without schema; default all of schema ``marts``. ``ops.publication`` is always included.
    keys : mapping of str to sequence of str, optional
        Keys of tables (``schema.table``) without a primary key constraint in the file.
    replace : bool
        True if an earlier export in `target` may be replaced.
    warn : callable, optional
        Called for each text column in a CSV file with cells that spreadsheets interpret as formulas.

    Returns
    -------
    dict of str to int
        Number of rows of each table written.

    Raises
    ------
    ExportError
        If a table does not exist, `target` may not be replaced, or it cannot be written.
    """
    _refuse_to_overwrite(target, replace)
    temporary = private_name(target)
    try:
        _remove_left_behind(target)
        temporary.mkdir(parents=True)
        with duckdb.connect() as connection:
            refuse_log(published)
            connection.execute(f"attach {quote(str(published))} as published (read_only)")
            connection.execute("use published")
            publication = _one_row(connection, "select * from ops.publication")
            chosen = [_read_table(connection, name, keys or {}) for name in _choose(connection, tables)]
            rows = {table.name: _write_table(connection, table, temporary, kind, publication) for table in chosen}
            if kind == "csv" and warn is not None:
                for line in _formulas(connection, chosen):
                    warn(line)
            _write_dictionary(chosen, temporary / DICTIONARY)
            descriptor = _describe(connection, chosen, temporary, kind, publication)
        text = json.dumps(descriptor, ensure_ascii=False, indent=2, default=str)
        (temporary / DESCRIPTOR).write_text(text + "\n", encoding="utf-8")
        _swap_in(temporary, target)
    except OSError as error:
        raise ExportError(
            f"cannot write {target}: {error}; next: make room or name another folder with --to"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return rows


def _refuse_to_overwrite(target: Path, replace: bool) -> None:
    """Refuse any existing target except an empty folder or, with `replace`, an earlier export."""
    if target.is_dir() and not any(target.iterdir()):
        return
    if not target.exists():
        return
    if not replace:
        raise ExportError(f"{target} exists; next: name another folder with --to, or replace this export with --force")
    others = {path.name for path in target.iterdir()} - _files_of_export(target) if target.is_dir() else {target.name}
    if others:
        raise ExportError(
            f"{target} contains files that no export wrote ({', '.join(sorted(others)[:5])}) and is left unchanged;"
            " next: name another folder with --to"
        )


def _files_of_export(folder: Path) -> set[str]:
    if not (folder / DESCRIPTOR).is_file():
        return set()
    try:
        descriptor = json.loads((folder / DESCRIPTOR).read_text(encoding="utf-8"))
    except ValueError:
        return set()
    if not isinstance(descriptor, dict) or descriptor.get("name") != _NAME:
        return set()
    return {DESCRIPTOR, *(resource["path"] for resource in descriptor["resources"])}


def _remove_left_behind(target: Path) -> None:
    """Remove leftovers of a killed export next to its folder."""
    for ending in ("tmp", "replaced"):
        for stale in target.parent.glob(f".{glob.escape(target.name)}.{'?' * 8}.{ending}"):
            shutil.rmtree(stale)


def _swap_in(temporary: Path, target: Path) -> None:
    """Rename the finished folder; an earlier export is renamed away first and then deleted."""
    replaced = temporary.with_suffix(".replaced")
    if target.exists():
        target.rename(replaced)
    temporary.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


def _choose(connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> list[str]:
    """Return the full names of the wanted tables, in alphabetical order."""
    rows = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where database_name = current_database()"
    ).fetchall()
    known = {row[0] for row in rows}
    if not wanted:
        return sorted({name for name in known if name.startswith("marts.")} | {PUBLICATION})
    chosen = {PUBLICATION}
    for name in wanted:
        found = [full for full in known if name in (full, full.partition(".")[2])]
        if not found:
            near = difflib.get_close_matches(name, [*known, *(full.partition(".")[2] for full in known)])
            raise ExportError(f"there is no table {name}; next: {' or '.join(near) or 'metaalexport sql, .tables'}")
        chosen.update(found)
    return sorted(chosen)


def _read_table(connection: duckdb.DuckDBPyConnection, name: str, keys: Mapping[str, Sequence[str]]) -> _Table:
    schema, _, table = name.partition(".")
    where = "database_name = current_database() and schema_name = ? and table_name = ?"
    columns = connection.execute(
        "select column_name, data_type, not is_nullable, coalesce(comment, '') from duckdb_columns()"
        f" where {where} order by column_index",
        [schema, table],
    ).fetchall()
    (comment,) = connection.execute(
        f"select coalesce(comment, '') from duckdb_tables() where {where}", [schema, table]
    ).fetchall()[0]
    constraint = connection.execute(
        f"select constraint_column_names from duckdb_constraints() where {where} and constraint_type = 'PRIMARY KEY'",
        [schema, table],
    ).fetchall()
    key = tuple(constraint[0][0] if constraint else keys.get(name, ()))
    return _Table(name, comment, key, tuple(_Column(*column) for column in columns))


def _write_table(
    connection: duckdb.DuckDBPyConnection, table: _Table, folder: Path, kind: str, publication: Mapping[str, Any]
) -> int:
    if kind == "csv":
        options = f"header, timestampformat {quote(_TIMESTAMP)}, dateformat '%Y-%m-%d'"
    else:
        told = {
            "publish_id": str(publication["publish_id"]),
            "is_simulated": "true" if publication["is_simulated"] else "false",
        }
        pairs = ", ".join(f"{key}: {quote(value)}" for key, value in told.items())
        options = f"compression zstd, kv_metadata {{{pairs}}}"
    query = f"from {table.name} order by {', '.join(table.key) or 'all'}"
    target = quote(str(folder / f"{table.name}.{kind}"))
    return int(connection.execute(f"copy ({query}) to {target} (format {kind}, {options})").fetchall()[0][0])


def _formulas(connection: duckdb.DuckDBPyConnection, tables: Sequence[_Table]) -> Iterator[str]:
    """Yield a warning for each text column with cells that spreadsheets interpret as formulas."""
    for table in tables:
        names = [column.name for column in table.columns if column.data_type == "VARCHAR"]
        if not names:
            continue
        counts = ", ".join(f"count_if({_FORMULA.format(column=identifier(name))})" for name in names)
        found = connection.execute(f"select {counts} from {table.name}").fetchall()[0]
        for name, count in zip(names, found, strict=True):
            if count:
                yield (
                    f"{table.name}.csv, column {name}: {count:,} cells that spreadsheets interpret as formulas;"
                    " next: import the file with this column as text, or export with --format parquet"
                )


def _write_dictionary(tables: Sequence[_Table], target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("table", "column", "type", "description"))
        for table in tables:
            writer.writerows((table.name, c.name, c.data_type.lower(), c.comment) for c in table.columns)


def _describe(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[_Table],
    folder: Path,
    kind: str,
    publication: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the descriptor of the package."""
    simulated = publication["is_simulated"]
    sources = _sources(connection)
    licences = sorted({(source["licence"], source["licence_url"]) for source in sources})
    what = "Figures of a simulator of both offices: invented, not for quotation. " if simulated else ""
    return {
        "name": _NAME,
        # A Parquet file is not a Tabular Data Resource of version 1, which allows only CSV and JSON.
        "profile": "tabular-data-package" if kind == "csv" else "data-package",
        "title": f"{_SIMULATED}: {_TITLE}" if simulated else _TITLE,
        "description": f"{what}Tables of the published file; a missing value is unknown, never zero.",
        "created": f"{publication['published_at'].isoformat(timespec='seconds')}Z",
        "publish_id": publication["publish_id"],
        "content_sha256": publication["content_sha256"],
        "is_simulated": simulated,
        "as_of": max((source["as_of"] for source in sources), default=None),
        "licenses": [{"title": title, "path": url} for title, url in licences],
        "sources": sources,
        "resources": [
            *(_resource(folder, table, kind) for table in tables),
            _resource(folder, _DICTIONARY_TABLE, "csv"),
        ],
    }


def _sources(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the loaded datasets: title, licence, citation, and the newest release in the figures."""
    rows = connection.execute(
        "select source_code || ' ' || office_identifier || ': ' || title_en, source_url, dataset_code, citation,"
        f" licence, licence_url, strftime(last_vintage_at, '{_TIMESTAMP.replace('.%f', '')}')"
        " from marts.dim_dataset where n_loads > 0 order by dataset_code"
    ).fetchall()
    names = ("title", "path", "dataset_code", "citation", "licence", "licence_url", "as_of")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _resource(folder: Path, table: _Table, kind: str) -> dict[str, Any]:
    path = folder / f"{table.name}.{kind}"
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    resource: dict[str, Any] = {
        "name": table.name,
        "path": path.name,
        "profile": "tabular-data-resource" if kind == "csv" else "data-resource",
        "description": table.comment,
        "format": kind,
        "mediatype": _MEDIA_TYPES[kind],
        "bytes": path.stat().st_size,
        "hash": f"sha256:{digest}",
        "schema": {"fields": [column.field(kind) for column in table.columns], "missingValues": [""]},
    }
    if kind == "csv":
        resource["encoding"] = "utf-8"
    if table.key:
        resource["schema"]["primaryKey"] = list(table.key)
    return resource


def _one_row(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


_DICTIONARY_TABLE = _Table(
    DICTIONARY.removesuffix(".csv"),
    "Descriptions of the columns of all tables.",
    ("table", "column"),
    (
        _Column("table", "VARCHAR", True, "Table, with its schema."),
        _Column("column", "VARCHAR", True, "Column."),
        _Column("type", "VARCHAR", True, "Type in the published file."),
        _Column("description", "VARCHAR", True, "Description of the column, with its unit."),
    ),
)
