"""Every row of rpt_destination_periods and rpt_destination_tonnes, recomputed from the replies of both offices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.recompute import (
    SERIES,
    Floats,
    Panel,
    Recomputed,
    check_columns,
    compare,
    growth_pct,
    numbered,
    ratio,
    sum_known,
)
from tests.marts.test_shares import ranks, with_names

pytestmark = pytest.mark.integration

NAMES = ["destination_name_en", "destination_name_nl"]


def period_rows(panel: Panel) -> pd.DataFrame:
    """Return quarters and years, with figures if all their months are complete and hold the same goods."""
    parts = []
    months = np.array(panel.months)
    for period_type, length in (("quarter", 3), ("year", 12)):
        found: dict[int, dict[str, Any]] = {}
        for start in sorted({month - month % length for month in months[panel.is_listed].tolist()}):
            columns = np.flatnonzero((months >= start) & (months < start + length) & panel.is_listed)
            known = columns[panel.is_complete[columns]]
            same_goods = len(set(panel.goods[columns].tolist())) == 1
            is_complete = len(known) == length and same_goods
            cells = panel.cents[:, columns]
            found[start] = {
                "has_value": ~np.isnan(cells).all(axis=1),
                "n": len(known),
                "is_complete": is_complete,
                "goods": panel.goods[columns[0]],
                "last_goods": panel.goods[columns[-1]],
                "value": sum_known(cells) if is_complete else np.full(len(cells), np.nan),
                "total": panel.total[columns].sum() if is_complete else np.nan,
                "vintage_at": panel.vintages[columns].max(),
            }
        for start, one in found.items():
            before = found.get(start - 12)
            is_alike = before is not None and before["goods"] == one["last_goods"]
            value_before = before["value"] if before is not None and is_alike else np.full(len(one["value"]), np.nan)
            total_before = before["total"] if before is not None and is_alike else np.nan
            share = ratio(one["value"], one["total"])
            parts.append(
                pd.DataFrame(
                    {
                        "destination_code": panel.destinations,
                        "period_type": period_type,
                        "period_start": pd.Timestamp(start // 12, start % 12 + 1, 1),
                        "n_complete_months": one["n"],
                        "is_complete": one["is_complete"],
                        "value_eur": one["value"],
                        "total_eur": one["total"],
                        "share": share,
                        "destination_rank": ranks(one["value"][:, None], panel.countries)[:, 0],
                        "growth_pct": growth_pct(one["value"], value_before),
                        "share_change_pp": 100 * (share - ratio(value_before, total_before)),
                        "vintage_at": one["vintage_at"],
                    }
                )[one["has_value"]].assign(**dict(zip(SERIES, panel.key, strict=True)))
            )
    return pd.concat(parts, ignore_index=True)


def test_quarters_and_years_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = warehouse.frame("from marts.rpt_destination_periods")
    expected = with_names(pd.concat([period_rows(panel) for panel in recomputed.panels.values()], ignore_index=True))
    # A month that has just begun does not make a quarter.
    assert set(published.loc[~published["is_complete"], "value_eur"].dropna()) == set()
    assert not published["is_complete"].all()
    key = [*SERIES, "destination_code", "period_type", "period_start"]
    money, ratios = ["value_eur", "total_eur"], ["share", "growth_pct", "share_change_pp"]
    exact = [*NAMES, "destination_kind", "n_complete_months", "is_complete", "destination_rank", "vintage_at"]
    compare(published, expected, key, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*key, *money, *ratios, *exact])


def rolling(values: Floats, columns: range, *, all_known: bool) -> Floats:
    """Return sums over the 12 months up to each one; NaN if a month is missing and all are needed."""
    result = np.full(values.shape, np.nan)
    for column in columns:
        window = values[..., max(column - 11, 0) : column + 1]
        sums = window.sum(axis=-1) if all_known else sum_known(window)
        if not all_known or window.shape[-1] == 12:
            result[..., column] = sums
    return result


def tonnes_rows(recomputed: Recomputed, panel: Panel) -> pd.DataFrame:
    """Return tonnes by destination and month; one good without a weight leaves the sum unknown."""
    items = recomputed.items
    items = items[(items[SERIES] == list(panel.key)).all(axis=1)]
    by_cell = items.groupby(["destination_code", "month"])["grams"].agg(
        lambda grams: grams.sum() if grams.notna().all() else np.nan
    )
    wide = by_cell.unstack("month").reindex(index=panel.destinations, columns=list(panel.months)).to_numpy(np.float64)
    totals = recomputed.of_scopes(
        recomputed.totals[
            (
                recomputed.totals[["source_code", "concept_code", "reporter_code"]]
                == [panel.key[0], panel.key[1], panel.key[3]]
            ).all(axis=1)
        ]
    )
    totals = totals[totals["scope_code"] == panel.key[2]]
    of_month = (
        (totals["sign"] * totals["grams"])
        .groupby(totals["month"])
        .agg(lambda grams: grams.sum() if grams.notna().all() else np.nan)
    )
    total = of_month.reindex(list(panel.months)).to_numpy(np.float64)
    weight = np.where(panel.is_complete, wide, np.nan)
    n = len(panel.total)
    lacks = ~np.isnan(panel.cents) & np.isnan(weight)
    sums = rolling(weight, range(n), all_known=False)
    has_r12 = ~np.isnan(panel.r12[1])
    for column in range(n):
        sums[lacks[:, max(column - 11, 0) : column + 1].any(axis=1), column] = np.nan
    r12 = np.where(has_r12, sums, np.nan)
    total_r12 = rolling(total, range(n), all_known=True)
    before = np.full(r12.shape, np.nan)
    before[:, 12:] = r12[:, :-12]
    before = np.where(np.isnan(panel.r12_year_before[1]), np.nan, before)
    rows = panel.frame(
        is_complete=panel.is_complete,
        tonnes=weight / 1e6,
        total_tonnes=np.where(panel.is_complete, total, np.nan) / 1e6,
        share_of_tonnes=ratio(weight, np.where(panel.is_complete, total, np.nan)),
        tonnes_r12=r12 / 1e6,
        share_of_tonnes_r12=ratio(r12, total_r12),
        tonnes_r12_growth_pct=growth_pct(r12, before),
        vintage_at=panel.vintages,
    )
    return rows[rows["tonnes"].notna() | rows["tonnes_r12"].notna()]


def test_tonnes_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_destination_tonnes"))
    # CBS publishes no weights.
    assert set(published["source_code"]) == {"EUROSTAT"}
    panels = [panel for panel in recomputed.panels.values() if panel.key[0] == "EUROSTAT"]
    expected = with_names(pd.concat([tonnes_rows(recomputed, panel) for panel in panels], ignore_index=True))
    expected = expected.drop(columns="destination_kind")
    weights = ["tonnes", "total_tonnes", "tonnes_r12"]
    for name in weights:
        published[name] = published[name].astype(float)
    key = [*SERIES, "destination_code", "month"]
    ratios = [*weights, "share_of_tonnes", "share_of_tonnes_r12", "tonnes_r12_growth_pct"]
    exact = [*NAMES, "is_complete", "vintage_at"]
    compare(published, expected, key, ratios=ratios, exact=exact)
    check_columns(published, [*key, *ratios, *exact])
