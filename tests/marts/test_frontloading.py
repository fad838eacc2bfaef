"""The front-loading ledger: recomputed from landing for every row, and compared with the simulator's true effect."""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from metaalexport import building
from metaalexport.dbt import run_dbt
from metaalexport.run import Run
from metaalexport.settings import REFERENCE
from simulator.economy import EXPORT
from simulator.eurostat.trade import ComextTrade
from simulator.products import PRODUCTS
from simulator.release import Release, month_index
from simulator.server import run_simulator
from tests.marts.conftest import Warehouse
from tests.marts.newest import newest_cells
from tests.states import SPARSE, load_all, settings_of

pytestmark = pytest.mark.integration

Floats = NDArray[np.float64]

SCOPE = ["source_code", "concept_code", "scope_code", "reporter_code"]
KEY = ["event_code", *SCOPE, "destination_code", "baseline_method"]
POSITIVE = ("front_loaded", "front_loaded_and_paid_back")
METAL = {
    "metal_core_hs": ("72", "73", "74", "75", "76", "78", "79", "80", "81", "82", "83"),
    "iron_steel_hs": ("72", "73"),
}
COMEXT = {
    "eurostat_ds_045409": ("CN", "VALUE_IN_EUROS"),
    "eurostat_ds_059331": ("SITC", "VALUE_EUR"),
    "eurostat_ds_059366": ("CPA22", "VALUE_EUR"),
}
# Concept, table, and the measures that sum to all exports.
CBS = (
    ("border_crossing_incl_transit", "cbs_85429ned", ("D001636",)),
    ("border_crossing_excl_transit", "cbs_85429ned", ("M001648", "M001632")),
    ("border_crossing_re_export", "cbs_85429ned", ("M001648",)),
    ("border_crossing_domestic_product", "cbs_85429ned", ("M001632",)),
    ("border_crossing_quasi_transit", "cbs_85429ned", ("M007897",)),
    ("ownership_transfer", "cbs_85427ned", ("D001636",)),
    ("ownership_re_export", "cbs_85427ned", ("M001648",)),
    ("ownership_domestic_product", "cbs_85427ned", ("M001632",)),
)


def seed(name: str) -> pd.DataFrame:
    """Return the rows of a seed, all columns as text, empty for missing."""
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return pd.DataFrame(list(csv.DictReader(handle)))


# -- figures recomputed from landing ----------------------------------------------------------------------


def country_of(office: str) -> dict[str, str]:
    """Return country by code of the office."""
    partners = seed("office_partners")
    mine = partners[(partners["office"] == office) & (partners["member_kind"] == "country")]
    return dict(zip(mine["office_code"], mine["destination_code"], strict=True))


def landed_products(warehouse: Warehouse) -> pd.DataFrame:
    """Return euros by source, concept, reporter, destination, nomenclature, product and month."""
    parts = []
    for dataset, (nomenclature, measure) in COMEXT.items():
        rows = newest_cells(warehouse, dataset)
        rows = rows[(rows["flow"] == "2") & (rows["freq"] == "M") & (rows["measure"] == measure)]
        parts.append(
            pd.DataFrame(
                {
                    "source_code": "EUROSTAT",
                    "concept_code": "community",
                    "reporter_code": rows["reporter"],
                    "destination_code": rows["partner"].map(country_of("eurostat")),
                    "nomenclature_code": nomenclature,
                    "product_code": rows["product"],
                    "month": pd.to_datetime(rows["period"] + "-01"),
                    "value_eur": rows["value"],
                }
            )
        )
    products = seed("office_products").query("office == 'cbs'").set_index("office_code")["product_code"]
    for concept, table, measures in CBS:
        rows = newest_cells(warehouse, table)
        rows = rows[rows["measure"].isin(measures) & rows["period"].str.fullmatch(r"\d{4}MM\d\d")]
        cells = rows.groupby(["partner", "product", "period"])["value"].agg(["sum", "size"]).reset_index()
        cells = cells[cells["size"] == len(measures)]
        parts.append(
            pd.DataFrame(
                {
                    "source_code": "CBS",
                    "concept_code": concept,
                    "reporter_code": "NL",
                    "destination_code": cells["partner"].map(country_of("cbs")),
                    "nomenclature_code": "SITC",
                    "product_code": cells["product"].str.strip().map(products),
                    "month": pd.to_datetime(cells["period"].str.replace("MM", "-") + "-01"),
                    "value_eur": cells["sum"] * 1e6,
                }
            )
        )
    return pd.concat(parts).dropna(subset=["destination_code", "product_code"])


