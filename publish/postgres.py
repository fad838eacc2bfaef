"""Serve the publication from PostgreSQL, for BI tools that do not read DuckDB files.

The tables are written into separate schemas, with keys, indexes, comments and grants; then one transaction renames the
schemas. That transaction waits for readers' transactions that have touched a table, so a reader's transaction sees
either the old publication or the new one in all its statements. Only if readers leave no gap for it may a transaction
of several statements see both, which the publish reports; a single statement never does.

Source of the design: measurements of 2026-11-23 (a swap that drops waits for idle readers; views over versioned schemas
block on them too), and PostgreSQL's manual, "Explicit Locking".
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psycopg
from duckdb_extensions import import_extension
from psycopg import sql
from psycopg.conninfo import make_conninfo

from common.sql import quote
from publish.duckdb_file import PUBLISHED_SCHEMAS, connect_published, refuse_log

LOADER = "loader"
READER = "bi_reader"
# Limits of a reader on the server. A session can raise the timeouts for itself, so a publish does not rely on them: it
# terminates blocking sessions.
READER_CONNECTIONS = 40
READER_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "10s",
    "temp_file_limit": "4GB",
    "deadlock_timeout": "60s",
}
# In a deadlock the session that detects it first is cancelled: never the reader.
LOADER_SETTINGS = {"deadlock_timeout": "200ms"}
# BI queries on the large tables: one product or one destination, by month.
INDEXES = {
    "fct_exports": (("product_code", "reporter_code", "month"), ("destination_code", "month")),
    "fct_exports_vintages": (("product_code", "reporter_code", "month"),),
    "rpt_destination_shares": (("scope_code", "reporter_code", "destination_code", "month"),),
}
# The publishers' lock is in a schema hidden from readers, or one of them could hold it.
_OWN_SCHEMA = "serving"
_CONNECT_SECONDS = 10
_LIBPQ = re.compile(r"PG([A-Z]+|CONNECT_TIMEOUT)$")
# Lock timeout when dropping former schemas.
_DROP_WAIT = "300ms"
# Longer reader transactions are waited for without locks, before others are made to wait.
_SHORT_TRANSACTION_SECONDS = 3
# Errors of the server or libpq that a retry cannot fix. Messages in another language are retried in any case.
_FOR_GOOD = re.compile(
    r"password authentication failed|does not exist|pg_hba\.conf|not permitted|does not support SSL|certificate"
    r"|invalid|bad value"
)

Progress = Callable[[str], None]


class PostgresServingError(Exception):
    """PostgreSQL does not serve the publication; it still serves the previous one."""


class PostgresAwayError(PostgresServingError):
    """The server could not be reached or was busy; a retry may succeed."""


@dataclass(frozen=True)
class PostgresServer:
    """Address of a PostgreSQL server, and the user to connect as.

    Attributes
    ----------
    host, port, database, user
        As in a libpq connection string.
    password : str
        Never shown, and never part of a statement.
    options : mapping of str to str
        Other connection string parameters, such as ``sslmode``. Parameters not given have libpq's defaults, whatever
        the environment sets.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    def conninfo(self, database: str, application: str, **secret: str) -> str:
        """Return a libpq connection string."""
        return make_conninfo(
            **{
                "connect_timeout": str(_CONNECT_SECONDS),
                "application_name": application,
                **self.options,
                "host": self.host,
                "port": str(self.port),
                "dbname": database,
                "user": self.user,
                **secret,
            }
        )

    def connect(self, *, database: str | None = None) -> psycopg.Connection:
        """Open an autocommit connection.

        Raises
        ------
        PostgresServingError
            If the server cannot be reached or refuses the user.
        """
        name = database or self.database
        try:
            with _url_alone():
                return psycopg.connect(
                    self.conninfo(name, "metaalexport publish", password=self.password), autocommit=True
                )
        except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
            kind = PostgresServingError if _FOR_GOOD.search(str(error)) else PostgresAwayError
            raise kind(
                f"PostgreSQL at {self.host}:{self.port}, database {name}, user {self.user}: {error};"
                " next: check that the server is running and that `metaalexport prepare-postgres` was run on it"
            ) from error

    def wait_for(self, seconds: float) -> None:
        """Wait until the server accepts this user.

        Raises
        ------
        PostgresServingError
            If it does not within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.connect().close()
            except PostgresServingError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return


@contextmanager
def _url_alone() -> Iterator[None]:
    """Hide libpq's environment variables, which are set for other servers, from libpq here and inside DuckDB."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if _LIBPQ.match(name)}
    try:
        yield
    finally:
        os.environ.update(hidden)


