"""Exports: the written files, equal bytes from equal publications, and files that are never overwritten."""

from __future__ import annotations

import csv
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from publish import data_package
from publish.data_package import ExportError, export_data_package
from publish.duckdb_file import publish_duckdb

KEYS = {"marts.fct_large": ("code", "month")}
DATASETS = (
    "create table marts.dim_dataset (dataset_code varchar primary key, source_code varchar, office_identifier varchar,"
    " title_en varchar, source_url varchar, citation varchar, licence varchar, licence_url varchar, n_loads bigint,"
    " last_vintage_at timestamp)",
    "insert into marts.dim_dataset values"
    " ('cbs_a', 'CBS', 'A', 'Goods', 'https://cbs.example/a', 'Bron: CBS, A', 'CC BY 4.0', 'https://by.example', 2,"
    " timestamp '2026-01-15 04:30'),"
    " ('eurostat_b', 'EUROSTAT', 'B', 'Exports', 'https://eu.example/b', 'Eurostat, B', 'CC BY 4.0',"
    " 'https://by.example', 1, timestamp '2026-02-15 09:00'),"
    " ('cbs_c', 'CBS', 'C', 'Not loaded', 'https://cbs.example/c', 'Bron: CBS, C', 'CC BY 4.0', 'https://by.example',"
    " 0, null)",
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("published") / "a", is_simulated=True)