def landed_scopes(warehouse: Warehouse) -> pd.DataFrame:
    """Return euros by scope, destination and month, for the scopes of events."""
    members = seed("metal_scope_members")
    members = members[members["scope_code"].isin(seed("frontloading_event_scopes")["scope_code"])]
    rows = landed_products(warehouse).merge(
        members.drop(columns=["source", "confidence"]).rename(columns={"source_code": "only_source"}),
        on=["nomenclature_code", "product_code"],
    )
    first, last = pd.to_datetime(rows["valid_from"]), pd.to_datetime(rows["valid_to"].replace("", "2262-01-01"))
    belongs = (rows["only_source"].isin([""]) | (rows["only_source"] == rows["source_code"])) & (
        (first <= rows["month"]) & (rows["month"] <= last)
    )
    rows = rows[belongs]
    rows["value_eur"] *= rows["sign"].astype(float)
    return rows.groupby([*SCOPE, "destination_code", "month"], as_index=False)["value_eur"].sum()


@dataclass(frozen=True)
class Fit:
    """One method's baseline of one market and its uncertainty, by month from the start of the fit."""

    baseline: Floats
    spread: float
    growth: float
    degrees: int
    # Share of the noise variance common to two months of one calendar month, and whether a month counts with itself.
    shared: float
    shares_with_itself: bool


