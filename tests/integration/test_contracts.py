"""`read_models` returns the same models and columns as dbt's manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.contracts import read_models
from metaalexport.settings import DBT_PROJECT
from tests.states import small_state

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def manifest() -> Path:
    return small_state() / "dbt" / "target" / "manifest.json"


@pytest.mark.parametrize("layer", ["staging", "intermediate", "marts", "ops"])
def test_models_match_the_manifest(manifest: Path, layer: str) -> None:
    nodes = [
        node
        for node in json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] == layer
    ]
    theirs = {
        node["name"]: (
            " ".join(node["description"].split()),
            [
                (column["name"], column["data_type"] or "", " ".join(column["description"].split()))
                for column in node["columns"].values()
            ],
        )
        for node in nodes
    }
    ours = {
        model.name: (model.description, [(column.name, column.kind, column.description) for column in model.columns])
        for model in read_models(DBT_PROJECT, layer)
    }
    assert len(ours) > 5
    assert ours == theirs
