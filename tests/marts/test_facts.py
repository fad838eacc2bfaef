"""Every row of fct_exports and fct_export_totals, recomputed from the replies of both offices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.recompute import Recomputed, check_columns, compare, numbered

pytestmark = pytest.mark.integration

KEY = [
    "source_code",
    "concept_code",
    "flow_kind",
    "reporter_code",
    "destination_code",
    "nomenclature_code",
    "product_code",
    "month",
]
TOTAL_KEY = [name for name in KEY if name not in ("destination_code", "month")] + ["period_type", "month"]
SAME = ["status_code", "is_provisional", "dataset_code", "load_id", "vintage_at"]


def with_status(figures: pd.DataFrame) -> pd.DataFrame:
    """Add the status of each figure: CBS publishes its own, Comext's depends on the date."""
    is_cbs = figures["source_code"] == "CBS"
    status = figures["cbs_status"].where(is_cbs, figures["comext_status"])
    return figures.assign(status_code=status, is_provisional=status != "final", quantity_kg=figures["grams"])


def test_exports_match_the_newest_vintage(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.fct_exports"))
    assert len(published) > 500_000
    newest = recomputed.newest
    expected = with_status(newest[(newest["period_type"] == "month") & (newest["member"] != "total")])
    expected = expected.rename(columns={"member": "destination_code", "cents": "value_eur"})
    expected = expected.assign(value_origin=np.where(expected["is_derived"], "derived", "published"))
    # Grams are compared like cents: both are whole.
    compare(
        published.assign(quantity_kg=10 * published["quantity_kg"]),
        expected,
        KEY,
        money=["value_eur", "quantity_kg"],
        exact=["value_origin", *SAME],
    )
    check_columns(published, [*KEY, "value_eur", "quantity_kg", "value_origin", *SAME], left_out=["request_id"])
    assert {"derived", "published"} == set(published["value_origin"])
    assert published["destination_code"].eq("unallocated").any()


def test_export_totals_match_the_newest_vintage(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.fct_export_totals"), "period_start")
    published = published.rename(columns={"period_start": "month"})
    assert set(published["period_type"]) == {"month", "year"}
    expected = with_status(recomputed.newest[recomputed.newest["member"] == "total"])
    expected = expected.rename(columns={"cents": "value_eur"})
    is_complete = expected["is_complete_period"].where(expected["period_type"] == "year", True)
    compare(
        published.assign(quantity_kg=10 * published["quantity_kg"]),
        expected.assign(is_complete_period=is_complete.astype(bool)),
        TOTAL_KEY,
        money=["value_eur", "quantity_kg"],
        exact=["is_complete_period", *SAME],
    )
    check_columns(
        published, [*TOTAL_KEY, "is_complete_period", "value_eur", "quantity_kg", *SAME], left_out=["request_id"]
    )


def test_every_figure_links_to_a_request_of_its_load(warehouse: Warehouse, recomputed: Recomputed) -> None:
    requests = recomputed.loads.explode("request_ids").rename(columns={"request_ids": "request_id"})
    known = set(zip(requests["load_id"], requests["request_id"], strict=True))
    assert known
    for table in ("fct_exports", "fct_export_totals"):
        pairs = warehouse.frame(f"select distinct load_id, request_id from marts.{table}")
        assert len(pairs) > len(recomputed.loads) / 2
        assert set(zip(pairs["load_id"], pairs["request_id"], strict=True)) <= known
