"""Small state files: JSON objects, one per line, written atomically."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from extract.errors import ExtractError


def read_records(path: Path, keys: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the JSON objects of a file.

    Parameters
    ----------
    keys : collection of str
        Required keys: text or boolean values, ISO 8601 times if the name ends with ``_at``.

    Raises
    ------
    ValueError
        If it is truncated or otherwise damaged.
    """
    rows = []
    # Not `splitlines`: an office's text may hold a line separator, which JSON does not escape.
    for line in filter(None, path.read_text(encoding="utf-8").split("\n")):
        row = json.loads(line)
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str | bool) for key in keys):
            raise ValueError(f"{path} is damaged")
        for key in keys:
            if key.endswith("_at"):
                datetime.fromisoformat(row[key])
        rows.append(row)
    return rows


def is_damaged(path: Path, keys: Collection[str] = ()) -> bool:
    """True if a file is unreadable or empty."""
    try:
        return not read_records(path, keys)
    except ValueError:
        return True


def set_aside(path: Path, root: Path) -> Path:
    """Move a damaged file below ``damaged/`` of its root; return the new path."""
    target = root / "damaged" / path.relative_to(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.replace(target)


def read_record(path: Path, keys: Collection[str], *, dataset: str, next_step: str) -> dict[str, Any]:
    """Return the single object of a required file.

    Raises
    ------
    ExtractError
        If it is damaged.
    """
    try:
        (row,) = read_records(path, keys)
    except ValueError as error:
        raise ExtractError(
            f"this record is damaged ({error})", dataset=dataset, where=str(path), next_step=next_step
        ) from error
    return row
