"""Serving from PostgreSQL: the written tables, the roles' privileges, and no partial publication for readers."""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from publish.postgres import serving, swap
from publish.postgres.roles import LOADER, READER, READER_CONNECTIONS, READER_SETTINGS, prepare_server
from publish.postgres.server import PostgresServer, PostgresServingError
from publish.postgres.serving import publish_postgres
from tests.postgres.conftest import (
    DATABASE,
    LOADER_PASSWORD,
    READER_PASSWORD,
    connect_reader,
    make_publication,
)

pytestmark = pytest.mark.postgres


def silent(message: str) -> None:
    """Show no progress."""


def schemas(server: PostgresServer) -> list[str]:
    """Return the schemas of the project's tables."""
    with server.connect() as connection:
        rows = connection.execute(
            "select nspname from pg_namespace"
            " where nspname !~ '^pg_' and nspname not in ('information_schema', 'public') order by 1"
        ).fetchall()
    return [row[0] for row in rows]


def test_tables_have_rows_types_keys_indexes_and_comments(
    server: PostgresServer, reader: psycopg.Connection, extensions: Path, tmp_path: Path
) -> None:
    messages: list[str] = []
    served = publish_postgres(
        make_publication(tmp_path, 1, rows=150_000), server, extensions=extensions, progress=messages.append
    )
    assert (served.is_new, served.tables) == (True, 4)
    assert served.rows == 150_000 + 4 * 375 + 2
    assert any("marts.fct_exports, 150,000 rows" in message for message in messages)
    row = reader.execute(
        "select value_eur, quantity_kg, is_provisional, month from marts.fct_exports where value_eur = 100.00"
    ).fetchone()
    assert row == (Decimal("100.00"), None, True, date(2026, 1, 1))
    types: dict[str, str] = dict(
        reader.execute(
            "select column_name, data_type from information_schema.columns"
            " where table_schema = 'marts' and table_name = 'rpt_destination_shares'"
        ).fetchall()
    )
    assert types["share"] == "double precision"
    assert types["value_eur"] == "numeric"
    assert reader.execute("select obj_description('marts.fct_exports'::regclass)").fetchone() == (
        "The office's figures.",
    )
    assert reader.execute("select col_description('marts.fct_exports'::regclass, 5)").fetchone() == (
        "Euros; 100 % of them.",
    )
    indexes = reader.execute(
        "select tablename, indexdef from pg_indexes where schemaname = 'marts' order by 1, 2"
    ).fetchall()
    keys = [definition for table, definition in indexes if table == "rpt_destination_shares" and "UNIQUE" in definition]
    assert len(keys) == 1
    assert "(scope_code, reporter_code, destination_code, month)" in keys[0]
    assert any("(product_code, reporter_code, month)" in definition for _, definition in indexes)
    assert schemas(server) == ["marts", "ops", "serving"]


def test_connection_follows_the_address_not_the_environment(
    server: PostgresServer, extensions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c work_mem=1MB",
    }
    for name, value in {**elsewhere, "PGSERVICE": "none"}.items():
        monkeypatch.setenv(name, value)
    assert publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent).is_new
    chosen = replace(server, options={"application_name": "the month's figures", "options": "-c work_mem=3MB"})
    with chosen.connect() as connection:
        row = connection.execute("select current_setting('application_name'), current_setting('work_mem')").fetchone()
    assert row == ("the month's figures", "3MB")
    assert publish_postgres(make_publication(tmp_path, 2), chosen, extensions=extensions, progress=silent).is_new
    with pytest.raises(PostgresServingError, match="SSL"):
        replace(server, options={"sslmode": "require"}).connect()


def test_same_publication_is_not_written_twice(server: PostgresServer, extensions: Path, tmp_path: Path) -> None:
    published = make_publication(tmp_path, 1)
    first = publish_postgres(published, server, extensions=extensions, progress=silent)
    again = publish_postgres(published, server, extensions=extensions, progress=silent)
    assert (first.is_new, again.is_new) == (True, False)
    assert first.publish_id == again.publish_id
    assert serving.served_publication(server) == {"publish_id": first.publish_id, "profile": "simulator"}


