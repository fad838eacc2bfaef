"""The offices' newest figures, computed with pandas from the landing area alone."""

from __future__ import annotations

import json

import pandas as pd

from tests.marts.conftest import Warehouse
from tests.marts.recompute import NOT_CELL

# Eurostat's main host has its own code for Greece.
COUNTRIES = {"EL": "GR", "UK": "GB"}


def newest_cells(warehouse: Warehouse, dataset: str) -> pd.DataFrame:
    """Return each cell of a dataset with its newest value, and the vintage that published it.

    Cells that were withdrawn or no longer have a value are excluded.
    """
    manifests = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (warehouse.landing / dataset).glob(f"{dataset}__*/load.json")
    ]
    loads = pd.DataFrame(
        [{name: load[name] for name in ("load_id", "vintage_at", "retrieved_at")} for load in manifests]
    )
    changes = warehouse.landed(dataset)
    cell = [name for name in changes.columns if name not in NOT_CELL]
    said = changes.merge(loads, on="load_id", validate="many_to_one")
    newest = said.sort_values(["vintage_at", "retrieved_at", "load_id"]).groupby(cell, as_index=False).tail(1)
    newest = newest[newest["value"].notna()].copy()
    newest["vintage_at"] = pd.to_datetime(newest["vintage_at"]).dt.tz_convert(None)
    return newest[[*cell, "value", "vintage_at"]].reset_index(drop=True)
