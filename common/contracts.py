"""The dbt models as described in their YAML files: tables, columns, keys.

dbt's manifest has the same content (a test compares them), but Superset needs the descriptions without dbt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_BLOCK = re.compile(r"{% docs (\w+) %}(.*?){% enddocs %}", re.DOTALL)
_REFERENCE = re.compile(r"{{ doc\('(\w+)'\) }}")


@dataclass(frozen=True)
class Column:
    """A column; ``kind`` is its type, empty without a contract."""

    name: str
    kind: str
    description: str


@dataclass(frozen=True)
class Model:
    """A dbt model.

    Attributes
    ----------
    layer : str
        Folder below ``models``; for published models also the schema.
    description : str
        Content in one line, ending with the grain.
    key : tuple of str
        Columns of its key: a constraint, or tested without an index. Empty if none is declared.
    has_constraint : bool
        True if the key is a constraint of the table.
    """

    layer: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    has_constraint: bool


def column_texts(project: Path) -> dict[str, str]:
    """Return the shared column descriptions by column name (``docs/columns.md`` of the dbt project)."""
    text = (project / "docs" / "columns.md").read_text(encoding="utf-8")
    return {name: _one_line(body) for name, body in _BLOCK.findall(text)}


def read_models(project: Path, *layers: str) -> list[Model]:
    """Return the models of some layers of a dbt project, in alphabetical order within each.

    Raises
    ------
    FileNotFoundError
        If a layer has no models.
    KeyError
        If a description refers to a missing text.
    """
    paths = [(layer, path) for layer in layers for path in sorted((project / "models" / layer).rglob("*.yml"))]
    if {layer for layer, _ in paths} != set(layers):
        raise FileNotFoundError(f"{project} lacks models of {' or '.join(layers)}; next: give the folder dbt_project")
    texts = column_texts(project)
    return [
        _model(layer, entry, texts)
        for layer, path in paths
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    ]


def _model(layer: str, entry: dict[str, Any], texts: dict[str, str]) -> Model:
    constraints = [item["columns"] for item in entry.get("constraints", []) if item["type"] == "primary_key"]
    key = constraints[0] if constraints else entry.get("config", {}).get("meta", {}).get("primary_key", ())
    return Model(
        layer,
        entry["name"],
        _one_line(entry["description"]),
        tuple(
            Column(
                column["name"],
                column.get("data_type", ""),
                _one_line(_REFERENCE.sub(lambda match: texts[match[1]], column["description"])),
            )
            for column in entry.get("columns", [])
        ),
        tuple(key),
        bool(constraints),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
