"""A PostgreSQL server to serve from, and what is wrong with one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import make_conninfo

# The publishers' lock is in a schema hidden from readers, or one of them could hold it.
OWN_SCHEMA = "serving"
_CONNECT_SECONDS = 10
_LIBPQ = re.compile(r"PG([A-Z]+|CONNECT_TIMEOUT)$")
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
            with url_alone():
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
def url_alone() -> Iterator[None]:
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
