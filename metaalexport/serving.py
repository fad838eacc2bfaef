"""The PostgreSQL server for the marts, from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from psycopg.pq import Conninfo

from metaalexport.arguments import SettingsError
from publish.postgres.roles import LOADER, READER
from publish.postgres.server import PostgresServer

URL = "METAALEXPORT_POSTGRES_URL"
PASSWORD = "METAALEXPORT_POSTGRES_PASSWORD"  # noqa: S105 - the name of a variable
ADMIN_URL = "METAALEXPORT_POSTGRES_ADMIN_URL"
ADMIN_PASSWORD = "METAALEXPORT_POSTGRES_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable
READER_PASSWORD = "METAALEXPORT_BI_READER_PASSWORD"  # noqa: S105 - the name of a variable
# Options set before the question mark of a URL, and those that would lead to another server or password.
_BEFORE_THE_QUERY = frozenset({"host", "port", "dbname", "user", "service", "passfile"})
_SECRET_OPTION = re.compile(r"password|secret|_key$")


def is_served(environment: Mapping[str, str] | None = None) -> bool:
    """True if the marts are served from PostgreSQL."""
    return bool((os.environ if environment is None else environment).get(URL))


def marts_server(environment: Mapping[str, str] | None = None) -> PostgresServer:
    """Return the database of the marts, for the role that loads it.

    Raises
    ------
    SettingsError
        If a variable is missing or invalid.
    """
    env = os.environ if environment is None else environment
    return _server(env, URL, PASSWORD, LOADER)


def admin_server(environment: Mapping[str, str] | None = None) -> PostgresServer:
    """Return the server for a superuser; used only by `prepare-postgres`.

    Raises
    ------
    SettingsError
        If a variable is missing or invalid.
    """
    env = os.environ if environment is None else environment
    return _server(env, ADMIN_URL, ADMIN_PASSWORD, "postgres")


def reader_password(environment: Mapping[str, str] | None = None) -> str:
    """Return the password for role `bi_reader`.

    Raises
    ------
    SettingsError
        If it is missing.
    """
    return _secret(os.environ if environment is None else environment, READER_PASSWORD, f"role {READER}")


def _server(env: Mapping[str, str], url_name: str, password_name: str, default_user: str) -> PostgresServer:
    url = env.get(url_name, "")
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError as error:
        raise SettingsError(f"{url_name} is {_shown(url)!r}: {error}") from error
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.path.strip("/"):
        raise SettingsError(f"{url_name} is {_shown(url)!r}, not postgresql://[user@]host[:port]/database[?options]")
    options = _options(url_name, parts.query)
    if parts.password is not None or any(_SECRET_OPTION.search(name) for name in options):
        raise SettingsError(
            f"{url_name} holds a password; it would show in logs and process lists."
            f" Next: set {password_name} or {password_name}_FILE, and leave it out of the URL"
        )
    return PostgresServer(
        host=parts.hostname,
        port=port,
        database=unquote(parts.path.strip("/")),
        user=unquote(parts.username or default_user),
        password=_secret(env, password_name, url_name),
        options=options,
    )


def _options(url_name: str, query: str) -> dict[str, str]:
    """Return the libpq connection options of a URL.

    Raises
    ------
    SettingsError
        Naming an option that libpq does not have, or that belongs before the question mark.
    """
    # As in libpq, a plus is not a space.
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    named = {unquote(name): unquote(value) for name, _, value in pairs}
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - _BEFORE_THE_QUERY
    if wrong := [name for name in named if name not in known]:
        raise SettingsError(
            f"{url_name} has the option {wrong[0]!r} after its question mark, which PostgreSQL does not accept there;"
            " usual are sslmode, sslrootcert, connect_timeout, application_name, options"
        )
    return named


def _shown(url: str) -> str:
    """Return a URL without user info and query, which could hold a password."""
    return url.partition("?")[0].rpartition("@")[2]


def _secret(env: Mapping[str, str], name: str, whose: str) -> str:
    """Return a secret from a variable, or from the file named by ``<name>_FILE``."""
    path = env.get(f"{name}_FILE", "")
    if path:
        try:
            secret = Path(path).read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise SettingsError(f"{name}_FILE names {path}, which cannot be read: {error}") from error
    else:
        secret = env.get(name, "")
    if not secret:
        raise SettingsError(
            f"there is no password for {whose}; next: set {name}, or {name}_FILE to a file that holds it"
        )
    return secret