def seasonal_fit(value: Floats) -> Fit:
    """Fit the mean of the calendar month in three years, at the level of the last year."""
    months = np.arange(len(value))
    years = value[:36].reshape(3, 12)
    level = years.sum(axis=1) / years.sum(axis=1).mean()
    baseline = years.mean(axis=0)[months % 12] * level[np.minimum(months // 12, 2)]
    left = np.log(value[:36] / baseline[:36])
    return Fit(
        baseline,
        spread=float(np.sqrt((left**2).sum() / (36 - 3 - 11))),
        growth=float(np.sqrt((np.diff(np.log(level)) ** 2).mean())),
        degrees=22,
        shared=1 / 3,
        shares_with_itself=True,
    )


def control_fit(value: Floats, control: Floats) -> Fit:
    """Fit the same month before the news, moved with the control group."""
    months = np.arange(len(value))
    before = np.where(months < 36, months - 12, 24 + months % 12)
    baseline = np.where(months < 12, np.nan, value[before] * control / control[before])
    change = np.log(value[12:36] / baseline[12:36]).reshape(2, 12)
    yearly = change.mean(axis=1)
    return Fit(
        baseline,
        spread=float(np.sqrt(((change - yearly[:, None]) ** 2).sum() / (24 - 2))),
        growth=float(np.sqrt((yearly**2).mean())),
        degrees=17,
        shared=1 / 2,
        shares_with_itself=False,
    )


def interval(fit: Fit, months: NDArray[np.int64]) -> tuple[float, float, int]:
    """Return lower and upper end of the baseline's sum over months of the series, and its degrees of freedom."""
    baseline = fit.baseline[months]
    same_month = months[:, None] == months[None, :]
    same_season = (months[:, None] - months[None, :]) % 12 == 0
    noise = same_month + fit.shared * (same_season if fit.shares_with_itself else same_season & ~same_month)
    ahead = months // 12 - 2
    from_noise = fit.spread**2 * (baseline @ noise @ baseline)
    from_growth = fit.growth**2 * (baseline @ np.minimum.outer(ahead, ahead) @ baseline)
    variance = from_noise + from_growth
    degrees = int(np.floor(variance**2 / (from_noise**2 / fit.degrees + from_growth**2 / 2) + 1e-9))
    reach = stats.t.ppf(0.975, degrees) * np.sqrt(variance) / baseline.sum()
    return float(baseline.sum() * np.exp(-reach)), float(baseline.sum() * np.exp(reach)), degrees


def summary_of(value: Floats, fit: Fit, n_window: int) -> dict[str, Any]:
    """Return the columns of a market that has figures for all months before the tariff."""
    excess = value - fit.baseline
    window = np.arange(36, 36 + n_window)
    known = np.isfinite(excess[36:])
    run = len(known) if known.all() else int(np.argmin(known))
    after = run - n_window
    lower, upper, degrees = interval(fit, window)
    low_all, high_all, _ = interval(fit, np.arange(36, 36 + run))
    z = excess[window] / (fit.baseline[window] * fit.spread)
    result: dict[str, Any] = {
        "residual_spread": fit.spread,
        "growth_spread": fit.growth,
        "degrees_of_freedom": degrees,
        "value_eur": value[window].sum(),
        "baseline_eur": fit.baseline[window].sum(),
        "excess_eur": excess[window].sum(),
        "excess_lower_eur": value[window].sum() - upper,
        "excess_upper_eur": value[window].sum() - lower,
        "excess_pct": 100 * excess[window].sum() / fit.baseline[window].sum(),
        "smallest_detectable_pct": 100 * (upper / fit.baseline[window].sum() - 1),
        "front_loading_eur": excess[window].clip(min=0).sum(),
        "front_loading_pct": 100 * excess[window].clip(min=0).sum() / fit.baseline[window].sum(),
        "n_high_months": int((z > 1.64).sum()),
        "n_payback_months": after,
        "net_eur": excess[36 : 36 + run].sum(),
        "net_lower_eur": value[36 : 36 + run].sum() - high_all,
        "net_upper_eur": value[36 : 36 + run].sum() - low_all,
        "n_net_months": run,
    }
    result["is_labelled"] = result["n_high_months"] >= 2 or result["excess_lower_eur"] > 0
    for months in (3, 6, 12):
        if after >= months:
            tariff = np.arange(36 + n_window, 36 + n_window + months)
            low, high, _ = interval(fit, tariff)
            result[f"payback_{months}_eur"] = -excess[tariff].sum()
            result[f"payback_{months}_lower_eur"] = low - value[tariff].sum()
            result[f"payback_{months}_upper_eur"] = high - value[tariff].sum()
    return result


def verdict_of(both: list[dict[str, Any]], payback_months: int) -> tuple[str, str | None]:
    """Return the verdict on a market and the reason, from the rows of both methods."""
    if all(row["excess_lower_eur"] > 0 for row in both):
        is_paid = all(row.get(f"payback_{payback_months}_lower_eur", 0.0) > 0 for row in both)
        return POSITIVE[is_paid], None
    if any(row["smallest_detectable_pct"] > 10 for row in both):
        return "not_detectable", "too_noisy"
    return "none_found", None


@dataclass(frozen=True)
class Again:
    """Both tables, recomputed here."""

    summary: pd.DataFrame
    months: pd.DataFrame


@pytest.fixture(scope="module")
def again(warehouse: Warehouse) -> Again:
    """Recompute every market of every event from landing."""
    exports = landed_scopes(warehouse)
    # test_shares.py tests which months carry shares, and the offices' totals.
    totals = warehouse.frame(
        f"select distinct {', '.join(SCOPE)}, month, is_complete, total_eur from marts.rpt_destination_shares"
    )
    events = seed("frontloading_events").merge(seed("frontloading_event_scopes"), on="event_code")
    events = events.merge(seed("tariff_events")[["event_code", "imposed_by_code", "event_date"]], on="event_code")
    members = seed("metal_scope_members")
    dated = set(seed("metal_scopes").query("is_dated == 'true'")["scope_code"])
    summaries, ledgers = [], []
    for event in events.itertuples():
        news = pd.Timestamp(event.news_month)
        effective = pd.Timestamp(event.event_date).replace(day=1)
        n_window = (effective.year - news.year) * 12 + effective.month - news.month
        calendar = pd.date_range(news - pd.DateOffset(months=36), effective + pd.DateOffset(months=11), freq="MS")
        changes = pd.to_datetime(
            pd.concat([members["valid_from"], members["valid_to"]])[
                pd.concat([members["scope_code"], members["scope_code"]]) == event.scope_code
            ].replace("", None)
        )
        changes = changes[changes > calendar[0]]
        # Membership is decided on the first day of a month.
        same_goods = np.array([event.scope_code not in dated or not (changes <= month).any() for month in calendar])
        for scope, whole in totals[totals["scope_code"] == event.scope_code].groupby(SCOPE):
            whole = whole.set_index("month").reindex(calendar)
            is_published = whole["is_complete"].notna().to_numpy()
            is_comparable = whole["is_complete"].fillna(False).to_numpy(dtype=bool) & same_goods
            mine = exports[(exports[SCOPE] == list(scope)).all(axis=1)]
            table = mine.pivot(index="destination_code", columns="month", values="value_eur").reindex(columns=calendar)
            table = table.where(table > 0)
            table.loc[:, ~is_comparable] = np.nan
            year_before = slice(24, 36)
            shares = table.iloc[:, year_before].sum(axis=1) / whole["total_eur"].iloc[year_before].sum()
            # The market of the tariff is in no control group.
            everybody = table.drop(index=event.imposed_by_code).sum(axis=0, min_count=1).to_numpy()
            for destination in table.index[(shares >= 0.005) | (table.index == event.imposed_by_code)]:
                value = table.loc[destination].to_numpy()
                if not np.isfinite(value).any():
                    continue
                key = dict(zip(KEY, (event.event_code, *scope, destination), strict=False))
                is_market = destination == event.imposed_by_code
                n_fit = int(np.isfinite(value[:36]).sum())
                common = {"is_event_market": is_market, "share_before_news": shares[destination], "n_fit_months": n_fit}
                if n_fit < 36:
                    for method in ("seasonal_trend", "control_group"):
                        verdict_of_gaps = {
                            "baseline_method": method,
                            "verdict": "not_detectable",
                            "verdict_reason": "gaps",
                        }
                        summaries.append({**key, **common, **verdict_of_gaps, "n_payback_months": 0, "n_net_months": 0})
                    continue
                control = everybody if is_market else everybody - value
                fits = {"seasonal_trend": seasonal_fit(value), "control_group": control_fit(value, control)}
                rows: dict[str, dict[str, Any]] = {
                    method: summary_of(value, fit, n_window) for method, fit in fits.items()
                }
                verdict, reason = verdict_of(list(rows.values()), int(event.payback_months))
                for method, row in rows.items():
                    if verdict in POSITIVE:
                        for months in (3, 6, 12):
                            if f"payback_{months}_eur" in row:
                                row[f"payback_{months}_ratio"] = row[f"payback_{months}_eur"] / row["front_loading_eur"]
                    words = {"baseline_method": method, "verdict": verdict, "verdict_reason": reason}
                    summaries.append({**key, **common, **words, **row})
                    ledger = ledger_of(value, fits[method])
                    ledger["month"] = calendar
                    ledger["is_comparable"] = is_comparable
                    ledger = ledger[is_published & ((method == "seasonal_trend") | (np.arange(len(calendar)) >= 12))]
                    ledgers.append(ledger.assign(**key, baseline_method=method))
    return Again(pd.DataFrame(summaries), pd.concat(ledgers))


def ledger_of(value: Floats, fit: Fit) -> pd.DataFrame:
    """Return the ledger of a market, all months."""
    n = len(value)
    baseline = fit.baseline
    columns = {
        name: np.full(n, np.nan)
        for name in ("baseline_lower_eur", "baseline_upper_eur", "z", "cumulated_lower_eur", "cumulated_upper_eur")
    }
    is_whole = True
    for month in range(36, n):
        is_known = np.isfinite(value[month]) and np.isfinite(baseline[month])
        is_whole = is_whole and is_known
        if is_known:
            columns["baseline_lower_eur"][month], columns["baseline_upper_eur"][month], _ = interval(
                fit, np.array([month])
            )
            columns["z"][month] = (value[month] - baseline[month]) / (baseline[month] * fit.spread)
        if is_whole:
            low, high, _ = interval(fit, np.arange(36, month + 1))
            columns["cumulated_lower_eur"][month] = value[36 : month + 1].sum() - high
            columns["cumulated_upper_eur"][month] = value[36 : month + 1].sum() - low
    excess = value - baseline
    cumulated = np.concatenate([np.full(36, np.nan), np.cumsum(excess[36:])])
    return pd.DataFrame(
        {
            "value_eur": value,
            "baseline_eur": baseline,
            "excess_eur": excess,
            "cumulated_excess_eur": cumulated,
            **columns,
        }
    )


def compare(published: pd.DataFrame, expected: pd.DataFrame, key: list[str]) -> None:
    """Assert that both tables have the same rows and agree in every recomputed column."""
    assert len(expected) > 0
    both = published.merge(expected, on=key, how="outer", suffixes=("", "_again"), indicator=True)
    assert (both["_merge"] == "both").all(), both[both["_merge"] != "both"][[*key, "_merge"]]
    for column in [name for name in expected.columns if name not in key]:
        found, wanted = both[column], both[f"{column}_again"]
        if pd.api.types.is_bool_dtype(wanted) or not pd.api.types.is_numeric_dtype(wanted):
            same = (found == wanted) | (found.isna() & wanted.isna())
        else:
            # An excess is a small difference of large amounts and inherits their precision.
            scale = both["baseline_eur"].fillna(0) if column.endswith("_eur") else 0.0
            found = found.astype(float)
            same = (found.isna() & wanted.isna()) | (
                np.abs(found - wanted) <= 1e-9 * np.maximum(np.abs(wanted), scale) + 1e-9
            )
        assert same.all(), (column, both[~same][[*key, column, f"{column}_again"]])


def test_summary_matches_recomputation_from_landing(warehouse: Warehouse, again: Again) -> None:
    published = warehouse.frame("from marts.rpt_frontloading")
    missing = set(published.columns) - set(again.summary.columns)
    assert missing == {
        *("destination_name_en", "destination_name_nl", "control_group"),
        *("news_month", "effective_month", "payback_months", "vintage_at"),
    }
    compare(published, again.summary, KEY)


def test_ledger_matches_recomputation_from_landing(warehouse: Warehouse, again: Again) -> None:
    published = warehouse.frame("from marts.rpt_frontloading_months")
    missing = set(published.columns) - set(again.months.columns)
    assert missing == {"destination_name_en", "destination_name_nl", "is_event_market", "phase", "vintage_at"}
    compare(published, again.months, [*KEY, "month"])


# -- the simulator's true effect against the findings ------------------------------------------------------


def test_only_the_tariff_market_shows_front_loading(warehouse: Warehouse) -> None:
    found = warehouse.frame("from marts.rpt_frontloading")
    metal = found[found["event_code"] == "us_s232_metal_2025_03"]
    assert set(metal["scope_code"]) == {
        *("metal_core_hs", "metal_core_ex_scrap", "metal_sitc", "metal_cpa", "iron_steel_hs", "steel_cbs_2018"),
        "us232_exposed",
    }
    markets = metal[metal["is_event_market"]]
    assert set(markets["destination_code"]) == {"US"}
    assert set(markets["reporter_code"]) >= {"NL", "DE"}
    assert set(markets["verdict"]) <= set(POSITIVE)
    assert (markets.query("scope_code in @METAL")["verdict"] == "front_loaded_and_paid_back").all()
    others = metal[~metal["is_event_market"]]
    assert others.groupby(SCOPE)["destination_code"].nunique().min() > 15
    assert set(others["verdict"]) == {"none_found", "not_detectable"}
    # The tariff did not hit machinery. Manufactures by material hold metal: its front-loading is seen there as well.
    baseline = found[found["event_code"] == "us_ieepa_baseline_2025_04"]
    machinery = baseline[baseline["scope_code"].str.startswith("machinery")]
    assert set(machinery["source_code"]) == {"CBS", "EUROSTAT"}
    assert set(machinery["verdict"]) == {"none_found", "not_detectable"}
    assert set(baseline.loc[~baseline["is_event_market"], "verdict"]) == {"none_found", "not_detectable"}
    hit = baseline[baseline["verdict"].isin(POSITIVE)]
    assert set(hit["scope_code"]) <= {"manufactures_sitc6", "all_goods"}
    # Dutch product and re-exports are tested on their own.
    assert {"border_crossing_domestic_product", "border_crossing_re_export"} <= set(baseline["concept_code"])


def test_true_front_loading_and_payback_lie_within_their_95_per_cent_intervals(warehouse: Warehouse) -> None:
    trade = ComextTrade(warehouse.economy)
    months = Release(12).eurostat_months
    partner = trade.partners.codes.index("US")
    news, effective = (month_index(label) for label in ("2024-11", "2025-03"))
    found = warehouse.frame(
        "from marts.rpt_frontloading where event_code = 'us_s232_metal_2025_03' and is_event_market"
    )
    is_within, distances = [], []
    for reporter, scope in itertools.product(("NL", "DE"), METAL):
        products = [PRODUCTS.index(chapter) for chapter in METAL[scope]]
        shocked, normal = (
            trade.truth(reporter, EXPORT, months, shocked=is_shocked)[products, partner].sum(axis=0)
            for is_shocked in (True, False)
        )
        moved = shocked - normal
        truths = {
            "excess": moved[news:effective].sum(),
            "net": moved[news : effective + 12].sum(),
            **{f"payback_{n}": -moved[effective : effective + n].sum() for n in (3, 6, 12)},
        }
        assert 0.15 < truths["excess"] / normal[news:effective].sum() < 0.20
        rows = found.query("reporter_code == @reporter and scope_code == @scope").to_dict("records")
        assert sorted(row["baseline_method"] for row in rows) == ["control_group", "seasonal_trend"]
        for row, (name, truth) in itertools.product(rows, truths.items()):
            lower, upper = row[f"{name}_lower_eur"], row[f"{name}_upper_eur"]
            is_within.append(lower < truth < upper)
            distances.append(abs(truth - (lower + upper) / 2) / (upper - lower))
    assert len(is_within) == 40
    assert np.mean(is_within) >= 0.95
    assert max(distances) < 1


@pytest.fixture(scope="module")
def without_tariff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build Dutch exports in an economy in which the tariff had no effect; return the build file."""
    settings = settings_of(
        tmp_path_factory.mktemp("without") / "simulator", datasets=("eurostat_ds_045409",), reporters=("NL",)
    )
    with run_simulator(parameters=replace(SPARSE, front_loading=False)) as url:
        load_all(replace(settings, simulator_url=url), "without")
    building.prepare_candidate(Run(settings, "without"))
    run_dbt(settings, ["build", "--select", "+rpt_frontloading", "--exclude-resource-type", "test", "unit_test"])
    return settings.warehouse


def test_economy_without_effect_has_no_findings(without_tariff: Path) -> None:
    with duckdb.connect(str(without_tariff), read_only=True) as connection:
        found = connection.sql("from marts.rpt_frontloading").df()
    assert set(METAL) < set(found["scope_code"])
    assert len(found) > 200
    assert set(found["verdict"]) == {"none_found", "not_detectable"}
    # The noise in the market of the tariff is low enough for a verdict.
    steady = found[found["is_event_market"] & (found["scope_code"] == "metal_core_hs")]
    assert set(steady["verdict"]) == {"none_found"}
    # One method's label alone would have flagged some markets, which is why the verdict needs both methods.
    assert found["is_labelled"].sum() > 0