@dataclass(frozen=True)
class Served:
    """Result of a publish to PostgreSQL.

    Attributes
    ----------
    publish_id : str
        Publication served now.
    is_new : bool
        False if the server had it already.
    tables, rows : int
        Numbers of tables and rows written.
    swap_seconds : float
        Maximum time for which readers were blocked.
    is_exact : bool
        True if no reader's transaction could see two publications. Single statements never can.
    ended : tuple of str
        Reader sessions that were terminated because their transaction outlasted the patience.
    """

    publish_id: str
    is_new: bool
    tables: int = 0
    rows: int = 0
    swap_seconds: float = 0.0
    is_exact: bool = True
    ended: tuple[str, ...] = ()


def prepare_server(admin: PostgresServer, *, database: str, loader_password: str, reader_password: str) -> None:
    """Create or update the roles, the database and their grants; idempotent.

    Parameters
    ----------
    admin : PostgresServer
        A superuser, connected to any database of the server.
    database : str
        Database of the marts, owned by role ``loader``.
    loader_password, reader_password : str
        Passwords of the roles ``loader`` and ``bi_reader``; sent as SCRAM verifiers.

    Raises
    ------
    PostgresServingError
        If the server cannot be reached, or the admin lacks the privileges.
    """
    try:
        with admin.connect() as connection:
            for role, password in ((LOADER, loader_password), (READER, reader_password)):
                _create_role(connection, role, password)
            connection.execute(
                sql.SQL("alter role {} connection limit {}").format(
                    sql.Identifier(READER), sql.Literal(READER_CONNECTIONS)
                )
            )
            for role, settings in ((LOADER, LOADER_SETTINGS), (READER, READER_SETTINGS)):
                for name, value in settings.items():
                    connection.execute(
                        sql.SQL("alter role {} set {} = {}").format(
                            sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
                        )
                    )
            connection.execute(
                sql.SQL("alter role {} set search_path = {}").format(
                    sql.Identifier(READER), sql.SQL(", ").join(map(sql.Identifier, PUBLISHED_SCHEMAS))
                )
            )
            # A member of a role sees its sessions, and may terminate one that blocks a publish.
            connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(READER), sql.Identifier(LOADER)))
            if not connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
                connection.execute(
                    sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(LOADER))
                )
            connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))
            connection.execute(
                sql.SQL("grant connect on database {} to {}").format(sql.Identifier(database), sql.Identifier(READER))
            )
        with admin.connect(database=database) as connection:
            connection.execute("revoke all on schema public from public")
            # Anyone who can connect can create large objects, which would be a reader's only way to write.
            for function in ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)"):
                connection.execute(f"revoke execute on function pg_catalog.{function} from public")
            connection.execute(
                sql.SQL("create schema if not exists {} authorization {}").format(
                    sql.Identifier(_OWN_SCHEMA), sql.Identifier(LOADER)
                )
            )
            connection.execute(
                sql.SQL("create table if not exists {}.publishing (); alter table {}.publishing owner to {}").format(
                    sql.Identifier(_OWN_SCHEMA), sql.Identifier(_OWN_SCHEMA), sql.Identifier(LOADER)
                )
            )
    except psycopg.Error as error:
        raise PostgresServingError(
            f"PostgreSQL at {admin.host}:{admin.port} could not be prepared as user {admin.user}: {error};"
            " next: use a superuser"
        ) from error


