"""Every row of rpt_sme_exports, recomputed with pandas from Eurostat's replies."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.newest import COUNTRIES, newest_cells

pytestmark = pytest.mark.integration

GROUP = ["reporter_code", "activity_code", "partner_group_code", "year"]
KEY = [*GROUP, "size_class_code"]
BELOW_250 = ("0-9", "10-49", "50-249")


def expected_rows(warehouse: Warehouse) -> pd.DataFrame:
    """Return exporters, euros, shares and averages of each class, and of all classes below 250 persons together."""
    cells = newest_cells(warehouse, "eurostat_ext_tec01")
    cells = cells[(cells["freq"] == "A") & (cells["flow"] == "EXP")].assign(year=cells["period"].astype(int))
    names = {"reporter": "reporter_code", "activity": "activity_code", "partner": "partner_group_code"}
    cells = cells.rename(columns=names | {"size_class": "size_class_code"})
    cells["reporter_code"] = cells["reporter_code"].replace(COUNTRIES)
    wide = cells.pivot(index=KEY, columns="measure", values="value")
    rows = pd.DataFrame({"n_exporters": wide["NR"], "value_eur": 1000 * wide["THS_EUR"]})
    rows["vintage_at"] = cells.groupby(KEY)["vintage_at"].max()
    rows = rows.reset_index()
    small = rows[rows["size_class_code"].isin(BELOW_250)].groupby(GROUP)
    # The sum requires all three figures.
    sums = small[["n_exporters", "value_eur"]].sum(min_count=len(BELOW_250)).assign(size_class_code="LT250")
    sums["vintage_at"] = small["vintage_at"].max()
    rows = pd.concat([rows, sums.reset_index()], ignore_index=True)
    total = rows[rows["size_class_code"] == "TOTAL"].set_index(GROUP)
    of = rows.join(total[["n_exporters", "value_eur"]], on=GROUP, rsuffix="_of_all")
    rows["exporters_share"] = of["n_exporters"] / of["n_exporters_of_all"]
    rows["value_share"] = of["value_eur"] / of["value_eur_of_all"]
    rows["value_per_exporter_eur"] = rows["value_eur"] / rows["n_exporters"]
    return rows.set_index(KEY).sort_index()


@pytest.fixture(scope="module")
def table(warehouse: Warehouse) -> pd.DataFrame:
    rows = warehouse.frame("from marts.rpt_sme_exports order by all")
    assert len(rows) > 100
    return rows.set_index(KEY).sort_index()


def test_rows_match_the_newest_vintage(warehouse: Warehouse, table: pd.DataFrame) -> None:
    expected = expected_rows(warehouse)
    assert list(table.index) == list(expected.index)
    # Money and counts exactly, missing ones included; ratios to the ninth decimal.
    for name in ("n_exporters", "value_eur"):
        pd.testing.assert_series_equal(
            table[name].astype("float64"), expected[name].astype("float64"), check_exact=True, check_index_type=False
        )
    for name in ("exporters_share", "value_share"):
        pd.testing.assert_series_equal(table[name], expected[name], check_index_type=False, rtol=0, atol=1e-9)
    pd.testing.assert_series_equal(
        table["value_per_exporter_eur"], expected["value_per_exporter_eur"], check_index_type=False, rtol=1e-12, atol=0
    )
    assert (table["vintage_at"] == expected["vintage_at"]).all()


def test_size_classes_sum_to_all_enterprises(table: pd.DataFrame) -> None:
    """No NL or DE figure is secret in the simulator: the classes sum to the total, in rounded thousands of euros."""
    sizes = table.reset_index()
    sizes = sizes[sizes["reporter_code"].isin(["NL", "DE"])]
    members = sizes[sizes["size_kind"].isin(["small_or_medium", "large", "unknown"])].groupby(GROUP)
    assert members.ngroups >= 2 * 3 * 3 * 4
    assert (members.size() == 5).all()
    total = sizes[sizes["size_kind"] == "total"].set_index(GROUP)
    assert ((members["value_eur"].sum() - total["value_eur"]).abs() <= 5 * 1000).all()
    assert (members["n_exporters"].sum() == total["n_exporters"]).all()
    small = sizes[sizes["size_class_code"] == "LT250"].set_index(GROUP)
    assert small["value_share"].between(0.3, 0.7).all()
    assert (small["exporters_share"] < 1).all()


def test_partner_groups_sum_to_world_in_value_only(table: pd.DataFrame) -> None:
    values = (
        table.reset_index()
        .pivot(
            index=["reporter_code", "activity_code", "size_class_code", "year"],
            columns="partner_group_code",
            values=["value_eur", "n_exporters"],
        )
        .dropna()
    )
    assert not values.empty
    euros, exporters = values["value_eur"].astype("float64"), values["n_exporters"].astype("float64")
    assert ((euros["INT_EU"] + euros["EXT_EU"] - euros["WORLD"]).abs() <= 5 * 1000).all()
    # An enterprise that exports to both counts as one exporter.
    assert (exporters["INT_EU"] + exporters["EXT_EU"] >= exporters["WORLD"]).all()
    assert (exporters.max(axis=1) == exporters["WORLD"]).all()


def test_no_column_is_empty_throughout(table: pd.DataFrame) -> None:
    assert not table.empty
    assert [name for name in table.columns if table[name].isna().all()] == []