def test_another_profile_is_refused(server: PostgresServer, extensions: Path, tmp_path: Path) -> None:
    simulated = publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent)
    live = make_publication(tmp_path, 2, profile="live")
    with pytest.raises(PostgresServingError, match=r"serves profile 'simulator', this is 'live'"):
        publish_postgres(live, server, extensions=extensions, progress=silent)
    served = serving.served_publication(server)
    assert served is not None
    assert served["publish_id"] == simulated.publish_id


def test_reader_can_only_read(
    server: PostgresServer, admin: PostgresServer, reader: psycopg.Connection, extensions: Path, tmp_path: Path
) -> None:
    publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent)
    assert reader.execute("select count(*) from rpt_destination_shares").fetchone() == (8,)
    forbidden = [
        "delete from marts.fct_exports",
        "update marts.fct_exports set value_eur = 0",
        "insert into marts.fct_exports select * from marts.fct_exports",
        "truncate marts.fct_exports",
        "drop table marts.fct_exports",
        "drop schema marts cascade",
        "create table marts.mine (x int)",
        "create table public.mine (x int)",
        "create schema mine",
        "create temporary table mine (x int)",
        "create view marts.mine as select 1",
        "lock table marts.fct_exports in access exclusive mode",
        "select * from serving.publishing",
        "lock table serving.publishing in exclusive mode",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'x')",
        "select pg_read_file('/etc/hostname')",
        "select pg_ls_dir('/')",
        "copy marts.fct_exports to '/tmp/out.csv'",
        "copy (select 1) to program 'id'",
        "select * from pg_authid",
        f"alter role {READER} connection limit 1000",
        f"set role {LOADER}",
        "create extension dblink",
    ]
    # The default is advisory: a session may switch it off, and then only privileges protect.
    reader.execute("set default_transaction_read_only = off")
    for statement in forbidden:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), reader.transaction():
            reader.execute(statement)


def test_reader_has_limits(server: PostgresServer, reader: psycopg.Connection, admin: PostgresServer) -> None:
    shown = {name: reader.execute(f"show {name}").fetchone() for name in READER_SETTINGS}
    assert shown == {
        "default_transaction_read_only": ("on",),
        "statement_timeout": ("1min",),
        "idle_in_transaction_session_timeout": ("30s",),
        "lock_timeout": ("10s",),
        "temp_file_limit": ("4GB",),
        "deadlock_timeout": ("1min",),
    }
    with admin.connect() as connection:
        limit = connection.execute("select rolconnlimit from pg_roles where rolname = %s", [READER]).fetchone()
    assert limit == (READER_CONNECTIONS,)


def test_passwords_are_renewed_and_never_shown(server: PostgresServer, admin: PostgresServer) -> None:
    prepare_server(admin, database=DATABASE, loader_password=LOADER_PASSWORD, reader_password="another")
    with pytest.raises(PostgresServingError, match="password authentication failed") as refused:
        replace(server, user=READER, password=READER_PASSWORD).connect().close()
    replace(server, user=READER, password="another").connect().close()
    assert READER_PASSWORD not in str(refused.value)
    assert LOADER_PASSWORD not in repr(server)
    with admin.connect() as connection:
        ((stored,),) = connection.execute("select rolpassword from pg_authid where rolname = %s", [LOADER]).fetchall()
    assert stored.startswith("SCRAM-SHA-256$")


def test_unprepared_server_error_states_the_remedy(admin: PostgresServer, extensions: Path, tmp_path: Path) -> None:
    with pytest.raises(PostgresServingError, match="metaalexport prepare-postgres"):
        publish_postgres(make_publication(tmp_path, 1), admin, extensions=extensions, progress=silent)


def test_unreachable_server_error_names_the_address(admin: PostgresServer, extensions: Path, tmp_path: Path) -> None:
    gone = replace(admin, port=1)
    with pytest.raises(PostgresServingError, match=r"PostgreSQL at 127\.0\.0\.1:1, database postgres"):
        publish_postgres(make_publication(tmp_path, 1), gone, extensions=extensions, progress=silent)


