"""The JSON schema of a registry file, for editors; ``python -m extract.schema`` regenerates it."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from extract.dataset import CONTRACT_MODES, DEFAULT_THRESHOLDS, PROTOCOLS, Dataset
from extract.registry import REGISTRY_DIR, read_declaration

PATH = REGISTRY_DIR / "schema.json"
_UNITS = ("EUR", "KG", "SUPPLEMENTARY", "INDEX", "PERCENT", "COUNT", "BALANCE", "RATE")
_SLICES = ("reporter", "month", "whole")


def registry_schema(directory: Path = REGISTRY_DIR) -> dict[str, Any]:
    """Return the schema: the fields of `Dataset` with their permitted values.

    Fields that the ``_<office>.yml`` of every office sets are not required.
    """
    schema = TypeAdapter(Dataset).json_schema()
    texts = _described(Dataset.__doc__ or "")
    known = {field.name for field in fields(Dataset)}
    for name in known:
        entry = schema["properties"][name]
        entry.pop("title", None)
        if name in texts:
            entry["description"] = texts[name]
    schema["properties"]["protocol"]["enum"] = list(PROTOCOLS)
    schema["properties"]["slice_by"]["enum"] = list(_SLICES)
    limits = {"type": "number"}
    schema["properties"]["thresholds"] |= {
        "properties": dict.fromkeys(DEFAULT_THRESHOLDS, limits),
        "additionalProperties": False,
    }
    schema["properties"]["guesses"]["items"] = {"enum": list(DEFAULT_THRESHOLDS)}
    schema["$defs"]["Measure"]["properties"]["canonical_unit"]["enum"] = list(_UNITS)
    # The registry accepts numbers as codes.
    schema["$defs"]["Measure"]["properties"]["code"]["type"] = ["string", "integer"]
    contract = schema["$defs"]["Contract"]["properties"]
    for rule, modes in CONTRACT_MODES.items():
        (contract[rule]["additionalProperties"] if rule == "new_code" else contract[rule])["enum"] = list(modes)
    by_office = [set(read_declaration(path)) for path in directory.glob("_*.yml")]
    schema["required"] = [name for name in schema["required"] if name not in set.intersection(*by_office)]
    schema["additionalProperties"] = False
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _described(doc: str) -> dict[str, str]:
    """Return the descriptions of a docstring's attributes."""
    found: dict[str, str] = {}
    name = ""
    for line in doc.partition("----------")[2].splitlines():
        if line.startswith("    ") and not line.startswith("     ") and " : " in line:
            name = line.split(" : ")[0].strip()
            found[name] = ""
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


if __name__ == "__main__":
    PATH.write_text(
        json.dumps(registry_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )
