"""Rules of the dbt project, checked in its files."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.contracts import column_texts
from metaalexport import dbt
from metaalexport.settings import REFERENCE

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
MODELS = PROJECT / "models"
SQL_FILES = sorted(MODELS.rglob("*.sql"))
PUBLISHED = [path for path in SQL_FILES if path.parent.name in ("marts", "ops") and path.parent.parent == MODELS]


# The loads themselves, and requests, which are kept whatever the outcome of their load.
KEPT_BY_LOADS = ("stg_landing__loads", "stg_landing__requests")


def described(path: Path) -> dict[str, Any]:
    """Return a model's entry in the file next to it."""
    document = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))
    (model,) = document["models"]
    entry: dict[str, Any] = model
    return entry


def test_project_has_models() -> None:
    assert len(SQL_FILES) > 50
    assert len(PUBLISHED) == 43


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_every_model_has_a_description_next_to_it(path: Path) -> None:
    model = described(path)
    assert model["name"] == path.stem
    assert model["description"]
    assert all(column.get("description") for column in model["columns"])


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_every_published_model_has_types_and_a_primary_key(path: Path) -> None:
    model = described(path)
    assert all(column.get("data_type") for column in model["columns"])
    constraints = [item["columns"] for item in model.get("constraints", []) if item["type"] == "primary_key"]
    keys = constraints or [model["config"]["meta"]["primary_key"]]
    assert len(keys) == 1
    assert set(keys[0]) <= {column["name"] for column in model["columns"]}


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_layers_are_respected_and_the_clock_is_not_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    layer = path.relative_to(MODELS).parts[0]
    refs = re.findall(r"ref\('(\w+)'\)", text)
    assert not re.search(r"\bnow\(\)|current_date|current_timestamp|today\(\)|random\(\)", text, re.IGNORECASE)
    if layer == "staging":
        assert not refs
        assert "source(" in text
        assert "only_committed()" in text or path.stem.startswith("stg_journal__") or path.stem in KEPT_BY_LOADS
    else:
        assert "source('" not in text
    if layer == "marts":
        assert not [name for name in refs if name.startswith("stg_")], "a mart must not read staging"


def test_source_tables_and_staging_views_match() -> None:
    for source in ("landing", "journal"):
        folder = MODELS / "staging" / source
        document = yaml.safe_load((folder / "_sources.yml").read_text(encoding="utf-8"))
        tables = {(entry["name"], table["name"]) for entry in document["sources"] for table in entry["tables"]}
        read = {
            found
            for path in folder.glob("*.sql")
            for found in re.findall(r"from \{\{ source\('(\w+)', '(\w+)'\)", path.read_text(encoding="utf-8"))
        }
        assert read == tables


def test_models_that_read_landed_cells_name_their_datasets() -> None:
    """A model that reads landed cells names their datasets, so that a failed test is attributed to their loads."""
    readers = [path for path in SQL_FILES if "ref('stg_landing__changes')" in path.read_text(encoding="utf-8")]
    assert len(readers) == 2
    cells = [
        path for path in SQL_FILES if re.search(r"'stg_landing__(bulk_)?changes'", path.read_text(encoding="utf-8"))
    ]
    assert len(cells) == 7
    for path in cells:
        meta = described(path)["config"]["meta"]
        assert set(meta) & {"datasets", "datasets_of"}, path.stem
        if "datasets_of" not in meta:
            assert all(code in path.read_text(encoding="utf-8") or "bulk" in code for code in meta["datasets"])