def test_concurrent_publish_is_refused(server: PostgresServer, extensions: Path, tmp_path: Path) -> None:
    with (
        serving._publish_alone(server),
        pytest.raises(PostgresServingError, match="another publish to database marts is running"),
    ):
        publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent)
    assert publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent).is_new


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
@pytest.mark.parametrize("has_read", [True, False], ids=["after-a-read", "after-another-statement"])
def test_idle_transaction_sees_one_publication_and_does_not_block_the_next(
    server: PostgresServer, extensions: Path, tmp_path: Path, isolation: str, has_read: bool
) -> None:
    publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent)
    with connect_reader(server, autocommit=False) as idle:
        idle.execute(f"set transaction isolation level {isolation}")
        idle.execute("set idle_in_transaction_session_timeout = 0")
        first = idle.execute("select max(generation) from marts.fct_exports" if has_read else "select 1").fetchone()
        assert first == (1,)
        started = time.monotonic()
        served = publish_postgres(
            make_publication(tmp_path, 2), server, extensions=extensions, patience_seconds=1, progress=silent
        )
        assert served.is_new
        assert time.monotonic() - started < 30
        if has_read or isolation == "repeatable read":
            # The session would see a mixture or empty tables: the publish ends and reports it.
            assert len(served.ended) == 1
            assert "bi_reader" in served.ended[0]
            with pytest.raises(psycopg.OperationalError):
                idle.execute("select max(generation) from marts.rpt_destination_shares")
        else:
            assert served.ended == ()
            assert idle.execute("select max(generation) from marts.fct_exports").fetchone() == (2,)
    with connect_reader(server) as reader:
        assert reader.execute("select max(generation) from marts.fct_exports").fetchone() == (2,)
    assert schemas(server) == ["marts", "ops", "serving"]


def test_publish_waits_for_a_short_transaction(server: PostgresServer, extensions: Path, tmp_path: Path) -> None:
    publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent)
    script = (
        "import sys, time; from tests.postgres.test_publish import short_transaction;"
        f" short_transaction({server.port}, 3)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    served = publish_postgres(
        make_publication(tmp_path, 2), server, extensions=extensions, patience_seconds=20, progress=silent
    )
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == ("1\n", 0)
    assert served.ended == ()


def short_transaction(port: int, seconds: float) -> None:
    """Read a table, wait, read another one in the same transaction, and print both generations."""
    server = PostgresServer("127.0.0.1", port, DATABASE, READER, READER_PASSWORD)
    with server.connect() as connection, connection.transaction():
        print(connection.execute("select max(generation) from marts.fct_exports").fetchall()[0][0], flush=True)
        time.sleep(seconds)
        print(connection.execute("select max(generation) from marts.rpt_destination_shares").fetchall()[0][0])


