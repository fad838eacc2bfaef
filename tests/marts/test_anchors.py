"""Every published figure compared with the warehouse, recomputed with pandas from the replies of both offices."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from metaalexport.settings import REFERENCE
from tests.marts.conftest import Warehouse
from tests.marts.newest import newest_cells

pytestmark = pytest.mark.integration

CELL = ["source_code", "concept_code", "flow_kind", "reporter_code", "product", "destination_code", "month"]
FLOWS = {"D001636": "total", "M001648": "re_export", "M001632": "domestic_product", "M007897": "quasi_transit"}
BORDER = {"source_code": "CBS", "concept_code": "border_crossing_excl_transit", "product": "SITC TOTAL"}


def seed(name: str) -> pd.DataFrame:
    """Return the rows of a seed, all columns as text, empty for missing."""
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return pd.DataFrame(list(csv.DictReader(handle)))


def members_of_the_eu() -> list[str]:
    """Return the members since February 2020 without the Netherlands: no published EU figure is older."""
    rows = seed("country_groups")
    members = rows[(rows["group_code"] == "EU") & (rows["valid_to"] == "") & (rows["country_code"] != "NL")]
    assert len(members) == 26
    return list(members["country_code"])


def destinations_of(office: str) -> dict[str, str]:
    """Return destination by code of the office; `total` for all of them."""
    rows = seed("office_partners")
    rows = rows[(rows["office"] == office) & rows["member_kind"].isin(["country", "total"])]
    named = rows["destination_code"].where(rows["member_kind"] == "country", "total")
    return dict(zip(rows["office_code"], named, strict=True))


def cbs(warehouse: Warehouse, dataset: str, concept: str) -> pd.DataFrame:
    """Return the months of a CBS table in euros, in the codes of the seed."""
    products = seed("office_products")
    names = dict(
        zip(products["office_code"], products["nomenclature_code"] + " " + products["product_code"], strict=True)
    )
    rows = newest_cells(warehouse, dataset)
    rows = rows[rows["period"].str.contains("MM") & rows["measure"].isin(FLOWS)]
    return pd.DataFrame(
        {
            "source_code": "CBS",
            "concept_code": concept,
            "flow_kind": rows["measure"].map(FLOWS),
            "reporter_code": "NL",
            "product": rows["product"].map(names),
            "destination_code": rows["partner"].map(destinations_of("cbs")),
            "month": pd.to_datetime(rows["period"].str.replace("MM", "-") + "-01"),
            "eur": rows["value"] * 1e6,
        }
    ).dropna()


def comext(warehouse: Warehouse) -> pd.DataFrame:
    """Return the monthly exports of Comext by CN in euros, in the codes of the seed."""
    rows = newest_cells(warehouse, "eurostat_ds_045409")
    rows = rows[(rows["freq"] == "M") & (rows["flow"] == "2") & (rows["measure"] == "VALUE_IN_EUROS")]
    return pd.DataFrame(
        {
            "source_code": "EUROSTAT",
            "concept_code": "community",
            "flow_kind": "total",
            "reporter_code": rows["reporter"],
            "product": "CN " + rows["product"],
            "destination_code": rows["partner"].map(destinations_of("eurostat")),
            "month": pd.to_datetime(rows["period"] + "-01"),
            "eur": rows["value"],
        }
    ).dropna()


@pytest.fixture(scope="module")
def cells(warehouse: Warehouse) -> pd.Series[float]:
    """Return euros by cell, from the newest vintage."""
    including = cbs(warehouse, "cbs_85429ned", "border_crossing_incl_transit")
    parts = including[including["flow_kind"].isin(["re_export", "domestic_product"])]
    key = ["product", "destination_code", "month"]
    both = parts.groupby(key)["eur"].agg(["sum", "count"]).reset_index()
    both = both[both["count"] == 2].rename(columns={"sum": "eur"})
    excluding = both.assign(
        source_code="CBS", concept_code=BORDER["concept_code"], flow_kind="total", reporter_code="NL"
    )
    owned = cbs(warehouse, "cbs_85427ned", "ownership_transfer")
    # Some countries have two codes at an office.
    return pd.concat([including, excluding, owned, comext(warehouse)]).groupby(CELL)["eur"].sum()


def total_of(cells: pd.Series[float], row: dict[str, str], **other: str) -> float:
    """Return euros of a figure's period; NaN if a month or a destination is missing."""
    wanted = {**row, "product": f"{row['nomenclature_code']} {row['product_code']}", **other}
    members = members_of_the_eu() if wanted["destination_code"] == "EU" else [wanted["destination_code"]]
    months = pd.date_range(row["period_from"], row["period_to"], freq="MS")
    keys = [
        tuple({**wanted, "destination_code": member, "month": month}[name] for name in CELL)
        for member in members
        for month in months
    ]
    return float(cells.reindex(pd.MultiIndex.from_tuples(keys, names=CELL)).sum(skipna=False))


