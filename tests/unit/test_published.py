"""Output of `metaalexport sql`: every column of every type, valid in each format, and in no other file."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from metaalexport import building, cli, published
from metaalexport.published import QueryError, split_statements, write_result
from metaalexport.run import Run
from metaalexport.settings import Settings
from publish.duckdb_file import publish_duckdb

ODD = """
select 1 as a, 2 as a, 'nan'::double as nan, '-inf'::double as low, [1.5, 'inf'::double] as list,
    interval 3 month as span, 'ab'::blob as bytes, null as nothing, '' as empty, true as flag,
    'NaN, "é" and Infinity' as said, 1.50::decimal(9, 2) as price, date '2026-01-31' as day -- a comment
"""


def publish_small(settings: Settings, *statements: str, published_at: str = "2026-01-02T03:04:05Z") -> str:
    """Publish two tables, one of them wide, and a macro; return the publish id."""
    settings.state.mkdir(parents=True, exist_ok=True)
    settings.warehouse.unlink(missing_ok=True)
    wide = ", ".join(f"{number} as measure_{number}" for number in range(30))
    with duckdb.connect(str(settings.warehouse)) as connection:
        for statement in (
            "create schema marts",
            "create schema ops",
            "create table marts.shares (destination_code varchar primary key, share double)",
            "insert into marts.shares values ('US', 0.07), ('DE', null)",
            "comment on table marts.shares is 'Share of each destination. Grain: destination.'",
            "comment on column marts.shares.share is 'Value / total, 0-1.'",
            f"create table marts.wide as select 'key' as code, {wide}",
            "create table ops.loads as select 'l' as load_id",
            "create macro marts.share_of(destination := null) as table"
            " select * from marts.shares where destination_code = coalesce(destination, 'US')",
            "comment on macro table marts.share_of is 'Share of one destination.'",
            *statements,
        ):
            connection.execute(statement)
    return publish_duckdb(
        settings.warehouse, settings.published, profile="simulator", is_simulated=True, published_at=published_at
    ).publish_id


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shared state with a small publication; tests copy it and never change it."""
    state = tmp_path_factory.mktemp("published") / "simulator"
    publish_small(Settings(profile="simulator", state=state))
    return state


@pytest.fixture
def settings(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of a state with a small publication; the command line uses the same state."""
    settings = Settings(profile="simulator", state=tmp_path / "var" / "simulator")
    shutil.copytree(small, settings.state)
    monkeypatch.setenv("METAALEXPORT_VAR", str(settings.state.parent))
    monkeypatch.setenv("METAALEXPORT_PROFILE", "simulator")
    return settings


def on_screen(*arguments: str) -> str:
    """Return the screen output of `metaalexport sql`."""
    result = CliRunner().invoke(cli.app, ["sql", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_screen_output_equals_the_file(settings: Settings, tmp_path: Path, kind: str) -> None:
    target = tmp_path / f"it's.{kind}"
    assert write_result(settings, ODD, target, kind) == 1
    assert on_screen(ODD, "--format", kind) == target.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([target.name, "var"])


def test_json_is_valid_and_loses_no_column(settings: Settings, tmp_path: Path) -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    write_result(settings, ODD, tmp_path / "result.json", "json")
    (row,) = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert row == {
        "a": 1,
        "a_1": 2,
        "nan": None,
        "low": None,
        "list": [1.5, None],
        "span": "3 months",
        "bytes": "ab",
        "nothing": None,
        "empty": "",
        "flag": True,
        "said": 'NaN, "é" and Infinity',
        "price": 1.5,
        "day": "2026-01-31",
    }


def test_csv_and_parquet_rename_duplicate_columns(settings: Settings, tmp_path: Path) -> None:
    for kind in ("csv", "parquet"):
        write_result(settings, ODD, tmp_path / f"result.{kind}", kind)
    with (tmp_path / "result.csv").open(encoding="utf-8", newline="") as lines:
        head, row = csv.reader(lines)
    assert head[:2] == ["a", "a_1"]
    assert dict(zip(head, row, strict=True))["span"] == "3 months"
    # Null and an empty text differ.
    assert ',ab,,"",true,' in (tmp_path / "result.csv").read_text(encoding="utf-8")
    columns = duckdb.sql(f"from '{tmp_path / 'result.parquet'}'").columns
    assert columns == head


@pytest.mark.parametrize(
    "statement",
    [
        "from marts.shares order by all",
        "with one as (select 1 as a) from one;",
        "describe marts.shares",
        "show all tables",
        "summarize marts.shares",
        "pivot marts.shares on destination_code using sum(share)",
        "values (1), (2)",
        "from marts.share_of()",
    ],
)
def test_every_supported_query_can_be_written(settings: Settings, tmp_path: Path, statement: str) -> None:
    assert write_result(settings, statement, tmp_path / "result.csv", "csv") > 0
    assert on_screen(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "from read_text('{secret}')",
        "from '{secret}'",
        "select 1) to '{other}' (format csv); copy (select 2",
        "select 1)) to '{other}' (format csv) --",
        "copy (select 1) to '{other}'",
        "attach '{other}' as other",
        "select 1; select 2",
        "set enable_external_access = true",
        "insert into marts.shares values ('XX', 1)",
        "drop table marts.shares",
        "",
        "-- nothing",
    ],
)
@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_query_reads_and_writes_no_other_file(settings: Settings, tmp_path: Path, statement: str, kind: str) -> None:
    secret, other, target = tmp_path / "secret.csv", tmp_path / "other", tmp_path / f"result.{kind}"
    secret.write_text("a,b\n1,2\n", encoding="utf-8")
    target.write_text("of before", encoding="utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises((QueryError, duckdb.Error)):
        write_result(settings, statement.format(secret=secret, other=other), target, kind)
    assert target.read_text(encoding="utf-8") == "of before"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_device_is_refused_as_a_target(settings: Settings) -> None:
    with pytest.raises(QueryError, match="/dev/null is not a file; next"):
        write_result(settings, "select 1", Path("/dev/null"), "csv")


def test_long_result_is_truncated_on_screen_and_complete_in_a_file(settings: Settings, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, ["sql", "select range as number from range(1001)"])
    assert "999" in result.stdout
    assert "1000" not in result.stdout
    assert "the first 1,000 rows; next" in result.stderr
    assert write_result(settings, "from range(1001)", tmp_path / "all.csv", "csv") == 1001


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("select 1", ["select 1"]),
        ("select ';' as a; ;\n-- b;c\nselect 'é;' -- last\n;", ["select ';' as a", "-- b;c\nselect 'é;' -- last"]),
        ("pivot t on a; select 2;", ["pivot t on a", "select 2"]),
        (" ; ", []),
    ],
)
def test_statements_end_at_an_sql_semicolon(text: str, statements: list[str]) -> None:
    assert split_statements(text) == statements


@pytest.mark.parametrize("write", [building.write_report, building.serve_publication])
def test_report_and_serve_need_a_publication(write: Callable[[Run], object], tmp_path: Path) -> None:
    settings = Settings(profile="simulator", state=tmp_path / "simulator")
    with pytest.raises(published.NothingPublishedError, match="next: make run SOURCE=simulator"):
        write(Run(settings, "r", lambda message: None))
    assert not settings.report.exists()
