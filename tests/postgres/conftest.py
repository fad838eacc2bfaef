"""A real PostgreSQL server for these tests, and publications to serve from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest

from publish.duckdb_file import Publication, publish_duckdb
from publish.postgres.roles import LOADER, READER, prepare_server
from publish.postgres.server import PostgresServer
from tests.postgres.server import running_server

DATABASE = "marts"
LOADER_PASSWORD = "with:colon\\and quote'"
READER_PASSWORD = "of the readers"


@pytest.fixture(scope="session")
def admin() -> Iterator[PostgresServer]:
    """Run one server for all tests."""
    with running_server() as server:
        yield server


@pytest.fixture
def server(admin: PostgresServer) -> Iterator[PostgresServer]:
    """Prepare an empty database of the marts; yield it as the role that fills it."""
    prepare_server(admin, database=DATABASE, loader_password=LOADER_PASSWORD, reader_password=READER_PASSWORD)
    yield replace(admin, database=DATABASE, user=LOADER, password=LOADER_PASSWORD)
    with admin.connect() as connection:
        connection.execute(f"drop database {DATABASE} with (force)")


@pytest.fixture
def reader(server: PostgresServer) -> Iterator[psycopg.Connection]:
    """Connect as a BI tool does."""
    with connect_reader(server) as connection:
        yield connection


@pytest.fixture(scope="session")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for DuckDB's extension."""
    return tmp_path_factory.mktemp("extensions")


def connect_reader(server: PostgresServer, *, autocommit: bool = True) -> psycopg.Connection:
    """Open a connection as role bi_reader."""
    connection = replace(server, user=READER, password=READER_PASSWORD).connect()
    connection.autocommit = autocommit
    return connection


def make_publication(folder: Path, number: int, *, rows: int = 1000, profile: str = "simulator") -> Path:
    """Publish made-up shares and facts that identify their publication; return the file.

    Shares of each month sum to 1; every row of every table holds `number`.
    """
    candidate = folder / f"candidate-{number}.duckdb"
    target = folder / "published.duckdb"
    with duckdb.connect(str(candidate)) as connection:
        for statement in (
            "create schema marts",
            "create schema ops",
            "create table marts.rpt_destination_shares (scope_code varchar, reporter_code varchar,"
            " destination_code varchar, month date, value_eur decimal(18, 2), share double, generation integer,"
            " primary key (scope_code, reporter_code, destination_code, month))",
            "insert into marts.rpt_destination_shares"
            " select 'metal', 'NL', 'D' || d, date '2025-01-01' + to_months(m::integer), 100, 0.25,"
            f" {number}"
            f" from range(4) as destinations(d), range({max(1, rows // 400)}) as months(m)",
            "create table marts.fct_exports (product_code varchar, reporter_code varchar, destination_code varchar,"
            " month date, value_eur decimal(18, 2), quantity_kg decimal(18, 3), is_provisional boolean,"
            " vintage_at timestamp, generation integer)",
            "insert into marts.fct_exports"
            " select '72' || (i % 90), 'NL', 'D' || (i % 4), date '2025-01-01' + to_months((i % 24)::integer), i / 3,"
            f" null, i % 2 = 0, timestamp '2026-10-15 09:00:00', {number} from range({rows}) as facts(i)",
            "comment on table marts.fct_exports is 'The office''s figures.'",
            "comment on column marts.fct_exports.value_eur is 'Euros; 100 % of them.'",
            f"create table ops.loads as select 'load' as load_id, {number} as generation",
        ):
            connection.execute(statement)
    publish(candidate, target, number, profile)
    candidate.unlink()
    return target


def publish(candidate: Path, target: Path, number: int, profile: str) -> Publication:
    """Publish a candidate at the time given by its number."""
    return publish_duckdb(
        candidate,
        target,
        profile=profile,
        is_simulated=profile == "simulator",
        published_at=f"2026-01-{1 + number // 24:02}T{number % 24:02}:00:00Z",
    )
