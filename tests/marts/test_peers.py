"""Every row of rpt_eu_peer_position and rpt_market_opportunities, recomputed from the replies of both offices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.recompute import (
    EU,
    NOT_COUNTRIES,
    SERIES,
    Recomputed,
    check_columns,
    compare,
    growth_pct,
    holds_on,
    month_starts,
    numbered,
    ratio,
    seed,
    whole_cents,
)
from tests.marts.test_shares import with_names

pytestmark = pytest.mark.integration

KEY = [*SERIES, "destination_code", "month"]
PEERS = ["source_code", "concept_code", "scope_code", "destination_code", "month"]
NAMES = ["destination_name_en", "destination_name_nl"]
EFFECTS = ["growth_effect_eur", "product_effect_eur", "market_effect_eur"]


def year_sums(recomputed: Recomputed) -> pd.DataFrame:
    """Return exports of each scope by country over 12 months, and those to all destinations together."""
    parts = []
    for panel in recomputed.panels.values():
        values, totals = panel.r12
        rows = panel.frame(value=values, total=totals, vintage_at=panel.vintages)
        parts.append(rows[rows["value"].notna() & ~rows["destination_code"].isin(NOT_COUNTRIES)])
    return pd.concat(parts, ignore_index=True)


def good_sums(recomputed: Recomputed) -> pd.DataFrame:
    """Return goods by country over 12 months and over the 12 before, if both are complete; cents."""
    items = recomputed.items[~recomputed.items["destination_code"].isin(NOT_COUNTRIES)]
    parts = []
    for key, rows in items.groupby(SERIES):
        panel = recomputed.panels[key]
        wide = rows.pivot(index=["destination_code", "item_code"], columns="month", values="cents")
        cents = wide.reindex(columns=list(panel.months)).to_numpy()
        for column, month in enumerate(panel.months):
            if not panel.has_window(column, 24):
                continue
            both = np.stack([cents[:, column - 11 : column + 1], cents[:, column - 23 : column - 11]])
            is_known = ~np.isnan(both).all(axis=(0, 2))
            now, before = np.nansum(both, axis=2)[:, is_known]
            frame = pd.DataFrame({"now": now, "before": before}, index=wide.index[is_known]).reset_index()
            parts.append(frame.assign(month=month, **dict(zip(SERIES, key, strict=True))))
    return pd.concat(parts, ignore_index=True)


def constant_market_shares(goods: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the terms of each member by market, and the Union's exports to the market a year before; cents.

    Both orders of the classical decomposition are computed, and their mean is returned.
    """
    union = goods[goods["reporter_code"] == EU].copy()
    everything = ["source_code", "concept_code", "scope_code", "month"]
    growth = {}
    for name, group in (
        ("all", everything),
        ("good", [*everything, "item_code"]),
        ("market", [*everything, "destination_code"]),
        ("cell", [*everything, "item_code", "destination_code"]),
    ):
        sums = union.groupby(group)[["now", "before"]].transform("sum")
        growth[name] = ratio(sums["now"] - sums["before"], sums["before"])
    union = union.assign(**growth)
    markets = union.groupby(PEERS)["before"].sum()
    cell = [*everything, "item_code", "destination_code"]
    rows = goods[goods["reporter_code"] != EU].merge(union[[*cell, *growth]], on=cell)
    base = rows["before"] / 100
    goods_first = (rows["good"] - rows["all"]) * base, (rows["cell"] - rows["good"]) * base
    markets_first = (rows["cell"] - rows["market"]) * base, (rows["market"] - rows["all"]) * base
    # If the Union sold nothing a year before, its growth is unknown.
    rows["growth_effect_eur"] = np.nan_to_num(whole_cents(rows["all"] * base))
    rows["product_effect_eur"] = np.nan_to_num(whole_cents((goods_first[0] + markets_first[0]) / 2))
    rows["market_effect_eur"] = np.nan_to_num(whole_cents((goods_first[1] + markets_first[1]) / 2))
    return rows.groupby(KEY)[["now", "before", *EFFECTS]].sum(), markets


@pytest.fixture(scope="module")
def positions(recomputed: Recomputed) -> pd.DataFrame:
    return position_rows(recomputed)


def position_rows(recomputed: Recomputed) -> pd.DataFrame:
    """Return the rows of rpt_eu_peer_position, amounts in cents."""
    sums = year_sums(recomputed)
    is_union = sums["reporter_code"] == EU
    # Only figures of the same release are comparable.
    rows = sums[~is_union].merge(
        sums[is_union].drop(columns="reporter_code"),
        on=[*PEERS, "vintage_at"],
        suffixes=("", "_eu"),
        validate="many_to_one",
    )
    all_goods = sums[sums["scope_code"] == "all_goods"].drop(columns=["scope_code", "vintage_at"])
    of_member = [name for name in KEY if name != "scope_code"]
    rows = rows.merge(all_goods, on=of_member, how="left", suffixes=("", "_goods"))
    union_goods = all_goods[all_goods["reporter_code"] == EU].drop(columns="reporter_code")
    rows = rows.merge(
        union_goods, on=[name for name in of_member if name != "reporter_code"], how="left", suffixes=("", "_eu_goods")
    )
    terms, markets = constant_market_shares(good_sums(recomputed))
    rows = rows.join(terms, on=KEY).join(markets.rename("eu_before"), on=PEERS)
    change = rows["now"] - rows["before"]
    return with_names(rows).assign(
        value_r12_eur=rows["value"],
        eu_value_r12_eur=rows["value_eu"],
        value_r12_before_eur=rows["before"],
        eu_value_r12_before_eur=rows["eu_before"],
        share_in_eu_exports=ratio(rows["value"], rows["value_eu"]),
        share_in_eu_exports_all_markets=ratio(rows["total"], rows["total_eu"]),
        share_in_eu_exports_year_before=ratio(rows["before"], rows["eu_before"]),
        rca_eu=ratio(ratio(rows["total"], rows["total_goods"]), ratio(rows["total_eu"], rows["total_eu_goods"])),
        rca_eu_in_market=ratio(
            ratio(rows["value"], rows["value_goods"]), ratio(rows["value_eu"], rows["value_eu_goods"])
        ),
        change_eur=change,
        competitiveness_effect_eur=change - rows[EFFECTS].sum(axis=1, skipna=False),
    )


