"""The published DuckDB file: the content copied from a candidate, and the rights of a reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from publish.duckdb_file import (
    Publication,
    PublishedFileError,
    check_published,
    connect_published,
    content_hash,
    publish_duckdb,
)

AS_OF = "create macro marts.as_of(m) as table select * from marts.facts where valid_from <= m"


def make_candidate(path: Path, *statements: str) -> Path:
    """Write a small candidate: a table with a key and comments, a table macro, and a private schema."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        for statement in (
            "create schema marts",
            "create schema ops",
            "create schema staging",
            "create table staging.hidden as select 1 as x",
            "create table marts.facts (code varchar primary key, value decimal(18, 2), valid_from timestamp)",
            "insert into marts.facts values ('b', 2, timestamp '2026-02-01'), ('a', 1, timestamp '2026-01-01')",
            "comment on table marts.facts is 'The office''s figures.'",
            "comment on column marts.facts.value is 'Euros.'",
            "create table ops.loads as select 'l' as load_id",
            AS_OF,
            "comment on macro table marts.as_of is 'The office''s figures at a moment.'",
            *statements,
        ):
            connection.execute(statement)
    return path


def publish(candidate: Path, target: Path) -> Publication:
    """Publish as the simulator's profile does."""
    return publish_duckdb(
        candidate, target, profile="simulator", is_simulated=True, published_at="2026-01-02T03:04:05Z"
    )


def test_table_macros_are_published_with_their_comments_and_work_for_a_reader(tmp_path: Path) -> None:
    publish(make_candidate(tmp_path / "warehouse.duckdb"), tmp_path / "published.duckdb")
    with connect_published(tmp_path / "published.duckdb") as reader:
        assert reader.execute("select code from marts.as_of(timestamp '2026-01-15')").fetchall() == [("a",)]
        assert reader.execute("select count(*) from marts.as_of(date '2026-02-01')").fetchall() == [(2,)]
        macros = reader.execute(
            "select function_name, comment from duckdb_functions() where schema_name in ('marts', 'ops')"
        ).fetchall()
        assert macros == [("as_of", "The office's figures at a moment.")]
        with pytest.raises(duckdb.Error, match="read-only"):
            reader.execute("drop macro table marts.as_of")


def test_defaults_of_macros_are_published(tmp_path: Path) -> None:
    candidate = make_candidate(
        tmp_path / "warehouse.duckdb",
        "create macro marts.of_code(wanted := null, least := 1) as table"
        " select * from marts.facts where code = coalesce(wanted, 'a') and value >= least",
    )
    publish(candidate, tmp_path / "published.duckdb")
    with connect_published(tmp_path / "published.duckdb") as reader:
        assert reader.execute("select code from marts.of_code()").fetchall() == [("a",)]
        assert reader.execute("select code from marts.of_code(wanted := 'b', least := 2)").fetchall() == [("b",)]
        assert reader.execute("select code from marts.of_code(least := 2)").fetchall() == []


def test_macros_work_in_an_attached_file(tmp_path: Path) -> None:
    publish(make_candidate(tmp_path / "warehouse.duckdb"), tmp_path / "published.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{tmp_path / 'published.duckdb'}' as other (read_only)")
        connection.execute("use other")
        assert connection.execute("select count(*) from marts.as_of(date '2026-01-01')").fetchall() == [(1,)]


def test_tables_keep_keys_and_comments_and_private_schemas_are_not_published(tmp_path: Path) -> None:
    publication = publish(make_candidate(tmp_path / "warehouse.duckdb"), tmp_path / "published.duckdb")
    with connect_published(tmp_path / "published.duckdb") as reader:
        tables = reader.execute("select schema_name, table_name, comment from duckdb_tables() order by all").fetchall()
        assert tables == [
            ("marts", "facts", "The office's figures."),
            ("ops", "loads", None),
            ("ops", "publication", "Identity of this file. Grain: one row."),
        ]
        keys = reader.execute(
            "select table_name from duckdb_constraints() where constraint_type = 'PRIMARY KEY' order by 1"
        ).fetchall()
        assert keys == [("facts",), ("publication",)]
        assert reader.execute("select publish_id from ops.publication").fetchall() == [(publication.publish_id,)]


