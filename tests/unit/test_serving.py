"""Which PostgreSQL server serves the marts: the environment and its secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaalexport import serving
from metaalexport.arguments import SettingsError
from publish.postgres import LOADER, PostgresServer

ADDRESS = "postgresql://db.example:5433/marts"


def test_a_password_comes_from_a_variable_or_from_a_file(tmp_path: Path) -> None:
    expected = PostgresServer("db.example", 5433, "marts", LOADER, "se:cret")
    assert serving.marts_server({serving.URL: ADDRESS, serving.PASSWORD: "se:cret"}) == expected
    secret = tmp_path / "secret"
    secret.write_text("se:cret\n", encoding="utf-8")
    assert serving.marts_server({serving.URL: ADDRESS, f"{serving.PASSWORD}_FILE": str(secret)}) == expected
    assert "se:cret" not in repr(expected)


def test_the_server_has_usual_defaults() -> None:
    server = serving.admin_server({serving.ADMIN_URL: "postgresql://db/postgres", serving.ADMIN_PASSWORD: "x"})
    assert server == PostgresServer("db", 5432, "postgres", "postgres", "x")


def test_serving_is_off_where_no_server_is_named() -> None:
    assert not serving.is_served({})
    assert serving.is_served({serving.URL: ADDRESS})


@pytest.mark.parametrize("url", ["", "db.example", "mysql://db/marts", "postgresql://db", "postgresql:///marts"])
def test_an_address_that_makes_no_sense_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"not postgresql://\[user@\]host\[:port\]/database"):
        serving.marts_server({serving.URL: url, serving.PASSWORD: "x"})


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="METAALEXPORT_POSTGRES_PASSWORD") as refused:
        serving.marts_server({serving.URL: "postgresql://loader:hunter2@db/marts"})
    assert "hunter2" not in str(refused.value)


def test_a_missing_password_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"set {serving.READER_PASSWORD}, or {serving.READER_PASSWORD}_FILE"):
        serving.reader_password({})
    with pytest.raises(SettingsError, match="cannot be read"):
        serving.reader_password({f"{serving.READER_PASSWORD}_FILE": str(tmp_path / "absent")})
