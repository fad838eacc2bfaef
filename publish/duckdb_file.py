"""Publish a candidate as a read-only DuckDB file, swapped in atomically.

Readers open the published file with ``read_only``; they keep the old file until they reopen, and never see a partial
one. The file contains only tables and table macros over them, so it depends on nothing else, and it is not writable. A
program that opens it for writing nevertheless leaves a write-ahead log next to it, which DuckDB would replay into any
file of that name, for readers too. Our readers therefore refuse to open the file while the log exists, and the next
publish moves the log away.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from common.files import fsync_directory, fsync_file, private_name
from common.sql import quote

PUBLISHED_SCHEMAS = ("marts", "ops")
_PUBLICATION_COLUMNS = {
    "publish_id": "First 12 digits of the content hash, and the time of publishing.",
    "content_sha256": "Hash of schema marts: equal content, equal hash.",
    "is_simulated": "True if the figures are simulated.",
    "profile": "`simulator`, `live` or `replay`.",
    "published_at": "Time of publishing, UTC.",
    "inputs_sha256": "Hash of the build's inputs: loads (`ops.loads`), settings, models, seeds, DuckDB.",
}
READER_CONFIG = {"enable_external_access": "false", "lock_configuration": "true"}


@dataclass(frozen=True)
class Publication:
    """Identity of a publication.

    Attributes
    ----------
    publish_id : str
        First 12 digits of the content hash and the time of publishing.
    content_sha256 : str
        Hash of everything in schema ``marts``: equal content gives an equal hash, whenever it was built.
    inputs_sha256 : str
        Hash of the build's inputs; the loads are in ``ops.loads``.
    """

    publish_id: str
    content_sha256: str
    is_simulated: bool
    profile: str
    published_at: str
    inputs_sha256: str


class PublishedFileError(Exception):
    """The published file no longer contains what was published."""


def publish_duckdb(
    candidate: Path, target: Path, *, profile: str, is_simulated: bool, published_at: str, inputs_sha256: str = ""
) -> Publication:
    """Copy the published schemas of a candidate into a new file and swap it in.

    Parameters
    ----------
    candidate : Path
        DuckDB file that passed the publish gate.
    target : Path
        Path that readers open; replaced atomically.
    profile, is_simulated, published_at, inputs_sha256
        Written into ``ops.publication``.

    Returns
    -------
    Publication
        Also the only row of ``ops.publication``.

    Raises
    ------
    PublishedFileError
        If a reader would see something else than was published.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*.tmp*"):
        stale.unlink()
    temporary = private_name(target)
    try:
        with duckdb.connect() as connection:
            connection.execute(f"attach {quote(str(candidate))} as candidate (read_only)")
            connection.execute(f"attach {quote(str(temporary))} as publication")
            connection.execute("use publication")
            _copy_definitions(connection)
            for schema in PUBLISHED_SCHEMAS:
                for table in _tables(connection, schema):
                    _copy_rows(connection, schema, table)
            # As a reader will see it: macro text read back from a file differs from the parsed text.
            connection.execute("use memory")
            connection.execute("detach publication")
            connection.execute(f"attach {quote(str(temporary))} as publication")
            connection.execute("use publication")
            content = content_hash(connection)
            publication = Publication(
                f"{content[:12]}-{published_at[:19].translate(str.maketrans('', '', '-:'))}",
                content,
                is_simulated,
                profile,
                published_at,
                inputs_sha256,
            )
            _write_publication(connection, publication)
            connection.execute("checkpoint publication")
        fsync_file(temporary)
        temporary.chmod(0o444)
        set_log_aside(target)
        temporary.replace(target)
        fsync_directory(target.parent)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
    check_published(target)
    return publication


def set_log_aside(path: Path) -> Path | None:
    """Move a write-ahead log next to the published file out of the readers' way.

    Returns
    -------
    Path or None
        Its new path; None if there was none.
    """
    log = _log_of(path)
    if not log.exists():
        return None
    return log.replace(log.with_name(f"{log.name}.refused"))


def refuse_log(path: Path) -> None:
    """Raise `PublishedFileError` if there is a write-ahead log next to the published file."""
    log = _log_of(path)
    if log.exists():
        raise PublishedFileError(
            f"{log} is next to the published file: a program opened it for writing, and readers would see its changes;"
            " next: end that program, and run `metaalexport publish` (it keeps the log as"
            f" {log.name}.refused). To inspect the file, open it read-only: `duckdb -readonly {path}`"
        )


