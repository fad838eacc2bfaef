"""Every row of rpt_eu_peer_position and rpt_market_opportunities, recomputed from the replies of both offices."""

from __future__ import annotations

import calendar
from typing import Any

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


def last_day_of(month: int) -> str:
    return f"{month // 12:04}-{month % 12 + 1:02}-{calendar.monthrange(month // 12, month % 12 + 1)[1]:02}"


def in_force(row: Any, day: str) -> bool:
    """Return whether a row with ``valid_from`` and ``valid_to`` applies on a day."""
    return row.valid_from <= day and (not isinstance(row.valid_to, str) or day <= row.valid_to)


def preference(history: pd.DataFrame | None, phase_ins: dict[tuple[str, str], Any], day: str) -> tuple[str, str | None]:
    """Return what a country's agreements with the EU mean for EU exports on a day, and the widest agreement."""
    if history is None:
        return "unknown", None
    # The newest status of each agreement applies.
    now = {row.agreement_code: row for row in history.itertuples() if row.valid_from <= day}
    found: list[tuple[str, str | None]] = []
    for code, row in now.items():
        steps = phase_ins.get((code, row.country_code)) or phase_ins.get((code, ""))
        begins = steps.exports_from if steps is not None and isinstance(steps.exports_from, str) else ""
        ends = steps.exports_free_from if steps is not None and isinstance(steps.exports_free_from, str) else ""
        if row.status in ("no_agreement", "replaced"):
            status = "none"
        elif row.status not in ("provisionally_applied", "in_force"):
            status = row.status
        else:
            status = "deferred" if day < begins else "phasing_in" if day < ends else "preferential"
        found.append((status, None if code == "none" else code))
    return min(found, key=lambda pair: (-SCALE[pair[0]], pair[1] or "none"), default=("none", None))


SCALE = seed("market_access_scale").set_index("access_status")["access_score"].astype(float).to_dict()


def touches(scope: list[str], goods: pd.DataFrame) -> bool:
    """Return whether one of a scope's codes is above or below a code that a measure names, and not taken out."""
    named = goods.loc[goods["sign"] == "1", "product_code"]
    taken_out = goods.loc[goods["sign"] == "-1", "product_code"]
    return any(
        any("TOTAL" in (code, other) or code.startswith(other) or other.startswith(code) for other in named)
        and not any(code.startswith(other) for other in taken_out)
        for code in scope
    )


