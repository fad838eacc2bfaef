"""The swap of generations, and the readers in its way."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

from publish.duckdb_file import PUBLISHED_SCHEMAS
from publish.postgres.roles import READER
from publish.postgres.server import PostgresAwayError, Progress
from publish.postgres.tables import next_schema

# Lock timeout when dropping former schemas.
_DROP_WAIT = "300ms"
# Longer reader transactions are waited for without locks, before others are made to wait.
_SHORT_TRANSACTION_SECONDS = 3


def swap(
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
        connection.execute(sql.SQL("alter schema {} rename to {}").format(next_schema(schema), name))
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


def former_generations(connection: psycopg.Connection) -> list[str]:
    """Return the schemas of generations that are no longer served."""
    rows = connection.execute(
        "select nspname from pg_namespace where nspname = any(%s) or nspname ~ %s order by 1",
        [[f"{schema}_next" for schema in PUBLISHED_SCHEMAS], f"^({'|'.join(PUBLISHED_SCHEMAS)})_until_"],
    ).fetchall()
    return [name for (name,) in rows]


def drop_generations(connection: psycopg.Connection, progress: Progress) -> list[str]:
    """Drop generations that no longer have a reader; return what is dropped."""
    dropped = []
    for schema in former_generations(connection):
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{_DROP_WAIT}'")
                connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            progress(f"PostgreSQL: schema {schema} is in use; it will be dropped at the next publish")
        else:
            dropped.append(schema)
    return dropped
