"""Every row of rpt_share_change and rpt_price_volume, recomputed from the replies of both offices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.recompute import (
    NOT_COUNTRIES,
    SERIES,
    Panel,
    Recomputed,
    check_columns,
    compare,
    growth_pct,
    numbered,
    ratio,
    whole_cents,
)
from tests.marts.test_shares import with_names

pytestmark = pytest.mark.integration

KEY = [*SERIES, "destination_code", "month"]
NAMES = ["destination_name_en", "destination_name_nl"]
EFFECTS = ["price", "volume", "mix", "unmatched"]
# Cells that are not comparable: more than 4 robust standard deviations from the median of at least 5 destinations, or
# beyond a factor of 5. Unit values of less than 100 kg are excluded.
MOST_DEVIATIONS, FEWEST_CELLS, MOST_FACTOR, LEAST_GRAMS = 4, 5, 5, 100_000
NORMAL = 1.4826


def bennet(items: pd.DataFrame) -> pd.DataFrame:
    """Return the price and volume effects of goods with a weight in both years, by destination and month, in cents."""
    known = items[(items["cents"] > 0) & (items["grams"] > 0)]
    earlier = known.assign(month=known["month"] + 12)
    both = known.merge(earlier, on=[*KEY, "item_code"], suffixes=("", "_before"))
    kilograms, kilograms_before = both["grams"] / 1000, both["grams_before"] / 1000
    price, price_before = both["cents"] / 100 / kilograms, both["cents_before"] / 100 / kilograms_before
    both["price"] = whole_cents((kilograms + kilograms_before) / 2 * (price - price_before))
    summed = both.groupby(KEY)[["cents", "cents_before", "grams", "grams_before", "price"]].sum()
    kilograms, kilograms_before = summed["grams"] / 1000, summed["grams_before"] / 1000
    average, average_before = summed["cents"] / 100 / kilograms, summed["cents_before"] / 100 / kilograms_before
    summed["volume"] = whole_cents((average + average_before) / 2 * (kilograms - kilograms_before))
    return summed


def share_change_rows(panel: Panel) -> pd.DataFrame:
    """Return amounts and totals of both years, if there are exports in both."""
    before, total_before = panel.year_before
    rows = panel.frame(
        value_eur=panel.complete_cents,
        value_year_before_eur=before,
        total=panel.total,
        total_before=total_before,
        vintage_at=panel.vintages,
    )
    return rows[rows[["value_eur", "value_year_before_eur", "total", "total_before"]].notna().all(axis=1)]


def test_share_changes_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_share_change"))
    rows = with_names(pd.concat([share_change_rows(panel) for panel in recomputed.panels.values()]))
    rows = rows.join(bennet(recomputed.items), on=KEY)
    value, before, total, total_before = (
        rows[name] for name in ("value_eur", "value_year_before_eur", "total", "total_before")
    )
    rows["yoy_growth_pct"] = growth_pct(value, before)
    rows["total_growth_pct"] = growth_pct(total, total_before)
    rows["share"], rows["share_year_before"] = ratio(value, total), ratio(before, total_before)
    rows["share_change_pp"] = 100 * (rows["share"] - rows["share_year_before"])
    # Own: only this destination changes. Rest: only the others do.
    growth, growth_of_all = value / before - 1, total / total_before - 1
    rest_growth = (total - value) / (total_before - before) - 1
    rest_share = 1 - rows["share_year_before"]
    is_alone = total_before == before
    rows["own_growth_pp"] = 100 * rows["share_year_before"] * rest_share * growth.fillna(0) / (1 + growth_of_all)
    # Without a base, the whole share is growth from zero.
    from_nothing = 100 * rest_share * (value - before) / total
    rows["own_growth_pp"] = rows["own_growth_pp"].where(before > 0, from_nothing)
    rows["rest_growth_pp"] = (-100 * rows["share_year_before"] * rest_share * rest_growth / (1 + growth_of_all)).where(
        ~is_alone, -100 * rows["share_year_before"] * (total - value) / total
    )
    rows["mix"] = rows["cents"] - rows["cents_before"] - rows["price"] - rows["volume"]
    rows["unmatched"] = (value - before) - (rows["cents"] - rows["cents_before"])
    for effect in EFFECTS:
        rows[f"{effect}_effect_eur"] = rows[effect]
        rows[f"{effect}_pp"] = 100 * rest_share * rows[effect] / total
    rows["matched_share"] = ratio(rows["cents"] + rows["cents_before"], value + before)
    money = ["value_eur", "value_year_before_eur", *[f"{effect}_effect_eur" for effect in EFFECTS]]
    ratios = [
        "yoy_growth_pct",
        "total_growth_pct",
        "share_year_before",
        "share",
        "share_change_pp",
        "own_growth_pp",
        "rest_growth_pp",
        *[f"{effect}_pp" for effect in EFFECTS],
        "matched_share",
    ]
    exact = [*NAMES, "vintage_at"]
    compare(published, rows.drop(columns=["cents", "grams"]), KEY, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*KEY, *money, *ratios, *exact])


# -- Indices of unit values --------------------------------------------------------------------------------------------


def price_relatives(recomputed: Recomputed) -> pd.DataFrame:
    """Return unit values relative to their mean of the year before, by good, destination and month or year.

    Columns: key of the good, ``period`` (a month's number, or a year), ``is_year``, ``year``, cents and grams of the
    period and of the year before, ``relative``, ``is_outlier``.
    """
    items = recomputed.items
    items = items[~items["destination_code"].isin(NOT_COUNTRIES) & (items["cents"] > 0) & (items["grams"] > 0)]
    kept, whole, fits = [], set(), set()
    for key, panel in recomputed.panels.items():
        complete = {month for month, is_complete in zip(panel.months, panel.is_complete, strict=True) if is_complete}
        goods = dict(zip(panel.months, panel.goods.tolist(), strict=True))
        for year in {month // 12 for month in complete}:
            months = range(12 * year, 12 * year + 12)
            if complete.issuperset(months) and len({goods[month] for month in months}) == 1:
                whole.add((*key, year))
        for month in complete:
            kept.append((*key, month))
            # The year before holds the goods of the month.
            year_before = range(12 * (month // 12) - 12, month + 1)
            if len({goods[earlier] for earlier in year_before if earlier in goods}) == 1:
                fits.add((*key, month))
    complete_months = pd.DataFrame(kept, columns=[*SERIES, "month"])
    complete_months["fits"] = [tuple(row) in fits for row in complete_months.itertuples(index=False)]
    monthly = items.merge(complete_months, on=[*SERIES, "month"]).assign(year=lambda rows: rows["month"] // 12)
    whole_years = pd.DataFrame(sorted(whole), columns=[*SERIES, "year"])
    good = [*SERIES, "destination_code", "item_code"]
    yearly = (
        monthly.merge(whole_years, on=[*SERIES, "year"])
        .groupby([*good, "year"])[["cents", "grams"]]
        .sum()
        .reset_index()
    )
    periods = pd.concat(
        [
            monthly[monthly["fits"]].assign(is_year=False, period=lambda rows: rows["month"]),
            yearly.assign(is_year=True, period=yearly["year"]),
        ]
    )
    base = yearly.assign(year=yearly["year"] + 1)
    rows = periods.merge(base, on=[*good, "year"], suffixes=("", "_before"))
    rows = rows[(rows["grams"] >= LEAST_GRAMS) & (rows["grams_before"] >= LEAST_GRAMS)].copy()
    rows["relative"] = (rows["cents"] / rows["grams"]) / (rows["cents_before"] / rows["grams_before"])
    log = np.log(rows["relative"])
    alike = rows.assign(log=log).groupby([*SERIES, "item_code", "is_year", "period"])["log"]
    deviation = log - alike.transform("median")
    spread = (
        rows.assign(size=deviation.abs())
        .groupby([*SERIES, "item_code", "is_year", "period"])["size"]
        .transform("median")
    )
    is_far = (
        (alike.transform("size") >= FEWEST_CELLS) & (spread > 0) & (deviation.abs() > MOST_DEVIATIONS * NORMAL * spread)
    )
    return rows.assign(is_outlier=is_far | (log.abs() > np.log(MOST_FACTOR)))


def index_numbers(relatives: pd.DataFrame) -> pd.DataFrame:
    """Return Laspeyres, Paasche and Fisher by destination, and for ``total``, each month and year."""
    both = pd.concat([relatives, relatives.assign(destination_code="total")], ignore_index=True)
    both["level"] = both["item_code"].str.len()
    group = [*SERIES, "destination_code", "is_year", "period", "year"]
    seen = both.groupby(group).agg(item_level=("level", "min"), n_outliers=("is_outlier", "sum"))
    used = both[~both["is_outlier"]].copy()
    # Weights of the year before, and those of the month.
    used["at_new_prices"] = used["cents_before"] * used["relative"]
    used["at_old_prices"] = used["cents"] / used["relative"]
    sums = used.groupby(group).agg(
        n_cells=("cents", "size"),
        matched=("cents", "sum"),
        matched_before=("cents_before", "sum"),
        at_new_prices=("at_new_prices", "sum"),
        at_old_prices=("at_old_prices", "sum"),
    )
    sums["laspeyres"] = sums["at_new_prices"] / sums["matched_before"]
    sums["paasche"] = sums["matched"] / sums["at_old_prices"]
    sums["fisher"] = np.sqrt(sums["laspeyres"] * sums["paasche"])
    return sums.join(seen).reset_index()


def chained(months: pd.DataFrame, years: pd.DataFrame) -> list[float]:
    """Return the index of each month on the mean of its scope's first year, chained over the links of whole years."""
    fisher = years.set_index([*SERIES, "destination_code", "year"])["fisher"].to_dict()
    first_year = years.groupby(SERIES)["year"].min().to_dict()
    result = []
    for row in months.itertuples():
        key = (row.source_code, row.concept_code, row.scope_code, row.reporter_code)
        if key not in first_year or row.year < first_year[key]:
            # The chain starts with the first link of two complete years.
            result.append(np.nan)
            continue
        links = [fisher.get((*key, row.destination_code, year), np.nan) for year in range(first_year[key], row.year)]
        result.append(row.fisher * float(np.prod(links)))
    return result


def test_unit_value_indices_match_recomputed_fisher(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_price_volume"))
    assert published["n_outliers"].sum() > 100
    relatives = price_relatives(recomputed)
    assert {True, False} == set(relatives["is_outlier"])
    numbers = index_numbers(relatives)
    months = numbers[~numbers["is_year"]].rename(columns={"period": "month"})
    months["chained"] = chained(months, numbers[numbers["is_year"]])
    values = []
    for panel in recomputed.panels.values():
        keeps = panel.is_complete & ~np.isnan(panel.cents)
        row, column = np.nonzero(keeps)
        of_panel = dict(zip(SERIES, panel.key, strict=True))
        values.append(
            pd.DataFrame(
                of_panel
                | {
                    "destination_code": np.array(panel.destinations, dtype=object)[row],
                    "month": column + panel.first,
                    "value_eur": panel.cents[row, column],
                    "vintage_at": panel.vintages[column],
                }
            )
        )
        column = np.flatnonzero(panel.is_complete)
        values.append(
            pd.DataFrame(
                of_panel
                | {
                    "destination_code": "total",
                    "month": column + panel.first,
                    "value_eur": panel.total[column],
                    "vintage_at": panel.vintages[column],
                }
            )
        )
    all_exports = pd.concat(values, ignore_index=True).assign(year=lambda rows: rows["month"] // 12)
    mean = all_exports.groupby([*SERIES, "destination_code", "year"])["value_eur"].sum() / 12
    mean = mean.rename("mean_before").reset_index().assign(year=lambda rows: rows["year"] + 1)
    rows = months.merge(all_exports.drop(columns="year"), on=KEY).merge(mean, on=[*SERIES, "destination_code", "year"])
    is_total = rows["destination_code"] == "total"
    rows = with_names(rows)
    rows["destination_name_en"] = rows["destination_name_en"].where(~is_total, "All destinations")
    rows["destination_name_nl"] = rows["destination_name_nl"].where(~is_total, "Alle bestemmingen")
    rows["is_average_price"] = rows["item_level"] < 8
    rows["coverage_share"] = ratio(rows["matched"], rows["value_eur"])
    rows["unit_value_laspeyres"] = 100 * rows["laspeyres"]
    rows["unit_value_paasche"] = 100 * rows["paasche"]
    rows["unit_value_index"] = 100 * rows["fisher"]
    rows["unit_value_index_chained"] = 100 * rows["chained"]
    rows["value_index"] = 100 * rows["value_eur"] / rows["mean_before"]
    rows["volume_index"] = rows["value_index"] / rows["fisher"]
    ratios = [
        "coverage_share",
        "unit_value_laspeyres",
        "unit_value_paasche",
        "unit_value_index",
        "unit_value_index_chained",
        "value_index",
        "volume_index",
    ]
    exact = [*NAMES, "item_level", "is_average_price", "n_cells", "n_outliers", "vintage_at"]
    compare(published, rows, KEY, money=["value_eur"], ratios=ratios, exact=exact)
    check_columns(published, [*KEY, "value_eur", *ratios, *exact])