def access_by_market(markets: pd.DataFrame, codes_of: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return access by scope, market and month: agreements, less the importer's measures, after sanctions."""
    statuses = seed("trade_agreement_statuses").sort_values("valid_from", kind="stable")
    agreements = seed("trade_agreements").set_index("agreement_code")
    frameworks = set(agreements.index[agreements["agreement_kind"] == "political_framework"])
    history = dict(iter(statuses[~statuses["agreement_code"].isin(frameworks)].groupby("country_code")))
    phase_ins = {
        (row.agreement_code, row.country_code if isinstance(row.country_code, str) else ""): row
        for row in seed("trade_agreement_phase_ins").itertuples()
    }
    events = seed("tariff_events")
    events = events[(events["event_kind"] == "effective") & (events["rate_pct"].astype(float) != 0)]
    events = events.rename(columns={"event_date": "valid_from", "effective_to": "valid_to"})
    goods = dict(iter(seed("tariff_event_products").groupby("event_code")))
    sanctions = dict(iter(seed("export_sanctions").groupby("country_code")))
    touched: dict[tuple[str, str, str], bool] = {}
    rows = []
    for scope, market, month, is_inside in markets.itertuples(index=False):
        day = last_day_of(month)
        status, agreement = preference(history.get(market), phase_ins, day)
        heaviest: tuple[Any, ...] | None = None
        for event in events[events["imposed_by_code"] == market].itertuples():
            if not in_force(event, day) or event.event_code not in goods:
                continue
            members = codes_of.get(scope, pd.DataFrame())
            codes = sorted({row.product_code for row in members.itertuples() if in_force(row, day)})
            key = scope, event.event_code, ",".join(codes)
            if key not in touched:
                touched[key] = touches(codes, goods[event.event_code])
            if touched[key]:
                rate = float(event.rate_pct)
                kind = "quota" if event.rate_basis in ("beyond_quota", "below_price") else "surcharge"
                order = (kind == "quota", 0 if np.isnan(rate) else 1, 0 if np.isnan(rate) else -rate, event.event_code)
                heaviest = min(heaviest or (order, kind, event.event_code, rate), (order, kind, event.event_code, rate))
        if heaviest is not None and (heaviest[1] == "surcharge" or SCALE.get(status, -1) >= SCALE["quota"]):
            status = heaviest[1]
        if any(in_force(row, day) for row in sanctions.get(market, pd.DataFrame()).itertuples()):
            status = "sanctions"
        if is_inside:
            status = "single_market"
        rows.append(
            {
                "scope_code": scope,
                "destination_code": market,
                "month": month,
                "access_status": status,
                "access_score": SCALE.get(status, np.nan),
                "agreement_code": agreement,
                "agreement_name_en": agreements["agreement_name_en"].get(agreement),
                "measure_event_code": heaviest[2] if heaviest else None,
                "measure_rate_pct": heaviest[3] if heaviest else np.nan,
            }
        )
    return pd.DataFrame(rows)


def cn_codes_of_scopes(warehouse: Warehouse) -> dict[str, pd.DataFrame]:
    """Return the members of each scope in the Combined Nomenclature; of other nomenclatures the CN8 codes in them."""
    members = seed("metal_scope_members")
    members = members[members["sign"] == "1"]
    classes = warehouse.frame(
        "select distinct product_code, sitc_code, cpa22_code from marts.bridge_product_classification"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for member in members.itertuples():
        codes = [member.product_code]
        if member.nomenclature_code != "CN" and member.product_code != "TOTAL":
            column = {"SITC": "sitc_code", "CPA22": "cpa22_code"}[member.nomenclature_code]
            inside = classes[column].fillna("").str.startswith(member.product_code)
            codes = list(classes.loc[inside, "product_code"])
        for code in codes:
            row = {"product_code": code, "valid_from": member.valid_from, "valid_to": member.valid_to}
            found.setdefault(member.scope_code, []).append(row)
    return {scope: pd.DataFrame(rows) for scope, rows in found.items()}


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
    markets = rows[["scope_code", "destination_code", "month", "is_eu_member"]].drop_duplicates()
    access = access_by_market(markets, cn_codes_of_scopes(warehouse))
    rows = rows.merge(access, on=["scope_code", "destination_code", "month"], how="left")
    lists = seed("policy_lists").set_index("list_code")["known_until"]
    known_until = lists[["tariffs", "agreements", "sanctions"]].min()
    rows["is_policy_known"] = [last_day_of(month) <= known_until for month in rows["month"]]
    # A market below a million euros, or under sanctions, is listed without a rank.
    placed = rows[
        rows["eu_growth_pct"].notna() & (rows["eu_value_r12_eur"] >= 1e8) & (rows["access_status"] != "sanctions")
    ]
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
        "measure_rate_pct",
    ]
    exact = [
        *NAMES, "is_eu_member", "access_status", "agreement_code", "agreement_name_en", "measure_event_code",
        "is_policy_known", "vintage_at",
    ]  # fmt: skip
    compare(published, rows, KEY, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*KEY, *money, *ratios, *exact])


@pytest.mark.parametrize(
    ("market", "scope", "month", "access"),
    [
        # 50 % on steel, and nothing granted: the EU's own concessions of July 2026 are not access.
        ("US", "metal_core_hs", "2026-07-01", "surcharge"),
        # Free trade by agreements that a shorter list left out.
        ("RS", "all_goods", "2026-06-01", "preferential"),
        ("ZA", "metal_core_hs", "2026-06-01", "preferential"),
        ("BA", "metal_core_hs", "2026-06-01", "preferential"),
        # Cuts that begin in 2031, fall until 2041, stop at a quota, or are forbidden to use.
        ("KE", "all_goods", "2026-06-01", "deferred"),
        ("BR", "metal_core_hs", "2026-06-01", "phasing_in"),
        ("BR", "metal_core_hs", "2026-04-01", "signed"),
        ("GB", "metal_core_hs", "2026-06-01", "quota"),
        ("RU", "metal_core_hs", "2026-06-01", "sanctions"),
        ("CN", "metal_core_hs", "2026-06-01", "none"),
    ],
)
def test_access_is_what_the_exporter_meets(
    warehouse: Warehouse, market: str, scope: str, month: str, access: str
) -> None:
    found = warehouse.frame(f"""
        from marts.rpt_market_opportunities
        where scope_code = '{scope}' and reporter_code = 'NL' and destination_code = '{market}'
            and month = date '{month}'
    """)
    assert set(found["access_status"]) == {access}


def test_unknown_access_is_not_scored_as_none(warehouse: Warehouse) -> None:
    rows = warehouse.frame("from marts.rpt_market_opportunities")
    unknown = rows[rows["access_status"] == "unknown"]
    assert len(unknown) > 0
    assert unknown["access_score"].isna().all()
    assert unknown["opportunity_score"].isna().all()
    assert rows.loc[rows["access_status"] == "sanctions", "opportunity_score"].isna().all()