def publish(folder: Path, *, is_simulated: bool, order: str = "code") -> Path:
    """Publish two tables: one with a key constraint, one with an undeclared key and its rows in the given order."""
    folder.mkdir()
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        for statement in (
            "create schema marts",
            "create schema ops",
            *DATASETS,
            "create table marts.fct_large as"
            " select 'é' || range as code, date '2026-01-01' as month, cast(range / 7 as decimal(18, 2)) as value_eur,"
            " case when range % 3 = 0 then null else range / 7 end as share, range % 2 = 0 as is_final,"
            " timestamp '2026-01-02 03:04:05.678' as seen_at"
            f" from range(1000) order by {order}",
            "comment on table marts.fct_large is 'Values. Grain: code, month.'",
            "comment on column marts.fct_large.value_eur is 'Value, euros; \"as published\".'",
            "create table ops.loads as select 'l' as load_id",
        ):
            connection.execute(statement)
    publish_duckdb(
        folder / "warehouse.duckdb",
        folder / "published.duckdb",
        profile="simulator" if is_simulated else "live",
        is_simulated=is_simulated,
        published_at="2026-03-02T03:04:05Z",
    )
    return folder / "published.duckdb"


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def descriptor(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    return loaded


def resource(folder: Path, name: str) -> dict[str, Any]:
    (found,) = [item for item in descriptor(folder)["resources"] if item["name"] == name]
    return dict(found)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_export_contains_all_marts_publication_dictionary_and_descriptor(
    published: Path, tmp_path: Path, kind: str
) -> None:
    rows = export_data_package(published, tmp_path / "out", kind=kind, keys=KEYS)
    assert rows == {"marts.dim_dataset": 3, "marts.fct_large": 1000, "ops.publication": 1}
    assert {*contents(tmp_path / "out")} == {
        "data_dictionary.csv",
        "datapackage.json",
        *(f"{name}.{kind}" for name in rows),
    }
    for name, count in rows.items():
        read = duckdb.sql(f"select count(*) from '{tmp_path / 'out' / name}.{kind}'").fetchall()
        assert read == [(count,)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_equal_publications_give_equal_bytes_ordered_by_key(tmp_path: Path, kind: str) -> None:
    first = publish(tmp_path / "first", is_simulated=True)
    second = publish(tmp_path / "second", is_simulated=True, order="code desc")
    export_data_package(first, tmp_path / "out_1", kind=kind, keys=KEYS)
    export_data_package(second, tmp_path / "out_2", kind=kind, keys=KEYS)
    assert contents(tmp_path / "out_1") == contents(tmp_path / "out_2")
    codes = duckdb.sql(f"select code from '{tmp_path / 'out_1' / 'marts.fct_large'}.{kind}'").fetchall()
    assert codes == sorted(codes)
    export_data_package(second, tmp_path / "out_3", kind=kind)
    assert (
        resource(tmp_path / "out_3", "marts.fct_large")["hash"]
        == resource(tmp_path / "out_1", "marts.fct_large")["hash"]
    )


def test_csv_is_utf_8_with_decimal_points_iso_dates_and_empty_missing_values(published: Path, tmp_path: Path) -> None:
    export_data_package(published, tmp_path / "out", kind="csv", tables=["fct_large"], keys=KEYS)
    with (tmp_path / "out" / "marts.fct_large.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows[0] == {
        "code": "é0",
        "month": "2026-01-01",
        "value_eur": "0.00",
        "share": "",
        "is_final": "true",
        "seen_at": "2026-01-02T03:04:05.678000Z",
    }
    assert rows[1]["share"] == str(1 / 7)


CODES = ("-", "+", "=1+1", "-1", '@SUM(A1)|"x"', "\t=1", "\r=1", "'-", "\uff1d1", "a=b", "")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_formula_like_text_stays_exact_and_is_reported(tmp_path: Path, kind: str) -> None:
    source = publish(tmp_path / "a", is_simulated=False)
    with duckdb.connect(str(source)) as connection:
        connection.execute("create table marts.dim_code (code varchar primary key, growth double)")
        connection.executemany("insert into marts.dim_code values (?, -1.5)", [[code] for code in CODES])
    told: list[str] = []
    export_data_package(source, tmp_path / "out", kind=kind, tables=["dim_code"], warn=told.append)
    if kind == "parquet":
        assert told == []
        return
    (line,) = told
    # Lone signs do not count; neither do negative numbers, which are not text.
    assert line.startswith("marts.dim_code.csv, column code: 6 cells that spreadsheets interpret as formulas; next: ")
    with (tmp_path / "out" / "marts.dim_code.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {row["code"] for row in rows} == set(CODES)
    assert {row["growth"] for row in rows} == {"-1.5"}


def test_dictionary_has_every_column_with_its_comment(published: Path, tmp_path: Path) -> None:
    export_data_package(published, tmp_path / "out", kind="parquet")
    with (tmp_path / "out" / "data_dictionary.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {
        "table": "marts.fct_large",
        "column": "value_eur",
        "type": "decimal(18,2)",
        "description": 'Value, euros; "as published".',
    } in rows
    assert [row["column"] for row in rows if row["table"] == "marts.dim_dataset"][:2] == ["dataset_code", "source_code"]


def test_descriptor_names_sources_licences_publication_and_vintage(published: Path, tmp_path: Path) -> None:
    export_data_package(published, tmp_path / "out", kind="csv")
    package = descriptor(tmp_path / "out")
    assert package["profile"] == "tabular-data-package"
    assert package["is_simulated"] is True
    assert package["title"].startswith("SIMULATED: ")
    assert package["publish_id"].endswith("-20260302T030405")
    assert package["created"] == "2026-03-02T03:04:05Z"
    assert package["as_of"] == "2026-02-15T09:00:00Z"
    assert package["licenses"] == [{"title": "CC BY 4.0", "path": "https://by.example"}]
    assert [(source["title"], source["citation"], source["as_of"]) for source in package["sources"]] == [
        ("CBS A: Goods", "Bron: CBS, A", "2026-01-15T04:30:00Z"),
        ("EUROSTAT B: Exports", "Eurostat, B", "2026-02-15T09:00:00Z"),
    ]


def test_descriptor_of_real_figures_does_not_mention_simulation(tmp_path: Path) -> None:
    export_data_package(publish(tmp_path / "live", is_simulated=False), tmp_path / "out", kind="csv")
    package = descriptor(tmp_path / "out")
    assert package["is_simulated"] is False
    assert "simulat" not in (package["title"] + package["description"]).lower()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_resources_describe_their_files(published: Path, tmp_path: Path, kind: str) -> None:
    export_data_package(published, tmp_path / "out", kind=kind, keys=KEYS)
    for item in descriptor(tmp_path / "out")["resources"]:
        path = tmp_path / "out" / item["path"]
        assert item["bytes"] == path.stat().st_size
        assert item["hash"] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        names = [column[0] for column in duckdb.sql(f"from '{path}'").description]
        assert [field["name"] for field in item["schema"]["fields"]] == names
        assert set(item["schema"]["primaryKey"]) <= set(names)
    large = resource(tmp_path / "out", "marts.fct_large")
    assert large["description"] == "Values. Grain: code, month."
    assert large["schema"]["primaryKey"] == ["code", "month"]
    types = ["string", "date", "number", "number", "boolean", "datetime"]
    assert [field["type"] for field in large["schema"]["fields"]] == types


def test_parquet_metadata_identifies_the_publication(published: Path, tmp_path: Path) -> None:
    export_data_package(published, tmp_path / "out", kind="parquet")
    rows = duckdb.sql(
        f"select decode(key), decode(value) from parquet_kv_metadata('{tmp_path / 'out' / 'marts.fct_large.parquet'}')"
    ).fetchall()
    told = dict(rows)
    assert told["is_simulated"] == "true"
    assert told["publish_id"] == descriptor(tmp_path / "out")["publish_id"]


def test_unknown_table_error_names_the_nearest(published: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"there is no table fct_larg; next: .*fct_large"):
        export_data_package(published, tmp_path / "out", kind="csv", tables=["fct_larg"])
    assert not (tmp_path / "out").exists()


def test_earlier_export_is_replaced_only_on_request(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_data_package(published, out, kind="csv", tables=["fct_large"])
    before = contents(out)
    with pytest.raises(ExportError, match="--force"):
        export_data_package(published, out, kind="parquet")
    assert contents(out) == before
    export_data_package(published, out, kind="parquet", tables=["dim_dataset"], replace=True)
    assert "marts.fct_large.csv" not in contents(out)
    assert "marts.dim_dataset.parquet" in contents(out)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "described", [None, "not json", '{"name": "another"}', '["a list"]'], ids=["none", "no_json", "another", "list"]
)
def test_folder_not_written_by_an_export_is_never_replaced(
    published: Path, tmp_path: Path, described: str | None
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine", encoding="utf-8")
    if described is not None:
        (out / "datapackage.json").write_text(described, encoding="utf-8")
    before = contents(out)
    with pytest.raises(ExportError, match=r"thesis\.txt"):
        export_data_package(published, out, kind="csv", replace=True)
    assert contents(out) == before


def test_file_at_the_target_path_is_kept(published: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(ExportError, match="and is left unchanged"):
        export_data_package(published, tmp_path / "out", kind="csv", replace=True)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_empty_folder_is_filled(published: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert export_data_package(published, tmp_path / "out", kind="csv")


def test_failed_export_leaves_the_earlier_one_and_no_partial_folder(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_data_package(published, out, kind="csv")
    before = contents(out)

    def break_down(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(data_package, "_write_dictionary", break_down)
    with pytest.raises(ExportError, match=r"cannot write .*out: the disk is full; next: make room"):
        export_data_package(published, out, kind="csv", replace=True)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_killed_export_leaves_no_folder_and_the_next_one_cleans_up(published: Path, tmp_path: Path) -> None:
    script = (
        "import os, signal; from pathlib import Path; from publish import data_package as d;"
        "d._write_dictionary = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        f"d.export_data_package(Path({str(published)!r}), Path({str(tmp_path / 'out')!r}), kind='csv')"
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out").exists()
    assert [path.name.endswith(".tmp") for path in tmp_path.glob(".out.*")] == [True]
    export_data_package(published, tmp_path / "out", kind="csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
