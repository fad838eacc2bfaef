"""Input of the landing gate for unit tests: cells with one measure, from Eurostat, without a total."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from expectations.landing import LandingGateInput
from extract.dataset import DEFAULT_THRESHOLDS


def monthly_cells(folder: Path, **values: Any) -> LandingGateInput:
    """Return the input for monthly cells in ``folder``; ``previous.parquet`` holds the cells before them.

    Parameters
    ----------
    folder : Path
        Folder of the load.
    **values
        Arguments of `LandingGateInput` that differ.
    """
    usual: dict[str, Any] = {
        "office": "eurostat",
        "folder": folder,
        "previous": folder / "previous.parquet",
        "vintage_at": "2026-02-01T00:00:00",
        "key": ("partner", "product", "period", "measure"),
        "value_column": "value",
        "measure_column": "measure",
        "measures": ("VALUE",),
        "value_measures": ("VALUE",),
        "level_measures": ("VALUE",),
        "positive_measures": (),
        "index_measures": (),
        "total_partner": "",
        "total_parts": (),
        "partners": {},
        "value_factor": 1.0,
        "thresholds": DEFAULT_THRESHOLDS,
        "guesses": (),
        "quarantine_rules": (),
        "has_all_partners": True,
        "rows_read": 0,
        "rows_rejected": 0,
        "history_measures": (),
        "release_days": 31,
    }
    return LandingGateInput(**{**usual, **values})