def test_equal_content_has_an_equal_hash_and_a_changed_macro_changes_it(tmp_path: Path) -> None:
    first = publish(make_candidate(tmp_path / "a.duckdb"), tmp_path / "published.duckdb")
    same = publish(make_candidate(tmp_path / "b.duckdb"), tmp_path / "published.duckdb")
    changed = AS_OF.replace("create macro", "create or replace macro").replace("<=", "<")
    other = publish(make_candidate(tmp_path / "c.duckdb", changed), tmp_path / "published.duckdb")
    assert first.content_sha256 == same.content_sha256
    assert other.content_sha256 != first.content_sha256
    with connect_published(tmp_path / "published.duckdb") as reader:
        assert content_hash(reader) == other.content_sha256


WRITER = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("update marts.facts set value = 9")
os._exit(9)
"""


def write_and_die(path: Path) -> None:
    """Write to the published file from a process that is killed; its changes stay in a log next to the file."""
    path.chmod(0o644)
    subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False, timeout=60)
    assert path.with_name(f"{path.name}.wal").stat().st_size > 0


def test_foreign_write_ahead_log_is_never_replayed_into_the_next_publication(tmp_path: Path) -> None:
    target, candidate = tmp_path / "published.duckdb", make_candidate(tmp_path / "warehouse.duckdb")
    first = publish(candidate, target)
    write_and_die(target)
    with pytest.raises(PublishedFileError, match=r"published\.duckdb\.wal is next to the published file"):
        connect_published(target)
    assert publish(candidate, target).content_sha256 == first.content_sha256
    # A plain DuckDB reader, without the project's checks.
    with duckdb.connect(str(target), read_only=True) as reader:
        assert reader.execute("select value from marts.facts order by all").fetchall() == [(1,), (2,)]
    assert [path.name for path in tmp_path.glob("published*")] == [
        "published.duckdb",
        "published.duckdb.wal.refused",
    ]


def test_modified_published_file_is_detected(tmp_path: Path) -> None:
    target = tmp_path / "published.duckdb"
    publish(make_candidate(tmp_path / "warehouse.duckdb"), target)
    check_published(target)
    target.chmod(0o644)
    with duckdb.connect(str(target)) as connection:
        connection.execute("update marts.facts set value = 9 where code = 'a'")
    with pytest.raises(PublishedFileError, match="was changed after publication"):
        check_published(target)


def test_published_file_is_read_only(tmp_path: Path) -> None:
    target = tmp_path / "published.duckdb"
    for _ in range(2):
        publish(make_candidate(tmp_path / "warehouse.duckdb"), target)
        assert target.stat().st_mode & 0o777 == 0o444


def test_next_publish_removes_the_files_of_a_killed_one(tmp_path: Path) -> None:
    for name in (".published.duckdb.0a1b2c3d.tmp", ".published.duckdb.0a1b2c3d.tmp.wal"):
        (tmp_path / name).touch()
    publish(make_candidate(tmp_path / "warehouse.duckdb"), tmp_path / "published.duckdb")
    assert [path.name for path in tmp_path.glob(".published*")] == []


def test_failed_publish_leaves_the_published_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "published.duckdb"
    publish(make_candidate(tmp_path / "warehouse.duckdb"), target)
    before = target.read_bytes()
    broken = tmp_path / "broken.duckdb"
    with duckdb.connect(str(broken)) as connection:
        connection.execute("create schema marts")
        connection.execute("create schema ops")
        connection.execute("create table ops.publication as select 1 as publish_id")
    with pytest.raises(duckdb.Error, match="publication"):
        publish(broken, target)
    assert target.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"published.duckdb", "warehouse.duckdb", "broken.duckdb"}
