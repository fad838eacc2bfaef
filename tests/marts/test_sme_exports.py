"""Every row of rpt_sme_exports and rpt_manufacturer_exports, recomputed with pandas from Eurostat's replies."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.newest import COUNTRIES, newest_cells
from tests.marts.recompute import seed

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


def test_size_classes_count_the_self_employed_since_2022(table: pd.DataFrame) -> None:
    basis = table.reset_index().groupby("year")["size_basis"].agg(set)
    assert basis[2021] == {"employees"}
    assert basis[2022] == {"employees_and_self_employed"}


def manufacturer_rows(warehouse: Warehouse) -> pd.DataFrame:
    """Return exports by activity, partner and year, with shares, ranks and changes."""
    cells = newest_cells(warehouse, "eurostat_ext_tec03")
    cells = cells[(cells["freq"] == "A") & (cells["flow"] == "EXP")].assign(year=cells["period"].astype(int))
    names = {"reporter": "reporter_code", "activity": "activity_code", "partner": "partner_code"}
    cells = cells.rename(columns=names)
    for name in ("reporter_code", "partner_code"):
        cells[name] = cells[name].replace(COUNTRIES)
    key = ["reporter_code", "activity_code", "partner_code", "year"]
    wide = cells.pivot(index=key, columns="measure", values="value")
    rows = pd.DataFrame({"n_exporters": wide["NR"], "value_eur": 1000 * wide["THS_EUR"]}).reset_index()
    rows = rows.merge(cells.groupby(key)["vintage_at"].max().reset_index(), on=key)
    whole = ["reporter_code", "activity_code", "year"]
    for group, name in (("WORLD", "total_eur"), ("EXT_EU", "extra")):
        of_group = rows[rows["partner_code"] == group].set_index(whole)["value_eur"].rename(name)
        rows = rows.join(of_group, on=whole)
    groups = seed("country_groups")
    union = set(groups.loc[(groups["group_code"] == "EU") & groups["valid_to"].isna(), "country_code"])
    rows["is_country"] = ~rows["partner_code"].isin(["WORLD", "EXT_EU", "INT_EU"])
    rows["value_share"] = rows["value_eur"] / rows["total_eur"]
    is_outside = rows["is_country"] & ~rows["partner_code"].isin(union)
    rows["share_extra_eu"] = (rows["value_eur"] / rows["extra"]).where(is_outside)
    rows["partner_rank"] = rows[rows["is_country"]].groupby(whole)["value_eur"].rank(method="min", ascending=False)
    before = rows.assign(year=rows["year"] + 1).set_index(key)[["value_share", "value_eur"]]
    joined = rows.join(before, on=key, rsuffix="_before")
    rows["share_change_pp"] = 100 * (joined["value_share"] - joined["value_share_before"])
    rows["growth_pct"] = 100 * (joined["value_eur"] / joined["value_eur_before"].where(lambda base: base > 0) - 1)
    return rows.set_index(key).sort_index()


def test_manufacturer_exports_match_the_newest_vintage(warehouse: Warehouse) -> None:
    key = ["reporter_code", "activity_code", "partner_code", "year"]
    table = warehouse.frame("from marts.rpt_manufacturer_exports order by all").set_index(key).sort_index()
    expected = manufacturer_rows(warehouse)
    assert set(table.index.get_level_values("activity_code")) == {"C", "C24", "C25", "C28"}
    assert list(table.index) == list(expected.index)
    for name in ("n_exporters", "value_eur", "total_eur", "partner_rank"):
        pd.testing.assert_series_equal(
            table[name].astype("float64"), expected[name].astype("float64"), check_exact=True, check_index_type=False
        )
    for name in ("value_share", "share_extra_eu", "share_change_pp", "growth_pct"):
        pd.testing.assert_series_equal(
            table[name].astype("float64"),
            expected[name].astype("float64"),
            check_index_type=False,
            rtol=1e-9,
            atol=1e-9,
        )
    assert (table["is_country"] == expected["is_country"]).all()
    assert (table["vintage_at"] == expected["vintage_at"]).all()


def test_the_share_of_the_united_states_in_manufacturers_exports_is_one_query(warehouse: Warehouse) -> None:
    found = warehouse.frame("""
        select year, value_share from marts.rpt_manufacturer_exports
        where reporter_code = 'NL' and activity_code = 'C' and partner_code = 'US' order by year
    """)
    assert len(found) >= 4
    assert found["value_share"].between(0.02, 0.15).all()
