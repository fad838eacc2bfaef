"""Tables kept as CSV, here and in the reference folder."""

from __future__ import annotations

import csv
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def read_table(path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column; ``path`` is relative to the repository."""
    with (_ROOT / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
