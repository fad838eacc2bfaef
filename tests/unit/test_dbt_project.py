"""The dbt project's own rules, read from its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

MODELS = Path(__file__).resolve().parents[2] / "dbt_project" / "models"
SQL_FILES = sorted(MODELS.rglob("*.sql"))
PUBLISHED = [path for path in SQL_FILES if path.parent.name in ("marts", "ops") and path.parent.parent == MODELS]


def described(path: Path) -> dict[str, Any]:
    """Return a model's entry in the file beside it."""
    document = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))
    (model,) = document["models"]
    entry: dict[str, Any] = model
    return entry


def test_project_has_models() -> None:
    assert len(SQL_FILES) > 35
    assert len(PUBLISHED) == 16


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_every_model_is_described_beside_it(path: Path) -> None:
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
    else:
        assert "source('" not in text
    if layer == "marts":
        assert not [name for name in refs if name.startswith("stg_")], "a mart does not stand on staging"


def test_exposures_name_existing_models() -> None:
    document = yaml.safe_load((MODELS / "marts" / "_exposures.yml").read_text(encoding="utf-8"))
    names = {path.stem for path in SQL_FILES}
    assert {exposure["name"] for exposure in document["exposures"]} == {"report", "published_file"}
    for exposure in document["exposures"]:
        assert exposure["depends_on"]
        assert {re.findall(r"'(\w+)'", item)[0] for item in exposure["depends_on"]} <= names