def _create_role(connection: psycopg.Connection, role: str, password: str) -> None:
    """Create a login role, or update its password; the server's log never contains the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    exists = connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    connection.execute(
        sql.SQL("{} role {} login nosuperuser nocreatedb nocreaterole noreplication password {}").format(
            sql.SQL("alter" if exists else "create"), sql.Identifier(role), sql.Literal(verifier)
        )
    )


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
            _drop_generations(connection, progress)
            counts = _write_tables(published, server, connection, extensions, progress)
            loaded_xid = connection.execute("select pg_current_xact_id()::xid::text").fetchone()[0]  # type: ignore[index]
            seconds, is_exact, ended = _swap(
                connection, publication["publish_id"], loaded_xid, patience_seconds, progress
            )
            _drop_generations(connection, progress)
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
            connection.execute(f"lock table {_OWN_SCHEMA}.publishing in exclusive mode nowait")
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
        with _url_alone():
            connection.execute(f"attach {quote(target)} as server (type postgres)")
            yield connection


def _write_tables(
    published: Path, server: PostgresServer, connection: psycopg.Connection, extensions: Path, progress: Progress
) -> dict[str, int]:
    """Write all tables next to the served ones, with keys, indexes, comments and grants; return rows by table."""
    for schema in PUBLISHED_SCHEMAS:
        connection.execute(sql.SQL("create schema {}").format(_next(schema)))
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


def _swap(
    connection: psycopg.Connection, publish_id: str, loaded_xid: str, patience_seconds: float, progress: Progress
) -> tuple[float, bool, list[str]]:
    """Rename the schemas; return the blocking time (seconds), whether the swap was exact, and the sessions ended."""
    ended: list[str] = []
    order = _served_tables(connection)
    deadline = time.monotonic() + patience_seconds
    # Sessions that survive termination are beyond this role's privileges.
    while time.monotonic() < deadline + patience_seconds + 10:
        in_the_way = _sessions_in_the_way(connection, loaded_xid)
        lasting = [session for session in in_the_way if session.seconds > _SHORT_TRANSACTION_SECONDS]
        is_patient = time.monotonic() < deadline
        started = time.monotonic()
        if lasting and not is_patient:
            ended += _end(connection, lasting, progress)
        elif not lasting and is_patient:
            # Readers queued behind our locks would also wait for a long transaction, so wait for it without locks.
            if _try_to_swap(connection, order, publish_id, loaded_xid):
                return time.monotonic() - started, True, ended
        elif not lasting and not any(session.is_older_than_load for session in in_the_way):
            # Short transactions without a gap, each waiting for tables of another: there is never a moment without one.
            # A statement still sees one publication; a transaction of several may see both.
            with connection.transaction():
                _rename(connection, publish_id)
            progress("warn: readers left no gap for the swap: a transaction of several statements may see both")
            return time.monotonic() - started, False, ended
        time.sleep(0.1)
    raise PostgresAwayError(
        "readers' transactions hold the served tables, and their sessions cannot be terminated;"
        " next: find them in pg_stat_activity, terminate them, and publish again"
    )


def _served_tables(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "select schemaname, tablename from pg_tables where schemaname = any(%s) order by 1, 2",
        [list(PUBLISHED_SCHEMAS)],
    ).fetchall()


def _try_to_swap(
    connection: psycopg.Connection, order: list[tuple[str, str]], publish_id: str, loaded_xid: str
) -> bool:
    """Lock the served tables and rename the schemas; return False if a reader would deadlock.

    A reader that holds one table and wants another waits for us while we wait for it. PostgreSQL detects that on our
    side first (see `LOADER_SETTINGS`). The table that the reader holds then moves to the front of `order`: on the next
    attempt such readers are stopped there, before they hold anything.
    """
    table = ("", "")
    try:
        with connection.transaction():
            connection.execute(f"set local lock_timeout = '{2 * _SHORT_TRANSACTION_SECONDS}s'")
            for table in order:
                connection.execute(sql.SQL("lock table {} in access exclusive mode").format(sql.Identifier(*table)))
            if _sessions_in_the_way(connection, loaded_xid):
                return False
            _rename(connection, publish_id)
            return True
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        order.remove(table)
        order.insert(0, table)
        return False


def _rename(connection: psycopg.Connection, publish_id: str) -> None:
    reader = sql.Identifier(READER)
    suffix = publish_id.replace("-", "_").lower()
    for schema in PUBLISHED_SCHEMAS:
        name = sql.Identifier(schema)
        if connection.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone():
            connection.execute(sql.SQL("revoke usage on schema {} from {}").format(name, reader))
            connection.execute(
                sql.SQL("alter schema {} rename to {}").format(name, sql.Identifier(f"{schema}_until_{suffix}"))
            )
        connection.execute(sql.SQL("alter schema {} rename to {}").format(_next(schema), name))
        connection.execute(sql.SQL("grant usage on schema {} to {}").format(name, reader))


@dataclass(frozen=True)
class _Session:
    """A session whose transaction has touched a served table, or is older than the load."""

    pid: int
    seconds: float
    is_older_than_load: bool
    description: str


def _sessions_in_the_way(connection: psycopg.Connection, loaded_xid: str) -> list[_Session]:
    """Return sessions that could see two publications or, with a snapshot older than the load, empty tables."""
    rows = connection.execute(
        """
        select
            pid,
            extract(epoch from clock_timestamp() - xact_start),
            coalesce(age(backend_xmin) >= age(%(xid)s::text::xid), false),
            format('%%s (%%s), %%s', usename, coalesce(nullif(application_name, ''), 'unnamed'), state)
        from pg_stat_activity as activity
        where
            datname = current_database()
            and pid <> pg_backend_pid()
            and usename <> current_user
            and xact_start is not null
            and (
                age(backend_xmin) >= age(%(xid)s::text::xid)
                or exists (
                    select 1
                    from pg_locks
                    join pg_class on pg_class.oid = pg_locks.relation
                    join pg_namespace on pg_namespace.oid = pg_class.relnamespace
                    where pg_locks.pid = activity.pid and pg_locks.granted and pg_namespace.nspname = any(%(schemas)s)
                )
            )
        order by pid
        """,
        {"schemas": list(PUBLISHED_SCHEMAS), "xid": loaded_xid},
    ).fetchall()
    return [_Session(*row) for row in rows]


def _end(connection: psycopg.Connection, sessions: list[_Session], progress: Progress) -> list[str]:
    ended = []
    for session in sessions:
        try:
            connection.execute("select pg_terminate_backend(%s)", [session.pid])
        except psycopg.errors.InsufficientPrivilege as error:
            progress(f"warn: {session.description} blocks the publish and may not be terminated by this role: {error}")
            continue
        ended.append(f"{session.description}, in a transaction for {session.seconds:.0f} s")
        progress(f"warn: terminated a session that blocked the publish: {ended[-1]}")
    return ended


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
        return _former_generations(connection) if is_dry_run else _drop_generations(connection, progress)


def _former_generations(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "select nspname from pg_namespace where nspname = any(%s) or nspname ~ %s order by 1",
        [[f"{schema}_next" for schema in PUBLISHED_SCHEMAS], f"^({'|'.join(PUBLISHED_SCHEMAS)})_until_"],
    ).fetchall()
    return [name for (name,) in rows]


def _drop_generations(connection: psycopg.Connection, progress: Progress) -> list[str]:
    dropped = []
    for schema in _former_generations(connection):
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{_DROP_WAIT}'")
                connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            progress(f"PostgreSQL: schema {schema} is in use; it will be dropped at the next publish")
        else:
            dropped.append(schema)
    return dropped


def _next(schema: str) -> sql.Identifier:
    return sql.Identifier(f"{schema}_next")


def _table(schema: str, table: str) -> sql.Identifier:
    return sql.Identifier(f"{schema}_next", table)


def _columns(names: tuple[str, ...] | list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