def test_eu_seed_has_each_member_once_and_ends_memberships() -> None:
    with (REFERENCE / "country_groups.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["group_code"] == "EU"]
    with (REFERENCE / "countries.csv").open(encoding="utf-8", newline="") as handle:
        countries = {row["country_code"] for row in csv.DictReader(handle)}
    assert len({row["country_code"] for row in rows}) == len(rows)
    assert {row["country_code"] for row in rows} <= countries
    assert sum(not row["valid_to"] for row in rows) == 27
    assert [row["country_code"] for row in rows if row["valid_to"]] == ["GB"]
    assert all(row["source"] for row in rows)
    # Number of members after each enlargement, and after the United Kingdom left.
    for day, members in (
        ("1973-01-01", 9),
        ("1995-01-01", 15),
        ("2004-05-01", 25),
        ("2013-07-01", 28),
        ("2020-02-01", 27),
    ):
        there = [r for r in rows if r["valid_from"] <= day and (not r["valid_to"] or day <= r["valid_to"])]
        assert len(there) == members


def test_office_products_map_one_to_one_to_products() -> None:
    """Two codes of one office for one product would be counted twice."""
    with (REFERENCE / "office_products.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    products = [(row["office"], row["nomenclature_code"], row["product_code"]) for row in rows]
    assert len(products) == len(set(products)) == 12


def test_exposures_name_existing_models() -> None:
    document = yaml.safe_load((MODELS / "marts" / "_exposures.yml").read_text(encoding="utf-8"))
    names = {path.stem for path in SQL_FILES}
    assert {exposure["name"] for exposure in document["exposures"]} == {
        "report",
        "superset_dashboard",
        "published_file",
    }
    for exposure in document["exposures"]:
        assert exposure["depends_on"]
        assert {re.findall(r"'(\w+)'", item)[0] for item in exposure["depends_on"]} <= names


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_models_have_no_hardcoded_relation(path: Path) -> None:
    """Every table comes from `ref`, `source` or a query of the model itself."""
    text = re.sub(r"--[^\n]*|\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.findall(r"\b(?:from|join)\s+\w+\.\w+", text)


def test_shared_column_is_described_once() -> None:
    """A model refers to the shared text, or describes its difference in other words."""
    texts = column_texts(PROJECT)
    assert len(texts) > 100
    uses: dict[str, int] = dict.fromkeys(texts, 0)
    own: dict[str, list[str]] = {}
    for path in SQL_FILES:
        for column in described(path)["columns"]:
            text = " ".join(column["description"].split())
            if reference := re.fullmatch(r"{{ doc\('(\w+)'\) }}", text):
                assert reference[1].rpartition("__")[2] == column["name"], f"{path.stem}.{column['name']}"
                uses[reference[1]] += 1
            else:
                own.setdefault(column["name"], []).append(text)
    assert [name for name, count in uses.items() if count < 2] == []
    assert [name for name, text in texts.items() if text in own.get(name.rpartition("__")[2], [])] == []
    # Equal text for one column name in two models belongs in the shared texts.
    assert sorted(name for name, entries in own.items() if len(set(entries)) < len(entries)) == []


KINDS = {
    r"is_.*|has_.*": {"boolean"},
    r"n_.*": {"integer", "bigint"},
    r".*_at": {"timestamp"},
    r".*_eur": {"decimal(38,2)", "decimal(18,2)", "double"},
    r".*_kg": {"decimal(18,3)", "decimal(38,3)", "double"},
    r"(?:.*_)?share(?:_.*)?|.*_pct|.*_pp|.*_ratio|.*_index": {"double"},
    r".*_code|.*_name_(?:en|nl)": {"varchar"},
}


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_column_types_match_their_names(path: Path) -> None:
    columns = described(path)["columns"]
    assert columns
    wrong = [
        f"{column['name']} is {column['data_type']}"
        for column in columns
        for pattern, kinds in KINDS.items()
        if re.fullmatch(pattern, column["name"]) and column["data_type"] not in kinds
    ]
    assert wrong == []


def test_contracts_are_enforced_on_all_published_models() -> None:
    project = yaml.safe_load((MODELS.parent / "dbt_project.yml").read_text(encoding="utf-8"))["models"]["metaalexport"]
    for layer in ("marts", "ops"):
        assert project[layer]["+contract"] == {"enforced": True}
        assert project[layer]["+persist_docs"] == {"relation": True, "columns": True}


def test_running_out_of_memory_is_blamed_on_no_load() -> None:
    """A model that could not be built is attributed to its datasets, unless the machine is at fault."""
    model = "model.metaalexport.int_unusual_months"
    broken = dbt._error("build", {model: ("error", "Binder Error: no column")}, "", "logs")
    assert set(broken.failed) == {model}
    full = dbt._error("build", {model: ("error", "Out of Memory Error: failed to allocate 8.0 KiB")}, "", "logs")
    assert full.failed == {}
    assert "METAALEXPORT_REPORTERS" in str(full)
