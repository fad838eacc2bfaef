"""Roles, database and rights on a server."""

from __future__ import annotations

import psycopg
from psycopg import sql

from publish.duckdb_file import PUBLISHED_SCHEMAS
from publish.postgres.server import OWN_SCHEMA, PostgresServer, PostgresServingError

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
                    sql.Identifier(OWN_SCHEMA), sql.Identifier(LOADER)
                )
            )
            connection.execute(
                sql.SQL("create table if not exists {}.publishing (); alter table {}.publishing owner to {}").format(
                    sql.Identifier(OWN_SCHEMA), sql.Identifier(OWN_SCHEMA), sql.Identifier(LOADER)
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
