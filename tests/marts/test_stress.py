"""Every row of rpt_diversification_stress, recomputed from the replies of both offices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.recompute import SERIES, Floats, Panel, Recomputed, check_columns, compare, numbered, whole_cents
from tests.marts.test_shares import with_names

pytestmark = pytest.mark.integration

KEY = [*SERIES, "month", "destination_code", "shock_pct"]
SHOCKS = (10, 25, 50, 100)
LARGEST, YEARS_OF_RISK = 10, 36


def quarters(values: Floats) -> Floats:
    """Return sums over three months; NaN if one is missing."""
    result = np.full(values.shape, np.nan)
    result[..., 2:] = values[..., 2:] + values[..., 1:-1] + values[..., :-2]
    return result


def covariance(markets: Floats, everything: Floats, column: int) -> Floats | None:
    """Return the covariance of the growth of a portfolio's markets over the three years up to a month.

    Growth is the log change of three-month sums on a year earlier. The rows of the result are the markets and, last,
    all others as one. Returns None without four complete years of each.
    """
    if column < YEARS_OF_RISK + 11:
        return None
    past = np.vstack([markets, everything - markets.sum(axis=0)])[:, column - YEARS_OF_RISK - 11 : column + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(np.where(past > 0, past, np.nan))
    growth = growth[:, 12:] - growth[:, :-12]
    return None if np.isnan(growth).any() else np.asarray(np.cov(growth))


def stress_rows(panel: Panel) -> list[dict[str, Any]]:
    """Return the loss in each of the ten largest markets of a scope, by month and shock."""
    countries = panel.countries
    names = np.array(panel.destinations, dtype=object)[countries]
    sums = panel.r12[0][countries]
    months = panel.complete_cents[countries]
    by_quarter = quarters(months)
    # A country without exports in a month counts as zero; a month without any country is missing.
    all_by_quarter = quarters(np.where(np.isnan(months).all(axis=0), np.nan, np.nansum(months, axis=0)))
    rows = []
    for column, month in enumerate(panel.months):
        active = np.flatnonzero(np.nan_to_num(sums[:, column]) > 0)
        if not len(active):
            continue
        order = active[np.lexsort((names[active], -sums[active, column]))]
        identified = sums[order, column].sum()
        weights = sums[order, column] / identified
        large = order[:LARGEST]
        # Ten markets and the others.
        known = covariance(by_quarter[large], all_by_quarter, column) if len(large) == LARGEST else None
        portfolio = np.append(weights[:LARGEST], 1 - weights[:LARGEST].sum())
        for rank, market in enumerate(large):
            for shock in SHOCKS:
                left = weights.copy()
                left[rank] *= 1 - shock / 100
                if left.sum() <= 0:
                    continue
                after = portfolio.copy()
                after[rank] *= 1 - shock / 100
                after /= after.sum()
                volatility = [np.nan, np.nan]
                if known is not None:
                    volatility = [100 * float(np.sqrt(w @ known @ w)) for w in (portfolio, after)]
                rows.append(
                    dict(zip(SERIES, panel.key, strict=True))
                    | {
                        "month": month,
                        "destination_code": names[market],
                        "market_rank": rank + 1,
                        "shock_pct": shock,
                        "market_share": weights[rank],
                        "identified_r12_eur": identified,
                        "loss_eur": whole_cents(sums[market, column] / 100 * shock / 100),
                        "loss_pct": shock * weights[rank],
                        "hhi_before": (weights**2).sum(),
                        "hhi_after": ((left / left.sum()) ** 2).sum(),
                        "volatility_before_pct": volatility[0],
                        "volatility_after_pct": volatility[1],
                        "vintage_at": panel.vintages[column],
                    }
                )
    return rows


def test_stress_rows_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_diversification_stress"))
    expected = with_names(pd.DataFrame([row for panel in recomputed.panels.values() for row in stress_rows(panel)]))
    assert expected["volatility_before_pct"].notna().sum() > 1000
    money = ["identified_r12_eur", "loss_eur"]
    ratios = [
        "market_share",
        "loss_pct",
        "hhi_before",
        "hhi_after",
        "volatility_before_pct",
        "volatility_after_pct",
    ]
    exact = ["destination_name_en", "destination_name_nl", "market_rank", "vintage_at"]
    compare(published, expected, KEY, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*KEY, *money, *ratios, *exact])
