"""Serve the publication from PostgreSQL, for BI tools that do not read DuckDB files.

The tables are written into separate schemas, with keys, indexes, comments and grants; then one transaction renames the
schemas. That transaction waits for readers' transactions that have touched a table, so a reader's transaction sees
either the old publication or the new one in all its statements. Only if readers leave no gap for it may a transaction
of several statements see both, which the publish reports; a single statement never does.

Source of the design: measurements of 2026-11-23 (a swap that drops waits for idle readers; views over versioned schemas
block on them too), and PostgreSQL's manual, "Explicit Locking".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from publish.duckdb_file import connect_published
from publish.postgres.server import (
    OWN_SCHEMA,
    PostgresAwayError,
    PostgresServer,
    PostgresServingError,
    Progress,
    Served,
)
from publish.postgres.swap import drop_generations, former_generations, swap
from publish.postgres.tables import write_tables


def served_publication(server: PostgresServer) -> dict[str, str] | None:
    """Return publish id and profile of the publication that PostgreSQL serves, or None if there is none."""
    with server.connect() as connection:
        return _served(connection)


def _served(connection: psycopg.Connection) -> dict[str, str] | None:
    if not connection.execute("select to_regclass('ops.publication')").fetchone()[0]:  # type: ignore[index]
        return None
    row = connection.execute("select publish_id, profile from ops.publication").fetchone()
    return dict(zip(("publish_id", "profile"), row, strict=True)) if row else None


def publish_postgres(
    published: Path,
    server: PostgresServer,
    *,
    extensions: Path,
    patience_seconds: float = 15.0,
    progress: Progress = print,
) -> Served:
    """Write the published file's tables to PostgreSQL and swap them in.

    Parameters
    ----------
    published : Path
        The published DuckDB file: both serve the same content.
    server : PostgresServer
        Database of the marts, as role ``loader``.
    extensions : Path
        Folder for DuckDB's extension, which comes from an installed package.
    patience_seconds : float
        How long to wait for readers' transactions before blocking sessions are terminated.

    Raises
    ------
    PostgresServingError
        If the server cannot be reached, serves another kind of data, another publish is running, rows were lost, or a
        blocking session cannot be terminated.
    """
    with _publish_alone(server), server.connect() as connection:
        publication = _publication_of(published)
        before = _served(connection)
        if before and before["profile"] != publication["profile"]:
            raise PostgresServingError(
                f"database {server.database} serves profile {before['profile']!r}, this is {publication['profile']!r};"
                " kinds of data are never mixed: next: use a separate database per profile"
                " (METAALEXPORT_POSTGRES_URL)"
            )
        if before and before["publish_id"] == publication["publish_id"]:
            progress(f"PostgreSQL already serves {publication['publish_id']}")
            return Served(publication["publish_id"], is_new=False)
        try:
            drop_generations(connection, progress)
            counts = write_tables(published, server, connection, extensions, progress)
            loaded_xid = connection.execute("select pg_current_xact_id()::xid::text").fetchone()[0]  # type: ignore[index]
            seconds, is_exact, ended = swap(
                connection, publication["publish_id"], loaded_xid, patience_seconds, progress
            )
            drop_generations(connection, progress)
        except psycopg.Error as error:
            raise PostgresAwayError(
                f"PostgreSQL at {server.host}:{server.port}, database {server.database}: {error};"
                " the previous publication is still served; next: run the publish again"
            ) from error
    served = Served(publication["publish_id"], True, len(counts), sum(counts.values()), seconds, is_exact, tuple(ended))
    progress(
        f"PostgreSQL serves {served.publish_id}: {served.tables} tables, {served.rows:,} rows,"
        f" swapped in {1000 * seconds:.0f} ms"
    )
    return served


@contextmanager
def _publish_alone(server: PostgresServer) -> Iterator[None]:
    """Hold the publishers' lock; it ends with the connection, so a killed publish leaves no lock."""
    with server.connect() as connection, connection.transaction():
        try:
            connection.execute(f"lock table {OWN_SCHEMA}.publishing in exclusive mode nowait")
        except psycopg.errors.LockNotAvailable as error:
            raise PostgresAwayError(
                f"another publish to database {server.database} is running; next: wait for it"
            ) from error
        except (psycopg.errors.InvalidSchemaName, psycopg.errors.InsufficientPrivilege) as error:
            raise PostgresServingError(
                f"database {server.database} is not prepared for user {server.user}: {error};"
                " next: metaalexport prepare-postgres"
            ) from error
        yield


def _publication_of(published: Path) -> dict[str, str]:
    with connect_published(published) as connection:
        row = connection.execute("select publish_id, profile from ops.publication").fetchall()[0]
    return dict(zip(("publish_id", "profile"), row, strict=True))


def drop_former_generations(
    server: PostgresServer, *, is_dry_run: bool = False, progress: Progress = print
) -> list[str]:
    """Drop former publications and leftovers of killed publishes; those still in use wait for the next run.

    Parameters
    ----------
    server : PostgresServer
        Database of the marts, as role ``loader``.
    is_dry_run : bool
        Only report what would be dropped.

    Returns
    -------
    list of str
        Schemas dropped, or that would be.

    Raises
    ------
    PostgresServingError
        If the server cannot be reached, or a publish is running.
    """
    with _publish_alone(server), server.connect() as connection:
        return former_generations(connection) if is_dry_run else drop_generations(connection, progress)
