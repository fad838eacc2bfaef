"""PostgreSQL's ODBC driver, which Excel, Power BI and Tableau can use, as role bi_reader."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from publish.postgres.roles import READER
from publish.postgres.server import PostgresServer
from publish.postgres.serving import publish_postgres
from tests.postgres.conftest import READER_PASSWORD, make_publication

pytestmark = pytest.mark.postgres


@pytest.fixture
def connection(server: PostgresServer, extensions: Path, tmp_path: Path) -> str:
    """Serve a publication and return its connection string."""
    publish_postgres(make_publication(tmp_path, 7), server, extensions=extensions, progress=lambda message: None)
    return (
        f"Driver={{PostgreSQL Unicode}};Server={server.host};Port={server.port};Database={server.database};"
        f"Uid={READER};Pwd={READER_PASSWORD};"
    )


class RefusedError(Exception):
    """The server refused a statement."""


def ask(connection: str, statement: str) -> list[list[str]]:
    """Run a statement, or isql's own `help`; return its rows, the heading first."""
    done = subprocess.run(
        # Batch mode, commas between fields, a heading; the whole string is the connection.
        ["isql", "-k", connection, "-b", "-d,", "-c"],
        input=f"{statement}\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The exit code of isql reports only the connection.
    if "Could not SQLExecute" in done.stderr:
        raise RefusedError(statement)
    return [line.split(",") for line in done.stdout.splitlines() if line]


def test_values_are_read(connection: str) -> None:
    heading, *rows = ask(
        connection,
        "select month, share, value_eur, generation from marts.rpt_destination_shares"
        " where destination_code = 'D1' order by month",
    )
    assert heading == ["month", "share", "value_eur", "generation"]
    assert rows == [["2025-01-01", "0.25", "100.00", "7"], ["2025-02-01", "0.25", "100.00", "7"]]
    _, row = ask(
        connection,
        "select quantity_kg, is_provisional, vintage_at from marts.fct_exports order by value_eur limit 1",
    )
    assert row == ["", "1", "2026-10-15 09:00:00"]


def test_tables_and_types_are_listed(connection: str) -> None:
    tables = {row[2] for row in ask(connection, "help") if row[1] in ("marts", "ops")}
    assert tables == {"rpt_destination_shares", "fct_exports", "loads", "publication"}
    columns = {row[3]: row[5] for row in ask(connection, "help fct_exports")[1:]}
    assert (columns["month"], columns["value_eur"], columns["vintage_at"]) == ("date", "numeric", "timestamp")


@pytest.mark.parametrize(
    "statement", ["delete from marts.fct_exports", "create table marts.mine (x int)", "create temp table mine (x int)"]
)
def test_writing_is_refused(connection: str, statement: str) -> None:
    with pytest.raises(RefusedError):
        ask(connection, statement)
    assert ask(connection, "select count(*) from marts.fct_exports") == [["count"], ["1000"]]
