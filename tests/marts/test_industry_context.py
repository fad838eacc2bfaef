"""Every row of rpt_industry_context, recomputed with pandas from the replies of both offices."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.newest import COUNTRIES, newest_cells

pytestmark = pytest.mark.integration

KEY = ["source_code", "reporter_code", "activity_code", "month"]
BRANCHES = {
    "307500": "C",
    "328110": "C24-C30_C33",
    "328105": "C24_C25",
    "328100": "C24",
    "330300": "C25",
    "332905": "C26-C28",
    "336500": "C28",
    "339205": "C29_C30",
}
PRODUCTS = {"A014686": "C24", "A014687": "C241", "A014975": "C25", "A015835": "C28"}
PRODUCTION = {
    "A042501_1": "production_index",
    "A052581_1": "production_calendar_adjusted_index",
    "A050903_1": "production_seasonally_adjusted_index",
}
MARKETS = {
    "A044074": "producer_price_index",
    "A044075": "producer_price_domestic_index",
    "A044076": "producer_price_export_index",
}
MOODS = {
    ("M002289", "A042500"): "producer_confidence_seasonally_adjusted_balance",
    ("M002291", "A042500"): "expected_activity_seasonally_adjusted_balance",
    ("M000210", "A042500"): "order_book_seasonally_adjusted_balance",
}
ADJUSTED = {"NSA": "", "CA": "_calendar_adjusted", "SCA": "_seasonally_adjusted"}
EUROSTAT = {
    "eurostat_sts_inpr_m": "production",
    "eurostat_sts_intv_m": "turnover",
    "eurostat_sts_intvnd_m": "turnover_non_domestic",
    "eurostat_sts_inppd_m": "producer_price_domestic",
    "eurostat_sts_inppnd_m": "producer_price_export",
}
# Only the sister table of these is recorded; the mart must mark them as unverified.
UNVERIFIED = {"production_index", "production_calendar_adjusted_index"}
GROWN = (
    "production",
    "production_calendar_adjusted",
    "turnover",
    "turnover_calendar_adjusted",
    "turnover_non_domestic",
    "turnover_non_domestic_calendar_adjusted",
    "producer_price",
    "producer_price_domestic",
    "producer_price_export",
)


def cbs_months(cells: pd.DataFrame) -> pd.DataFrame:
    months = cells[cells["period"].str.contains("MM")].copy()
    months["month"] = pd.to_datetime(months["period"].str.replace("MM", "-") + "-01")
    return months.assign(source_code="CBS", reporter_code="NL")


def long_form(warehouse: Warehouse) -> pd.DataFrame:
    """Return source, reporter, activity, figure, month, value and vintage of both offices' newest figures."""
    production = cbs_months(newest_cells(warehouse, "cbs_85806ned"))
    production = production.assign(
        activity_code=production["activity"].map(BRANCHES), figure=production["measure"].map(PRODUCTION)
    )
    prices = cbs_months(newest_cells(warehouse, "cbs_85770ned"))
    prices = prices.assign(activity_code=prices["product"].map(PRODUCTS), figure=prices["market"].map(MARKETS))
    moods = cbs_months(newest_cells(warehouse, "cbs_81234ned"))
    moods = moods.assign(
        activity_code=moods["activity"].map(BRANCHES),
        figure=[MOODS[pair] for pair in zip(moods["measure"], moods["adjustment"], strict=True)],
    )
    frames = [production, prices, moods]
    for dataset, stem in EUROSTAT.items():
        cells = newest_cells(warehouse, dataset)
        frames.append(
            cells.assign(
                source_code="EUROSTAT",
                reporter_code=cells["reporter"].replace(COUNTRIES),
                activity_code=cells["activity"],
                month=pd.to_datetime(cells["period"] + "-01"),
                figure=[f"{stem}{ADJUSTED[code]}_index" for code in cells["adjustment"]],
            )
        )
    columns = [*KEY, "figure", "value", "vintage_at"]
    return pd.concat([frame[columns] for frame in frames], ignore_index=True)


@pytest.fixture(scope="module")
def table(warehouse: Warehouse) -> pd.DataFrame:
    rows = warehouse.frame("from marts.rpt_industry_context order by all")
    assert len(rows) > 500
    return rows.set_index(KEY).sort_index()


@pytest.fixture(scope="module")
def expected(warehouse: Warehouse) -> pd.DataFrame:
    return long_form(warehouse)


def test_figures_match_the_newest_vintage(table: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert not expected.isna().any().any(), "a code without a meaning"
    wide = expected.pivot(index=KEY, columns="figure", values="value").sort_index()
    assert len(wide.columns) == 15
    pd.testing.assert_frame_equal(
        table[list(wide.columns)], wide, check_names=False, check_index_type=False, rtol=0, atol=1e-9
    )


def test_growth_compares_with_the_same_month_a_year_earlier(table: pd.DataFrame, expected: pd.DataFrame) -> None:
    wide = expected.pivot(index=KEY, columns="figure", values="value").sort_index()
    earlier = wide.reset_index()
    earlier["month"] = earlier["month"] + pd.DateOffset(years=1)
    earlier = earlier.set_index(KEY).reindex(wide.index)
    checked = 0
    for name in GROWN:
        growth = 100 * (wide[f"{name}_index"] / earlier[f"{name}_index"] - 1)
        pd.testing.assert_series_equal(
            table[f"{name}_growth_pct"], growth, check_names=False, check_index_type=False, rtol=0, atol=1e-9
        )
        checked += int(growth.notna().sum())
    assert checked > 2000


def test_rows_name_unverified_figures_and_newest_vintage(table: pd.DataFrame, expected: pd.DataFrame) -> None:
    guessed = expected[(expected["source_code"] == "CBS") & expected["figure"].isin(UNVERIFIED)]
    named = guessed.groupby(KEY)["figure"].agg(lambda figures: ", ".join(sorted(figures)))
    assert not named.empty
    found = table["unverified_figures"].dropna()
    assert found.to_dict() == named.to_dict()
    newest = expected.groupby(KEY)["vintage_at"].max().sort_index()
    assert (table["vintage_at"].to_numpy() == newest.to_numpy()).all()


def test_no_column_is_empty_throughout(table: pd.DataFrame) -> None:
    assert not table.empty
    assert [name for name in table.columns if table[name].isna().all()] == []
    assert {"CBS", "EUROSTAT"} == set(table.index.get_level_values("source_code"))
    assert {"C24", "C25", "C28"} <= set(table.index.get_level_values("activity_code"))
