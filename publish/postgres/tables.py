"""The next generation of tables, written beside the one that is served."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psycopg
from duckdb_extensions import import_extension
from psycopg import sql

from common.sql import quote
from publish.duckdb_file import PUBLISHED_SCHEMAS, refuse_log
from publish.postgres.roles import READER
from publish.postgres.server import PostgresServer, PostgresServingError, Progress, url_alone

# BI queries on the large tables: one product or one destination, by month.
INDEXES = {
    "fct_exports": (("product_code", "reporter_code", "month"), ("destination_code", "month")),
    "fct_exports_vintages": (("product_code", "reporter_code", "month"),),
    "rpt_destination_shares": (("scope_code", "reporter_code", "destination_code", "month"),),
}


@contextmanager
def _duckdb_beside(server: PostgresServer, published: Path, extensions: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB with the published file as `file` and the PostgreSQL database as `server`."""
    extensions.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="metaalexport-") as folder,
        duckdb.connect(config={"extension_directory": str(extensions)}) as connection,
    ):
        import_extension("postgres", con=connection)
        connection.execute("load postgres_scanner")
        # A statement could appear in an error message or a log; a file that only this user can read does not.
        passfile = Path(folder) / "pgpass"
        descriptor = os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            password = server.password.replace("\\", "\\\\").replace(":", "\\:")
            handle.write(f"*:*:*:*:{password}\n")
        target = server.conninfo(server.database, "metaalexport tables", passfile=str(passfile))
        refuse_log(published)
        connection.execute(f"attach {quote(str(published))} as file (read_only)")
        # DuckDB opens further connections while writing.
        with url_alone():
            connection.execute(f"attach {quote(target)} as server (type postgres)")
            yield connection


def write_tables(
    published: Path, server: PostgresServer, connection: psycopg.Connection, extensions: Path, progress: Progress
) -> dict[str, int]:
    """Write all tables next to the served ones, with keys, indexes, comments and grants; return rows by table."""
    for schema in PUBLISHED_SCHEMAS:
        connection.execute(sql.SQL("create schema {}").format(next_schema(schema)))
    counts: dict[str, int] = {}
    with _duckdb_beside(server, published, extensions) as duck:
        tables = duck.execute(
            "select schema_name, table_name, comment, estimated_size from duckdb_tables()"
            " where database_name = 'file' and schema_name in (select unnest(?)) order by all",
            [list(PUBLISHED_SCHEMAS)],
        ).fetchall()
        if not tables:
            raise PostgresServingError(f"{published} contains no tables; next: metaalexport publish")
        for position, (schema, table, comment, size) in enumerate(tables, start=1):
            if size > 100_000:
                progress(f"PostgreSQL: {schema}.{table}, {size:,} rows ({position} of {len(tables)})")
            duck.execute(f"create table server.{schema}_next.{table} as from file.{schema}.{table}")
            (expected,) = duck.execute(f"select count(*) from file.{schema}.{table}").fetchall()[0]
            _finish_table(connection, duck, schema, table, comment)
            (found,) = connection.execute(sql.SQL("select count(*) from {}").format(_table(schema, table))).fetchone()  # type: ignore[misc]
            if found != expected:
                raise PostgresServingError(
                    f"{schema}.{table} has {found:,} rows in PostgreSQL and {expected:,} in {published}; next: publish"
                    " again, and report it if it recurs"
                )
            counts[f"{schema}.{table}"] = found
    return counts


def _finish_table(
    connection: psycopg.Connection, duck: duckdb.DuckDBPyConnection, schema: str, table: str, comment: str | None
) -> None:
    """Add key, indexes, comments, statistics and grants to a new table."""
    name = _table(schema, table)
    keys = duck.execute(
        "select constraint_column_names from duckdb_constraints() where database_name = 'file'"
        " and schema_name = ? and table_name = ? and constraint_type = 'PRIMARY KEY'",
        [schema, table],
    ).fetchall()
    if keys:
        connection.execute(sql.SQL("alter table {} add primary key ({})").format(name, _columns(keys[0][0])))
    for columns in INDEXES.get(table, ()):
        connection.execute(sql.SQL("create index on {} ({})").format(name, _columns(columns)))
    if comment:
        connection.execute(sql.SQL("comment on table {} is {}").format(name, sql.Literal(comment)))
    commented = duck.execute(
        "select column_name, comment from duckdb_columns() where database_name = 'file'"
        " and schema_name = ? and table_name = ? and comment is not null",
        [schema, table],
    ).fetchall()
    for column, text in commented:
        connection.execute(
            sql.SQL("comment on column {}.{} is {}").format(name, sql.Identifier(column), sql.Literal(text))
        )
    connection.execute(sql.SQL("grant select on {} to {}").format(name, sql.Identifier(READER)))
    connection.execute(sql.SQL("analyze {}").format(name))


def next_schema(schema: str) -> sql.Identifier:
    """Return the schema that a generation is written into before it takes the name."""
    return sql.Identifier(f"{schema}_next")


def _table(schema: str, table: str) -> sql.Identifier:
    return sql.Identifier(f"{schema}_next", table)


def _columns(names: tuple[str, ...] | list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
