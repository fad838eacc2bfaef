"""Every row of rpt_destination_shares and rpt_market_concentration, recomputed from the replies of both offices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.recompute import (
    NOT_COUNTRIES,
    SERIES,
    Floats,
    Panel,
    Recomputed,
    check_columns,
    compare,
    growth_pct,
    numbered,
    ratio,
    seed,
)

pytestmark = pytest.mark.integration

KEY = [*SERIES, "destination_code", "month"]
SHARES = {
    "money": ["value_eur", "total_eur", "value_r12_eur", "value_year_before_eur"],
    "ratios": [
        "share",
        "share_lower",
        "share_upper",
        "share_r12",
        "share_ytd",
        "yoy_growth_pct",
        "share_change_pp",
        "usual_share_revision_pp",
        "contribution_to_growth_pp",
        "value_sa_eur",
        "share_sa",
    ],
    "exact": [
        "destination_name_en",
        "destination_name_nl",
        "destination_kind",
        "is_complete",
        "incomplete_reason",
        "destination_rank",
        "destination_rank_r12",
        "is_change_beyond_revision",
        "vintage_at",
    ],
}
CONCENTRATION = [
    "coverage_share",
    "hhi",
    "hhi_normalised",
    "equivalent_markets",
    "theil",
    "theil_within",
    "theil_between",
    "top_1_share",
    "top_3_share",
    "top_5_share",
    "top_10_share",
]


def ranks(shares: Floats, countries: Any) -> Floats:
    """Return the rank of each country's share in its month, 1 for the largest; equal shares have the same rank."""
    result = np.full(shares.shape, np.nan)
    for column in range(shares.shape[1]):
        rows = np.flatnonzero(countries & ~np.isnan(shares[:, column]))
        known = shares[rows, column]
        result[rows, column] = 1 + (known[None, :] > known[:, None]).sum(axis=1)
    return result


def seasonal_factors(values: Floats, panel: Panel) -> Floats:
    """Return the seasonal factor of each calendar month, by row; NaN if there is too little data.

    Ratio to the centred mean over 12 months: the median of at least three in the last five years, with a mean of 1.
    """
    known = np.where(panel.is_complete & (values > 0), values, np.nan)
    ratios = np.full(known.shape, np.nan)
    for column in range(6, known.shape[1] - 6):
        around = slice(column - 6, column + 7)
        if len(set(panel.goods[around].tolist())) == 1:
            weights = np.array([0.5, *[1.0] * 11, 0.5]) / 12
            ratios[:, column] = known[:, column] / (known[:, around] @ weights)
    months = np.array(panel.months)
    factors = np.full((len(known), 12), np.nan)
    for row in np.flatnonzero(~np.isnan(known).all(axis=1)):
        newest = months[~np.isnan(known[row])].max()
        counts = (months > newest - 60) & ~np.isnan(ratios[row])
        of_month = [ratios[row, counts & (months % 12 == number)] for number in range(12)]
        if min(map(len, of_month)) >= 3:
            medians = np.array([np.median(some) for some in of_month])
            factors[row] = medians / medians.mean()
    return factors[:, months % 12]


def share_rows(panel: Panel, usual_revisions: pd.Series) -> pd.DataFrame:
    value, total = panel.cents, panel.total
    nothing_or_value = np.nan_to_num(value)
    countries = panel.countries[:, None]
    unknown = panel.unallocated + panel.not_loaded
    before, total_before = panel.year_before
    share = ratio(np.where(panel.is_complete, value, np.nan), total)
    share_r12, share_ytd = ratio(*panel.r12), ratio(*panel.ytd)
    change = 100 * (ratio(value, total) - ratio(before, total_before))
    key = pd.MultiIndex.from_tuples([(*panel.key, name) for name in panel.destinations])
    usual = usual_revisions.reindex(key).to_numpy()[:, None]
    adjusted = ratio(panel.complete_cents / 100, seasonal_factors(value, panel))
    total_adjusted = ratio(total / 100, seasonal_factors(total[None, :], panel)[0])
    return panel.frame(
        value_eur=value,
        total_eur=total,
        value_r12_eur=panel.r12[0],
        value_year_before_eur=before,
        share=share,
        share_lower=np.where(countries, np.maximum(0, ratio(nothing_or_value - panel.taken_out, total)), np.nan),
        share_upper=np.where(countries, np.minimum(1, ratio(nothing_or_value + unknown, total)), np.nan),
        share_r12=share_r12,
        share_ytd=share_ytd,
        yoy_growth_pct=np.where(panel.is_complete, growth_pct(value, before), np.nan),
        share_change_pp=change,
        usual_share_revision_pp=usual,
        contribution_to_growth_pp=np.where(
            panel.is_complete, 100 * ratio(nothing_or_value - np.nan_to_num(before), total_before), np.nan
        ),
        value_sa_eur=adjusted,
        share_sa=ratio(adjusted, total_adjusted),
        is_complete=panel.is_complete,
        incomplete_reason=np.array(panel.reasons, dtype=object),
        destination_rank=ranks(share, panel.countries),
        destination_rank_r12=ranks(share_r12, panel.countries),
        is_change_beyond_revision=np.where(
            np.isnan(change) | np.isnan(usual), None, (np.abs(change) > usual).astype(object)
        ),
        vintage_at=panel.vintages,
    )