def check_published(path: Path) -> None:
    """Compare the published file, as a reader sees it, with the published hash.

    Raises
    ------
    PublishedFileError
        If it differs.
    """
    with connect_published(path) as connection:
        ((said,),) = connection.execute("select content_sha256 from ops.publication").fetchall()
        found = content_hash(connection)
    if found != said:
        raise PublishedFileError(
            f"{path} was changed after publication: the content of its marts is {found[:12]}, published was"
            f" {said[:12]}; next: `metaalexport publish`"
        )


def connect_published(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the published file as a reader: no writing, no other files, no settings.

    Raises
    ------
    PublishedFileError
        If there is a write-ahead log next to it.
    """
    refuse_log(path)
    return duckdb.connect(str(path), read_only=True, config=dict(READER_CONFIG))


def content_hash(connection: duckdb.DuckDBPyConnection, schema: str = "marts") -> str:
    """Return a SHA-256 over a schema's tables (names, types, rows in any order) and macros.

    DuckDB hashes the rows, so hashes are comparable only within one DuckDB version.
    """
    digest = hashlib.sha256()
    tables = connection.execute(
        "select table_name, string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position)"
        f" from information_schema.columns where table_schema = '{schema}' and table_catalog = current_database()"
        " group by 1 order by 1"
    ).fetchall()
    for table, columns in tables:
        # Rows are unique by primary key, so the sum and xor of their hashes lose nothing.
        row = connection.execute(
            "select count(*), coalesce(bit_xor(hash(t)), 0), coalesce(sum(cast(hash(t) as hugeint)), 0)"
            f" from {schema}.{table} as t"
        ).fetchall()[0]
        digest.update(f"{table}({columns}): {row}\n".encode())
    macros = connection.execute(
        "select function_name, parameters, macro_definition from duckdb_functions()"
        f" where schema_name = '{schema}' and database_name = current_database() order by all"
    ).fetchall()
    for name, parameters, definition in macros:
        digest.update(f"{name}({', '.join(parameters)}): {definition}\n".encode())
    return digest.hexdigest()


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _tables(connection: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = 'candidate' and schema_name = ? order by 1",
        [schema],
    ).fetchall()
    return [row[0] for row in rows]


def _copy_definitions(connection: duckdb.DuckDBPyConnection) -> None:
    """Copy tables with keys and comments, and macros with their parameter defaults.

    No catalogue function returns these defaults, so DuckDB copies all definitions itself and the private ones are
    dropped.
    """
    connection.execute("copy from database candidate to publication (schema)")
    schemas = connection.execute(
        "select schema_name from duckdb_schemas() where database_name = 'publication' and not internal"
    ).fetchall()
    for (schema,) in schemas:
        if schema not in PUBLISHED_SCHEMAS:
            connection.execute(f"drop schema {schema} cascade")


def _copy_rows(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> None:
    """Copy the rows of a table in key order."""
    keys = connection.execute(
        "select constraint_column_names from duckdb_constraints() where database_name = 'candidate'"
        " and schema_name = ? and table_name = ? and constraint_type = 'PRIMARY KEY'",
        [schema, table],
    ).fetchall()
    order = f"order by {', '.join(keys[0][0])}" if keys else ""
    connection.execute(f"insert into {schema}.{table} from candidate.{schema}.{table} {order}")


def _write_publication(connection: duckdb.DuckDBPyConnection, publication: Publication) -> None:
    connection.execute(
        """
        create table ops.publication (
            publish_id varchar primary key,
            content_sha256 varchar not null,
            is_simulated boolean not null,
            profile varchar not null,
            published_at timestamp not null,
            inputs_sha256 varchar not null
        )
        """
    )
    values = asdict(publication)
    connection.execute("insert into ops.publication values (?, ?, ?, ?, ?, ?)", list(values.values()))
    connection.execute("comment on table ops.publication is 'Identity of this file. Grain: one row.'")
    for column, text in _PUBLICATION_COLUMNS.items():
        connection.execute(f"comment on column ops.publication.{column} is {quote(text)}")