def test_killed_publish_leaves_the_old_tables_and_the_next_one_cleans_up(
    server: PostgresServer, extensions: Path, tmp_path: Path
) -> None:
    publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent)
    published = make_publication(tmp_path, 2, rows=2_000_000)
    script = (
        "from pathlib import Path; from tests.postgres.test_publish import publish_to;"
        f" publish_to({server.port}, {str(published)!r}, {str(extensions)!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "marts.fct_exports" in process.stdout.readline()
    process.kill()
    process.wait()
    assert "marts_next" in schemas(server)
    with connect_reader(server) as reader:
        assert reader.execute("select max(generation) from marts.fct_exports").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("select count(*) from marts_next.rpt_destination_shares")
    deadline = time.monotonic() + 30
    while True:
        try:
            served = publish_postgres(published, server, extensions=extensions, progress=silent)
            break
        except PostgresServingError:
            # The server needs a moment to notice that the killed publisher is gone.
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert served.is_new
    assert schemas(server) == ["marts", "ops", "serving"]


def test_former_generations_are_listed_then_dropped_and_served_schemas_stay(
    server: PostgresServer, extensions: Path, tmp_path: Path
) -> None:
    publish_postgres(make_publication(tmp_path, 1), server, extensions=extensions, progress=silent)
    left = ["marts_until_20260101", "ops_next"]
    with server.connect() as connection:
        for schema in left:
            connection.execute(f"create schema {schema}")
    assert serving.drop_former_generations(server, is_dry_run=True, progress=silent) == left
    assert set(left) < set(schemas(server))
    assert serving.drop_former_generations(server, progress=silent) == left
    assert serving.drop_former_generations(server, progress=silent) == []
    assert schemas(server) == ["marts", "ops", "serving"]


def test_former_generation_stays_if_its_reader_and_its_drop_deadlock(
    admin: PostgresServer, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = "marts_until_20260101"
    with server.connect() as connection:
        connection.execute(f"create schema {former}")
        for number in range(5):
            connection.execute(f"create table {former}.t{number} (x integer)")
    # The reader needs time to request a lock that the drop holds, before PostgreSQL checks the drop for a deadlock.
    monkeypatch.setattr(swap, "_DROP_WAIT", "60s")
    with admin.connect() as connection:
        connection.execute(f"alter role {LOADER} set deadlock_timeout = '3s'")
    messages: list[str] = []
    with ThreadPoolExecutor(1) as pool, replace(admin, database=DATABASE).connect() as reader:
        reader.execute("set deadlock_timeout = '60s'")
        with reader.transaction():
            reader.execute(f"select * from {former}.t2")
            dropped = pool.submit(serving.drop_former_generations, server, progress=messages.append)
            held: list[str] = []
            while not held:
                assert not dropped.done()
                rows = reader.execute(
                    "select held.relation::regclass::text from pg_locks as held"
                    " join pg_locks as awaited on awaited.pid = held.pid and not awaited.granted"
                    " where held.granted and held.mode = 'AccessExclusiveLock' and awaited.relation = %s::regclass"
                    " and held.relation is not null",
                    [f"{former}.t2"],
                ).fetchall()
                held = [name for (name,) in rows]
            reader.execute(f"select * from {held[0]}")
            assert dropped.result(timeout=60) == []
    assert any(former in message and "next publish" in message for message in messages)
    assert serving.drop_former_generations(server, progress=silent) == [former]


def publish_to(port: int, published: str, extensions: str) -> None:
    """Publish from a separate process."""
    server = PostgresServer("127.0.0.1", port, DATABASE, LOADER, LOADER_PASSWORD)
    publish_postgres(
        Path(published), server, extensions=Path(extensions), progress=lambda message: print(message, flush=True)
    )


READER_QUERIES = (
    "select month, sum(share), min(generation), max(generation) from marts.rpt_destination_shares group by 1",
    "select 1, 1.0, min(generation), max(generation) from marts.fct_exports",
    "select 1, 1.0, min(generation), max(generation) from marts.fct_exports where product_code = '7210'",
    "select 1, 1.0, least(min(shares.generation), min(loads.generation)), max(shares.generation)"
    " from marts.rpt_destination_shares as shares cross join ops.loads as loads",
    "select 1, 1.0, min(generation), max(generation) from ops.loads",
)


def read_without_pause(number: int, has_transactions: bool, port: int, begin: Any, stop: Any, results: Any) -> None:
    """Query like a BI tool, in single statements or in transactions; report errors, generations and latencies."""
    # Each reader begins with a different table, so that some transactions hold tables that others need.
    first = number % len(READER_QUERIES)
    queries = READER_QUERIES[first:] + READER_QUERIES[:first]
    errors: list[str] = []
    mixtures = 0
    seen: set[int] = set()
    latencies: list[tuple[float, float]] = []
    with PostgresServer("127.0.0.1", port, DATABASE, READER, READER_PASSWORD).connect() as connection:
        begin.wait()
        while not stop.is_set():
            generations: set[int] = set()
            try:
                with connection.transaction() if has_transactions else nullcontext():
                    for query in queries:
                        started = time.monotonic()
                        rows = connection.execute(query).fetchall()
                        latencies.append((started, time.monotonic() - started))
                        assert rows, query
                        assert all(abs(float(row[1]) - 1) < 1e-9 for row in rows), f"shares do not sum to 1: {rows[:3]}"
                        found = {value for row in rows for value in row[2:]}
                        assert len(found) == 1, f"a statement saw publications {found}"
                        generations |= found
            except (psycopg.Error, AssertionError) as error:
                errors.append(f"{type(error).__name__}: {error}")
            mixtures += has_transactions and len(generations) > 1
            seen |= generations
    results.put((errors, mixtures, sorted(seen), latencies))


@contextmanager
def readers_at_work(
    server: PostgresServer, *, in_statements: int, in_transactions: int
) -> Iterator[Callable[[], list[Any]]]:
    """Start readers and wait until all read; yield a function that stops them and returns their reports."""
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    kinds = [False] * in_statements + [True] * in_transactions
    begin = context.Barrier(len(kinds) + 1, timeout=120)
    readers = [
        context.Process(target=read_without_pause, args=(number, kind, server.port, begin, stop, results))
        for number, kind in enumerate(kinds)
    ]
    for process in readers:
        process.start()
    begin.wait()

    def outcomes() -> list[Any]:
        stop.set()
        return [results.get(timeout=30) for _ in readers]

    try:
        yield outcomes
    finally:
        stop.set()
        for process in readers:
            process.join(timeout=30)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("n_publishes", "rows"),
    [(5, 5_000), pytest.param(20, 50_000, marks=[pytest.mark.long, pytest.mark.thorough])],
)
def test_eight_clients_see_no_error_and_no_mixture_during_publishes(
    server: PostgresServer, extensions: Path, tmp_path: Path, n_publishes: int, rows: int
) -> None:
    publish_postgres(make_publication(tmp_path, 1, rows=rows), server, extensions=extensions, progress=silent)
    with readers_at_work(server, in_statements=8, in_transactions=1) as outcomes:
        time.sleep(3)
        busy_from = time.monotonic()
        swaps = []
        for number in range(2, n_publishes + 2):
            served = publish_postgres(
                make_publication(tmp_path, number, rows=rows), server, extensions=extensions, progress=silent
            )
            swaps.append(served.swap_seconds)
            assert served.is_exact
            assert served.ended == ()
        busy_until = time.monotonic()
        time.sleep(2)
        found = outcomes()
    assert [error for errors, *_ in found for error in errors] == []
    assert sum(mixtures for _, mixtures, *_ in found) == 0
    assert {number for *_, seen, _ in found for number in seen} >= {1, n_publishes + 1}
    latencies = [pair for *_, pairs in found for pair in pairs]
    quiet = [seconds for started, seconds in latencies if started < busy_from]
    busy = [seconds for started, seconds in latencies if busy_from <= started < busy_until]
    assert len(quiet) > 100
    assert len(busy) > 100
    p95 = {name: statistics.quantiles(values, n=20)[-1] for name, values in (("quiet", quiet), ("busy", busy))}
    print(
        f"\n{len(latencies)} queries, p95 quiet {1000 * p95['quiet']:.0f} ms, while publishing"
        f" {1000 * p95['busy']:.0f} ms; swaps: median {1000 * statistics.median(swaps):.0f} ms,"
        f" longest {1000 * max(swaps):.0f} ms"
    )


def test_continuous_readers_do_not_block_a_publish(server: PostgresServer, extensions: Path, tmp_path: Path) -> None:
    publish_postgres(make_publication(tmp_path, 1, rows=5_000), server, extensions=extensions, progress=silent)
    messages: list[str] = []
    with readers_at_work(server, in_statements=0, in_transactions=8) as outcomes:
        time.sleep(2)
        exact = []
        for number in range(2, 5):
            served = publish_postgres(
                make_publication(tmp_path, number, rows=5_000),
                server, extensions=extensions, patience_seconds=2, progress=messages.append,
            )  # fmt: skip
            assert served.ended == ()
            exact.append(served.is_exact)
        time.sleep(1)
        found = outcomes()
    assert [error for errors, *_ in found for error in errors] == []
    assert {number for *_, seen, _ in found for number in seen} >= {1, 4}
    # The publish reports each swap during which a transaction may have seen both generations.
    assert sum("may see both" in message for message in messages) == exact.count(False)
    if all(exact):
        assert sum(mixtures for _, mixtures, *_ in found) == 0