def with_names(rows: pd.DataFrame) -> pd.DataFrame:
    """Add names and kind of the destination."""
    names = seed("countries").set_index("country_code")[["country_name_en", "country_name_nl"]]
    special = seed("special_destinations").set_index("destination_code")
    kinds = special["destination_kind"]
    english = pd.concat([names["country_name_en"], special["destination_name_en"]])
    dutch = pd.concat([names["country_name_nl"], special["destination_name_nl"]])
    code = rows["destination_code"]
    return rows.assign(
        destination_name_en=code.map(english),
        destination_name_nl=code.map(dutch),
        destination_kind=code.map(kinds).fillna("country"),
    )


def test_shares_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_destination_shares"))
    assert len(published) > 100_000
    expected = with_names(
        pd.concat([share_rows(panel, recomputed.share_revisions) for panel in recomputed.panels.values()])
    )
    compare(published, expected, KEY, **SHARES)
    # Unusual months are tested with their model.
    unusual = ["value_to_expected_ratio", "unit_value_to_expected_ratio", "is_unusual"]
    checked = [*KEY, *(column for columns in SHARES.values() for column in columns)]
    check_columns(published, checked, left_out=unusual)


def test_data_include_incomplete_months_and_dated_goods(recomputed: Recomputed) -> None:
    """The comparison above covers incomplete months of both kinds, and dated goods."""
    reasons = {reason for panel in recomputed.panels.values() for reason in panel.reasons}
    assert {"office_total_missing", "mixed_vintages"} & reasons
    dated = recomputed.panels["EUROSTAT", "community", "us232_exposed", "NL"]
    assert len(set(dated.goods.tolist())) == 3


def index_rows(panel: Panel) -> list[dict[str, Any]]:
    """Return the concentration indices of one scope, by month and basis."""
    offices = seed("office_partners")
    office = "cbs" if panel.key[0] == "CBS" else "eurostat"
    listed = offices[(offices["office"] == office) & (offices["member_kind"] == "country") & offices["valid_to"].isna()]
    n_markets = listed["destination_code"].nunique()
    rows = []
    months = np.where(panel.is_complete, panel.cents, np.nan), panel.total
    for basis, (values, totals) in (("month", months), ("r12", panel.r12)):
        for column, month in enumerate(panel.months):
            known = values[panel.countries, column]
            known = np.sort(known[known > 0])[::-1]
            if np.isnan(totals[column]) or not len(known):
                continue
            shares = known / known.sum()
            n = len(shares)
            hhi, entropy = (shares**2).sum(), -(shares * np.log(shares)).sum()
            rows.append(
                dict(zip(SERIES, panel.key, strict=True))
                | {f"top_{top}_share": shares[:top].sum() for top in (1, 3, 5, 10)}
                | {
                    "month": month,
                    "basis": basis,
                    "n_active_markets": n,
                    "n_markets": n_markets,
                    "coverage_share": known.sum() / totals[column],
                    "hhi": hhi,
                    "hhi_normalised": (hhi - 1 / n) / (1 - 1 / n) if n > 1 else np.nan,
                    "equivalent_markets": 1 / hhi,
                    # Over all markets, those without exports at zero.
                    "theil": (shares * np.log(shares * n_markets)).sum(),
                    "theil_within": np.log(n) - entropy,
                    "theil_between": np.log(n_markets / n),
                    "vintage_at": panel.vintages[column],
                }
            )
    return rows


def test_concentration_indices_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_market_concentration"))
    assert set(published["basis"]) == {"month", "r12"}
    expected = pd.DataFrame([row for panel in recomputed.panels.values() for row in index_rows(panel)])
    key, exact = [*SERIES, "month", "basis"], ["n_active_markets", "n_markets", "vintage_at"]
    compare(published, expected, key, ratios=CONCENTRATION, exact=exact)
    check_columns(published, [*key, *CONCENTRATION, *exact])


def test_destinations_are_countries_or_special_codes(warehouse: Warehouse) -> None:
    codes = set(warehouse.frame("select distinct destination_code from marts.rpt_destination_shares").iloc[:, 0])
    assert len(codes) > 100
    assert codes - set(NOT_COUNTRIES) <= set(seed("countries")["country_code"])
