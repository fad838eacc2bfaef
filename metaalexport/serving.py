"""Which PostgreSQL server serves the marts, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from metaalexport.arguments import SettingsError
from publish.postgres import LOADER, READER, PostgresServer

URL = "METAALEXPORT_POSTGRES_URL"
PASSWORD = "METAALEXPORT_POSTGRES_PASSWORD"  # noqa: S105 - the name of a variable
ADMIN_URL = "METAALEXPORT_POSTGRES_ADMIN_URL"
ADMIN_PASSWORD = "METAALEXPORT_POSTGRES_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable
READER_PASSWORD = "METAALEXPORT_BI_READER_PASSWORD"  # noqa: S105 - the name of a variable


def is_served(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the marts are served from PostgreSQL."""
    return bool((os.environ if environment is None else environment).get(URL))


def marts_server(environment: Mapping[str, str] | None = None) -> PostgresServer:
    """Return the database of the marts, as the role that fills it.

    Raises
    ------
    SettingsError
        If a variable is missing or makes no sense.
    """
    env = os.environ if environment is None else environment
    return _server(env, URL, PASSWORD, LOADER)


def admin_server(environment: Mapping[str, str] | None = None) -> PostgresServer:
    """Return the server as a superuser, for `prepare-postgres` alone.

    Raises
    ------
    SettingsError
        If a variable is missing or makes no sense.
    """
    env = os.environ if environment is None else environment
    return _server(env, ADMIN_URL, ADMIN_PASSWORD, "postgres")


def reader_password(environment: Mapping[str, str] | None = None) -> str:
    """Return the password that role `bi_reader` shall have.

    Raises
    ------
    SettingsError
        If it is missing.
    """
    return _secret(os.environ if environment is None else environment, READER_PASSWORD, f"role {READER}")


def _server(env: Mapping[str, str], url_name: str, password_name: str, default_user: str) -> PostgresServer:
    url = env.get(url_name, "")
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.path.strip("/"):
        raise SettingsError(f"{url_name} is {_shown(url)!r}, not postgresql://[user@]host[:port]/database")
    if parts.password is not None:
        raise SettingsError(
            f"{url_name} holds a password; it would show in logs and process lists."
            f" Next: set {password_name} or {password_name}_FILE, and leave it out of the URL"
        )
    return PostgresServer(
        host=parts.hostname,
        port=parts.port or 5432,
        database=parts.path.strip("/"),
        user=unquote(parts.username or default_user),
        password=_secret(env, password_name, url_name),
    )


def _shown(url: str) -> str:
    """Return a URL without what could be a password."""
    return url.rpartition("@")[2]


def _secret(env: Mapping[str, str], name: str, whose: str) -> str:
    """Return a secret from a variable, or from the file that a second variable names."""
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