def test_peer_positions_match_recomputation(warehouse: Warehouse, positions: pd.DataFrame) -> None:
    published = numbered(warehouse.frame("from marts.rpt_eu_peer_position"))
    assert {"NL", "DE"} == set(published["reporter_code"])
    money = [name for name in published.columns if name.endswith("_eur")]
    ratios = [name for name in published.columns if name.startswith(("share", "rca"))]
    assert len(money) == 9
    assert len(ratios) == 5
    exact = [*NAMES, "vintage_at"]
    compare(published, positions, KEY, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*KEY, *money, *ratios, *exact])


# -- Opportunities -----------------------------------------------------------------------------------------------------


def access_by_month(markets: pd.DataFrame) -> pd.DataFrame:
    """Return the widest agreement that is in place on the last day of a month, by market and month."""
    statuses = seed("trade_agreement_statuses").sort_values("valid_from", kind="stable")
    names = seed("trade_agreements").set_index("agreement_code")["agreement_name_en"]
    scores = seed("agreement_status_access").set_index("status")["access_score"].astype(float)
    history = dict(iter(statuses.groupby("country_code")))
    rows = []
    for market, month in markets.itertuples(index=False):
        if market not in history:
            continue
        begins_after = f"{(month + 1) // 12:04}-{(month + 1) % 12 + 1:02}-01"
        # The newest status of each agreement applies.
        now = {row.agreement_code: row.status for row in history[market].itertuples() if row.valid_from < begins_after}
        if now:
            score, code = min((-scores[status], code) for code, status in now.items())
            rows.append((market, month, code, names[code], now[code], -score))
    columns = ["destination_code", "month", "agreement_code", "agreement_name_en", "agreement_status", "score"]
    return pd.DataFrame(rows, columns=columns)


def places(values: pd.Series, group: list[pd.Series]) -> pd.Series:
    """Return the percentile rank of each value in its group: the share of the others that are below it."""
    grouped = values.groupby(group)
    return ratio(grouped.rank(method="min") - 1, grouped.transform("size") - 1)


def test_market_scores_match_recomputation(
    warehouse: Warehouse, recomputed: Recomputed, positions: pd.DataFrame
) -> None:
    published = numbered(warehouse.frame("from marts.rpt_market_opportunities"))
    rows = positions[positions["destination_code"] != positions["reporter_code"]]
    union = recomputed.eu_countries.rename(columns={"country_code": "destination_code"})
    inside = rows[["destination_code", "month"]].drop_duplicates().merge(union, on="destination_code")
    inside = inside[holds_on(inside, month_starts(inside["month"]))]
    members = pd.MultiIndex.from_frame(inside[["destination_code", "month"]])
    rows = rows.assign(is_eu_member=pd.MultiIndex.from_frame(rows[["destination_code", "month"]]).isin(members))
    alike = rows.groupby([*SERIES, "month", "is_eu_member"])[["value_r12_eur", "eu_value_r12_eur"]].transform("sum")
    rows["usual_share_in_eu_exports"] = ratio(alike["value_r12_eur"], alike["eu_value_r12_eur"])
    # If the Union sells nothing, there is no gap.
    short = (rows["usual_share_in_eu_exports"] - rows["share_in_eu_exports"]).clip(lower=0).fillna(0)
    rows["gap_eur"] = whole_cents(short * (rows["eu_value_r12_eur"] / 100))
    rows["eu_growth_pct"] = growth_pct(rows["eu_value_r12_eur"], rows["eu_value_r12_before_eur"])
    access = access_by_month(rows[["destination_code", "month"]].drop_duplicates())
    rows = rows.merge(access, on=["destination_code", "month"], how="left")
    status = rows["agreement_status"].fillna("none")
    rows["access_status"] = status.where(~rows["is_eu_member"], "single_market")
    rows["access_score"] = rows["score"].fillna(0).where(~rows["is_eu_member"], 1)
    # A market below a million euros is listed without a rank.
    placed = rows[rows["eu_growth_pct"].notna() & (rows["eu_value_r12_eur"] >= 1e8)]
    group = [placed[name] for name in [*SERIES, "month"]]
    scores = pd.DataFrame(
        {
            "size_score": places(placed["eu_value_r12_eur"], group),
            "growth_score": places(placed["eu_growth_pct"], group),
            "gap_score": places(placed["gap_eur"], group),
        },
        index=placed.index,
    )
    rows = rows.join(scores)
    rows["opportunity_score"] = (rows[list(scores)].sum(axis=1, skipna=False) + rows["access_score"]) / 4
    money = ["value_r12_eur", "eu_value_r12_eur", "gap_eur"]
    ratios = [
        "eu_growth_pct",
        "share_in_eu_exports",
        "usual_share_in_eu_exports",
        *scores,
        "access_score",
        "opportunity_score",
    ]
    exact = [*NAMES, "is_eu_member", "access_status", "agreement_code", "agreement_name_en", "vintage_at"]
    compare(published, rows, KEY, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*KEY, *money, *ratios, *exact])