def ours(cells: pd.Series[float], row: dict[str, str]) -> float:
    """Return a figure from landing, in its unit; NaN if landing does not have it."""
    if row["scope_code"]:
        # Scope figures are of 2017 and 2018 only: no product of those years is loaded.
        assert row["period_to"] < "2021"
        assert cells.index.get_level_values("month").min() >= pd.Timestamp("2021-01-01")
        return float("nan")
    value = total_of(cells, row)
    if row["measure"] == "share_of_total":
        return value / total_of(cells, row, destination_code="total")
    if row["measure"] == "ratio_to_border_crossing":
        return value / total_of(cells, row, **BORDER)
    return value


def bounds(row: dict[str, str]) -> tuple[float, float]:
    """Return the lower and upper bound of the warehouse's figure."""
    factor = 1e6 if row["unit_code"] == "mln_eur" else 1.0
    if row["lower_value"]:
        return float(row["lower_value"]) * factor, float(row["upper_value"]) * factor
    until, published = pd.Period(row["period_to"], "M"), pd.Period(row["published_month"], "M")
    tolerance = float(row["tolerance_pct"] or (4 if (published - until).n < 24 else 1)) / 100
    value, rounding = float(row["published_value"]) * factor, float(row["rounding_unit"]) * factor / 2
    return value * (1 - tolerance) - rounding, value * (1 + tolerance) + rounding


def test_published_figures_are_compared_with_landing(warehouse: Warehouse, cells: pd.Series[float]) -> None:
    found = warehouse.frame("select * from ops.anchors").set_index("anchor_code")
    figures = seed("published_figures").to_dict("records")
    assert len(figures) == len(found) == 160
    compared = 0
    for row in figures:
        anchor, code = found.loc[row["anchor_code"]], row["anchor_code"]
        value, (lower, upper) = ours(cells, row), bounds(row)
        published = float(row["published_value"]) * (1e6 if row["unit_code"] == "mln_eur" else 1)
        assert anchor["published_value"] == published, code
        assert np.allclose([anchor["lower_value"], anchor["upper_value"]], [lower, upper], rtol=1e-12, atol=0), code
        if np.isnan(value):
            assert anchor["outcome"] == "not_loaded", code
            assert pd.isna(anchor["warehouse_value"]), code
            continue
        compared += 1
        if row["measure"] == "value":
            assert round(anchor["warehouse_value"], 2) == round(value, 2), code
        else:
            assert anchor["warehouse_value"] == pytest.approx(value, rel=1e-9), code
        assert anchor["difference_pct"] == pytest.approx(100 * (value / published - 1), abs=1e-9), code
        assert anchor["outcome"] == ("within" if lower <= value <= upper else "outside"), code
    assert compared == 120


def test_simulator_meets_every_figure_it_claims(warehouse: Warehouse) -> None:
    claimed = warehouse.frame("select anchor_code, outcome from ops.anchors where holds_in_simulation")
    assert len(claimed) == 50
    assert set(claimed["outcome"]) == {"within"}


def test_real_figures_out_of_bounds_do_not_block_a_simulated_candidate(warehouse: Warehouse) -> None:
    outside = warehouse.frame("select anchor_code, holds_in_simulation from ops.anchors where outcome = 'outside'")
    assert "N28.total" in set(outside["anchor_code"])
    assert not outside["holds_in_simulation"].any()
    checks = warehouse.frame(
        "select check_name, is_passed from ops.checks where gate = 'candidate'"
        " and check_name like 'published_%_are_met'"
        " qualify row_number() over (partition by check_name order by checked_at desc) = 1"
    )
    assert sorted(checks["check_name"]) == ["published_details_are_met", "published_figures_are_met"]
    assert checks["is_passed"].all()


def test_cbs_sums_agree_within_rounding(warehouse: Warehouse, cells: pd.Series[float]) -> None:
    """Check CBS's flow kinds and sections against its totals, without the models."""
    rows = cells.reset_index()
    rows = rows[(rows["source_code"] == "CBS") & (rows["destination_code"] == "total")]
    rows["mln"] = rows["eur"] / 1e6
    kinds = rows[rows["concept_code"] != BORDER["concept_code"]].pivot_table(
        index=["concept_code", "product", "month"], columns="flow_kind", values="mln"
    )
    assert len(kinds) == 67 * (11 + 12)
    parts = kinds[["re_export", "domestic_product", "quasi_transit"]]
    rounded = 1 + parts.notna().sum(axis=1)
    assert ((parts.sum(axis=1) - kinds["total"]).abs() <= rounded / 2).all()
    goods = rows.pivot_table(index=["concept_code", "flow_kind", "month"], columns="product", values="mln")
    sections = goods.drop(columns="SITC TOTAL")
    summed = 1 + sections.notna().sum(axis=1)
    # The total without quasi-transit is a sum of two rounded figures, and so are its sections.
    summed *= np.where(goods.index.get_level_values("concept_code") == BORDER["concept_code"], 2, 1)
    assert len(goods) == 67 * 8
    assert ((sections.sum(axis=1) - goods["SITC TOTAL"]).abs() <= summed / 2).all()
    checks = warehouse.frame(
        "select check_name, is_passed from ops.checks where gate = 'candidate' and check_name in"
        " ('sections_sum_to_total', 'months_sum_to_year', 'flow_kinds_sum_to_total')"
        " qualify row_number() over (partition by check_name order by checked_at desc) = 1"
    )
    assert len(checks) == 3
    assert checks["is_passed"].all()
