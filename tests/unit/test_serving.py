"""Settings of the PostgreSQL server that serves the marts: the environment and its secrets."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from metaalexport import serving
from metaalexport.arguments import SettingsError
from publish.postgres.roles import LOADER
from publish.postgres.server import PostgresServer

PG = {"PGHOST": "other", "PGOPTIONS": "-c x=1", "PGSSLMODE": "disable", "PGSERVICE": "other", "PGCONNECT_TIMEOUT": "9"}
ADDRESS = "postgresql://db.example:5433/marts"


def test_password_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    expected = PostgresServer("db.example", 5433, "marts", LOADER, "se:cret")
    assert serving.marts_server({serving.URL: ADDRESS, serving.PASSWORD: "se:cret"}) == expected
    secret = tmp_path / "secret"
    secret.write_text("se:cret\n", encoding="utf-8")
    assert serving.marts_server({serving.URL: ADDRESS, f"{serving.PASSWORD}_FILE": str(secret)}) == expected
    assert "se:cret" not in repr(expected)


def test_server_has_the_usual_defaults() -> None:
    server = serving.admin_server({serving.ADMIN_URL: "postgresql://db/postgres", serving.ADMIN_PASSWORD: "x"})
    assert server == PostgresServer("db", 5432, "postgres", "postgres", "x")


def test_serving_is_off_without_a_server() -> None:
    assert not serving.is_served({})
    assert serving.is_served({serving.URL: ADDRESS})


def test_options_of_the_address_are_kept() -> None:
    url = f"{ADDRESS}?sslmode=verify-full&application_name=a%20b&options=-c%20work_mem%3D1MB"
    server = serving.marts_server({serving.URL: url, serving.PASSWORD: "x"})
    assert server.options == {"sslmode": "verify-full", "application_name": "a b", "options": "-c work_mem=1MB"}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://db:abc/marts", "could not be cast|abc"),
        ("postgresql://db:99999/marts", "0-65535"),
        ("postgresql://[::1/marts", "Invalid IPv6"),
        ("postgresql://db/marts?sslmod=require", "option 'sslmod'"),
        ("postgresql://db/marts?host=other", "option 'host'"),
        ("postgresql://db/marts?password=hunter2", "holds a password"),
    ],
)
def test_address_error_names_its_cause(url: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as refused:
        serving.marts_server({serving.URL: url, serving.PASSWORD: "x"})
    assert serving.URL in str(refused.value)
    assert "hunter2" not in str(refused.value)


class _AskedError(Exception):
    """A connection was requested."""


def test_connection_follows_the_address_not_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, str] = {}

    def connect(conninfo: str, **_: object) -> None:
        asked.update(
            {k: str(v) for k, v in conninfo_to_dict(conninfo).items()},
            **{name: os.environ[name] for name in PG if name in os.environ},
        )
        raise _AskedError

    monkeypatch.setattr(psycopg, "connect", connect)
    for name, value in PG.items():
        monkeypatch.setenv(name, value)
    server = serving.marts_server({serving.URL: f"{ADDRESS}?sslmode=require&connect_timeout=3", serving.PASSWORD: "x"})
    with pytest.raises(_AskedError):
        server.connect()
    assert asked == {
        "host": "db.example", "port": "5433", "dbname": "marts", "user": LOADER, "password": "x",
        "sslmode": "require", "connect_timeout": "3", "application_name": "metaalexport publish",
    }  # fmt: skip
    assert os.environ["PGHOST"] == PG["PGHOST"]


@pytest.mark.parametrize("url", ["", "db.example", "mysql://db/marts", "postgresql://db", "postgresql:///marts"])
def test_invalid_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"not postgresql://\[user@\]host\[:port\]/database"):
        serving.marts_server({serving.URL: url, serving.PASSWORD: "x"})


def test_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="METAALEXPORT_POSTGRES_PASSWORD") as refused:
        serving.marts_server({serving.URL: "postgresql://loader:hunter2@db/marts"})
    assert "hunter2" not in str(refused.value)


def test_missing_password_error_states_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"set {serving.READER_PASSWORD}, or {serving.READER_PASSWORD}_FILE"):
        serving.reader_password({})
    with pytest.raises(SettingsError, match="cannot be read"):
        serving.reader_password({f"{serving.READER_PASSWORD}_FILE": str(tmp_path / "absent")})
