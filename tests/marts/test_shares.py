"""Every row of rpt_destination_shares and rpt_market_concentration, recomputed from the replies of both offices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from tests.marts.conftest import Warehouse
from tests.marts.recompute import (
    NOT_COUNTRIES,
    SERIES,
    Floats,
    Panel,
    Recomputed,
    check_columns,
    compare,
    first_day,
    growth_pct,
    holds_on,
    numbered,
    ratio,
    seed,
    sum_known,
)

pytestmark = pytest.mark.integration

KEY = [*SERIES, "destination_code", "month"]
SHARES = {
    "money": ["value_eur", "total_eur", "value_r12_eur", "value_year_before_eur", "value_r12_year_before_eur"],
    "ratios": [
        "share",
        "share_lower",
        "share_upper",
        "share_r12",
        "share_ytd",
        "yoy_growth_pct",
        "share_change_pp",
        "share_change_noise_pp",
        "r12_growth_pct",
        "share_r12_change_pp",
        "share_r12_change_noise_pp",
        "share_extra_eu",
        "share_extra_eu_r12",
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
        "is_change_beyond_noise",
        "is_r12_change_beyond_noise",
        "is_small_base",
        "is_small_base_r12",
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


def noise_of_changes(adjusted: Floats, panel: Panel, revisions: Floats) -> Floats:
    """Return the half-width of the 95 % band of a yearly change of each row's share, in points."""
    bands = np.full(len(adjusted), np.nan)
    same_goods = panel.goods[1:] == panel.goods[:-1]
    for row, shares in enumerate(adjusted):
        changes = 100 * np.diff(shares)[same_goods]
        changes = np.abs(changes[~np.isnan(changes)])
        if len(changes) >= 24:
            spread = 1.4826 * np.median(changes)
            quantile = scipy.stats.t.ppf(0.975, min(30, int(0.37 * len(changes))))
            bands[row] = quantile * np.hypot(spread, np.nan_to_num(revisions[row]))
    return bands


def truth(condition: Any, *operands: Any) -> Any:
    """Return a condition as objects, None where an operand is missing."""
    unknown = np.any([np.isnan(np.broadcast_to(one, np.shape(condition))) for one in operands], axis=0)
    known = np.asarray(condition).astype(object)
    known[np.broadcast_to(unknown, known.shape)] = None
    return known


def share_rows(panel: Panel, revisions: pd.Series, eu_countries: pd.DataFrame) -> pd.DataFrame:
    value, total = panel.cents, panel.total
    nothing_or_value = np.nan_to_num(value)
    countries = panel.countries[:, None]
    unknown = panel.unallocated + panel.not_loaded
    before, total_before = panel.year_before
    share = ratio(np.where(panel.is_complete, value, np.nan), total)
    share_r12, share_ytd = ratio(*panel.r12), ratio(*panel.ytd)
    change = 100 * (ratio(value, total) - ratio(before, total_before))
    key = pd.MultiIndex.from_tuples([(*panel.key, name) for name in panel.destinations])
    adjusted = ratio(panel.complete_cents / 100, seasonal_factors(value, panel))
    total_adjusted = ratio(total / 100, seasonal_factors(total[None, :], panel)[0])
    share_adjusted = ratio(adjusted, total_adjusted)
    noise = noise_of_changes(share_adjusted, panel, revisions.reindex(key).to_numpy())[:, None]
    (value_r12, _), (r12_before, total_r12_before) = panel.r12, panel.r12_year_before
    r12_change = 100 * (share_r12 - ratio(r12_before, total_r12_before))
    r12_noise = noise / np.sqrt(12)
    # A month is inside or outside the Union by its first day.
    inside = np.array(
        [
            [bool(holds_on(of_country, first_day(month)).any()) for month in panel.months]
            for name in panel.destinations
            for of_country in [eu_countries[eu_countries["country_code"] == name]]
        ]
    )
    outside = countries & ~inside
    least_base = 100 * (10e6 if panel.key[0] == "CBS" else 1e6)
    outside_value = np.where(outside & panel.is_complete, value, np.nan)
    outside_r12 = np.where(outside, value_r12, np.nan)
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
        share_change_noise_pp=noise,
        value_r12_year_before_eur=r12_before,
        r12_growth_pct=growth_pct(value_r12, r12_before),
        share_r12_change_pp=r12_change,
        share_r12_change_noise_pp=r12_noise,
        share_extra_eu=ratio(outside_value, sum_known(outside_value.T)),
        share_extra_eu_r12=ratio(outside_r12, sum_known(outside_r12.T)),
        contribution_to_growth_pp=np.where(
            panel.is_complete, 100 * ratio(nothing_or_value - np.nan_to_num(before), total_before), np.nan
        ),
        value_sa_eur=adjusted,
        share_sa=share_adjusted,
        is_complete=panel.is_complete,
        incomplete_reason=np.array(panel.reasons, dtype=object),
        destination_rank=ranks(share, panel.countries),
        destination_rank_r12=ranks(share_r12, panel.countries),
        is_change_beyond_noise=truth(np.abs(change) > noise, change, noise),
        is_r12_change_beyond_noise=truth(np.abs(r12_change) > r12_noise, r12_change, r12_noise),
        is_small_base=truth(before < least_base, before),
        is_small_base_r12=truth(r12_before < 12 * least_base, r12_before),
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
        pd.concat(
            share_rows(panel, recomputed.share_revisions, recomputed.eu_countries)
            for panel in recomputed.panels.values()
        )
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


def group_rows(panel: Panel, members: list[tuple[str, str, pd.DataFrame]]) -> pd.DataFrame:
    """Return the shares of each group of countries as one destination, by composition and month."""
    series = dict(zip(SERIES, panel.key, strict=True))
    rank = {name: position for position, name in enumerate(panel.destinations)}
    starts = [first_day(month) for month in panel.months]
    unknown = panel.unallocated + panel.not_loaded
    parts = []
    for group, composition, countries in members:
        counted = np.zeros(panel.cents.shape, bool)
        for row in countries.itertuples():
            if row.country_code in rank:
                begins, ends = getattr(row, "valid_from", pd.NaT), getattr(row, "valid_to", pd.NaT)
                inside = [(pd.isna(begins) or begins <= day) and (pd.isna(ends) or day <= ends) for day in starts]
                counted[rank[row.country_code]] |= inside
        listed = (counted & panel.keeps).any(axis=0)
        if not listed.any():
            continue
        value = sum_known(np.where(counted, panel.cents, np.nan).T)
        complete = np.where(panel.is_complete, value, np.nan)
        r12, r12_before = np.full(len(value), np.nan), np.full(len(value), np.nan)
        for column in range(len(value)):
            if not np.isnan(panel.r12[1][column]):
                r12[column] = sum_known(complete[column - 11 : column + 1])
            if not np.isnan(panel.r12_year_before[1][column]):
                r12_before[column] = sum_known(complete[column - 23 : column - 11])
        share = ratio(complete, panel.total)
        nothing_or_value = np.nan_to_num(value)
        frame = pd.DataFrame(
            {
                "group_code": group,
                "composition": composition,
                "month": list(panel.months),
                "n_members_with_value": (counted & ~np.isnan(panel.cents)).sum(axis=0),
                "is_complete": panel.is_complete,
                "value_eur": value,
                "total_eur": panel.total,
                "share": share,
                "share_lower": np.maximum(0, ratio(nothing_or_value - panel.taken_out, panel.total)),
                "share_upper": np.minimum(1, ratio(nothing_or_value + unknown, panel.total)),
                "value_r12_eur": r12,
                "share_r12": ratio(r12, panel.r12[1]),
                "r12_growth_pct": growth_pct(r12, r12_before),
                "share_r12_change_pp": 100 * (ratio(r12, panel.r12[1]) - ratio(r12_before, panel.r12_year_before[1])),
                "vintage_at": panel.vintages,
            }
        )
        parts.append(frame[listed].assign(**series))
    return pd.concat(parts)


def test_group_shares_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_group_shares"))
    groups = seed("country_groups")
    for name in ("valid_from", "valid_to"):
        groups[name] = pd.to_datetime(groups[name])
    countries, regions = seed("countries"), seed("regions")
    members = [("of_month", group, rows) for group, rows in groups.groupby("group_code")]
    members += [
        ("fixed", group, rows[["country_code"]])
        for _, group, rows in members
        for rows in [rows[rows["valid_to"].isna()]]
    ]
    continents = countries["region_code"].map(regions.set_index("region_code")["continent_code"])
    for region in regions["region_code"]:
        inside = (countries["region_code"] == region) | (continents == region)
        members.append(("fixed", region, countries.loc[inside, ["country_code"]]))
    listed = [(group, composition, rows) for composition, group, rows in members]
    expected = pd.concat([group_rows(panel, listed) for panel in recomputed.panels.values()], ignore_index=True)
    names = pd.concat(
        [
            seed("country_group_names").assign(group_kind="association"),
            regions.set_axis(
                ["group_code", "group_name_en", "group_name_nl", "group_kind", "continent_code", "source"], axis=1
            ),
        ]
    ).set_index("group_code")
    described = ["group_kind", "group_name_en", "group_name_nl"]
    for name in described:
        expected[name] = expected["group_code"].map(names[name])
    key = [*SERIES, "group_code", "composition", "month"]
    money = ["value_eur", "total_eur", "value_r12_eur"]
    ratios = ["share", "share_lower", "share_upper", "share_r12", "r12_growth_pct", "share_r12_change_pp"]
    exact = [*described, "n_members_with_value", "is_complete", "vintage_at"]
    compare(published, expected, key, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*key, *money, *ratios, *exact])


def test_a_group_of_fixed_composition_does_not_jump(warehouse: Warehouse) -> None:
    """The United Kingdom joined CPTPP in December 2024; BRICS has members before its enlargement of 2024."""
    shares = warehouse.frame("""
        select composition, month, share_r12 from marts.rpt_group_shares
        where source_code = 'EUROSTAT' and scope_code = 'metal_core_hs' and reporter_code = 'NL'
            and group_code = 'CPTPP' and month in (date '2024-07-01', date '2026-06-01')
    """).pivot(index="month", columns="composition", values="share_r12")
    moved = shares.iloc[1] / shares.iloc[0]
    assert moved["of_month"] > 1.5
    assert 0.8 < moved["fixed"] < 1.25
    brics = warehouse.frame("select min(month) as first from marts.rpt_group_shares where group_code = 'BRICS'")
    assert (
        brics["first"].iloc[0] == warehouse.frame("select min(month) as first from marts.fct_exports")["first"].iloc[0]
    )


def test_a_change_is_called_one_only_beyond_noise(warehouse: Warehouse) -> None:
    """Of 97 in 100 yearly changes the first yardstick said that they were more than a revision."""
    found = warehouse.frame("""
        select avg(cast(is_change_beyond_noise as int)) as months, avg(cast(is_r12_change_beyond_noise as int)) as years
        from marts.rpt_destination_shares
        where scope_code = 'metal_core_hs' and reporter_code = 'NL' and share > 0.005
    """).iloc[0]
    assert 0.02 < found["months"] < 0.3
    assert 0.05 < found["years"] < 0.4


def test_bands_hold_what_is_only_noise() -> None:
    """Independent irregular months, no change of the share: 93 to 97 of 100 changes are inside their band."""
    random = np.random.default_rng(20261130)
    inside_month, inside_year = [], []
    for _ in range(400):
        shares = 0.1 * np.exp(0.08 * random.standard_normal(67))
        changes = np.abs(np.diff(100 * shares))
        band = scipy.stats.t.ppf(0.975, min(30, int(0.37 * len(changes)))) * 1.4826 * np.median(changes)
        yearly = 100 * (shares[12:] - shares[:-12])
        r12 = np.convolve(100 * shares, np.ones(12) / 12, mode="valid")
        inside_month.append(np.mean(np.abs(yearly) <= band))
        inside_year.append(np.mean(np.abs(r12[12:] - r12[:-12]) <= band / np.sqrt(12)))
    assert 0.93 <= np.mean(inside_month) <= 0.97
    assert 0.93 <= np.mean(inside_year) <= 0.97


PARTS = ["domestic_product", "re_export", "quasi_transit"]


def origin_rows(recomputed: Recomputed) -> pd.DataFrame:
    """Return the parts of each concept side by side, by destination and for the office's totals."""
    concepts = seed("concepts")
    concepts = concepts[concepts["part_of"].notna()].set_index("concept_code")
    frames = []
    for panel in recomputed.panels.values():
        if panel.key[1] not in concepts.index:
            continue
        columns = {"eur": panel.cents, "r12": panel.r12[0], "r12_before": panel.r12_year_before[0]}
        by_country = panel.frame(**columns, is_complete=panel.is_complete, vintage_at=panel.vintages)
        of_scope = pd.DataFrame(
            {
                "destination_code": "total",
                "month": list(panel.months),
                "eur": panel.total,
                "r12": panel.r12[1],
                "r12_before": panel.r12_year_before[1],
                "is_complete": panel.is_complete,
                "vintage_at": panel.vintages,
            }
        )[panel.keeps.any(axis=0)].assign(**dict(zip(SERIES, panel.key, strict=True)))
        part = concepts.loc[panel.key[1]]
        frames.append(
            pd.concat([by_country, of_scope]).assign(concept_code=part["part_of"], flow_kind=part["flow_kind"])
        )
    rows = pd.concat(frames)
    wide = rows.pivot(index=KEY, columns="flow_kind", values=["eur", "r12", "r12_before"])
    beside = rows.groupby(KEY).agg(is_complete=("is_complete", "all"), vintage_at=("vintage_at", "max"))
    dutch, sold_on = (wide.xs(part, axis=1, level=1) for part in PARTS[:2])
    share_r12 = ratio(dutch["r12"], dutch["r12"] + sold_on["r12"])
    share_before = ratio(dutch["r12_before"], dutch["r12_before"] + sold_on["r12_before"])
    return beside.assign(
        **{f"{part}_eur": wide["eur"][part] for part in PARTS},
        **{f"{part}_r12_eur": wide["r12"][part] for part in PARTS},
        domestic_product_share=ratio(dutch["eur"], dutch["eur"] + sold_on["eur"]),
        domestic_product_share_r12=share_r12,
        domestic_product_share_r12_change_pp=100 * (share_r12 - share_before),
        domestic_product_r12_growth_pct=growth_pct(dutch["r12"], dutch["r12_before"]),
        re_export_r12_growth_pct=growth_pct(sold_on["r12"], sold_on["r12_before"]),
    ).reset_index()


def test_export_origins_match_recomputation(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_export_origins"))
    assert set(published["concept_code"]) == {"border_crossing_incl_transit", "ownership_transfer"}
    expected = with_names(origin_rows(recomputed)).drop(columns="destination_kind")
    of_total = expected["destination_code"] == "total"
    expected.loc[of_total, ["destination_name_en", "destination_name_nl"]] = ["All destinations", "Alle bestemmingen"]
    money = [f"{part}{length}_eur" for part in PARTS for length in ("", "_r12")]
    ratios = [
        "domestic_product_share",
        "domestic_product_share_r12",
        "domestic_product_share_r12_change_pp",
        "domestic_product_r12_growth_pct",
        "re_export_r12_growth_pct",
    ]
    exact = ["destination_name_en", "destination_name_nl", "is_complete", "vintage_at"]
    compare(published, expected, KEY, money=money, ratios=ratios, exact=exact)
    check_columns(published, [*KEY, *money, *ratios, *exact])


def test_parts_of_a_concept_have_shares_of_their_own(warehouse: Warehouse) -> None:
    """Dutch product has shares and concentration as a whole has: it is a concept, never mixed with its whole."""
    for mart in ("rpt_destination_shares", "rpt_market_concentration", "rpt_group_shares"):
        found = warehouse.frame(f"select distinct concept_code from marts.{mart} where source_code = 'CBS'")
        assert {"border_crossing_domestic_product", "border_crossing_re_export", "ownership_re_export"} <= set(
            found["concept_code"]
        ), mart
    sums = warehouse.frame("""
        select month, sum(share) as shares from marts.rpt_destination_shares
        where concept_code = 'border_crossing_domestic_product' and scope_code = 'all_goods' and is_complete
        group by month
    """)
    assert len(sums) > 50
    assert (abs(sums["shares"] - 1) < 1e-9).all()


def test_goods_under_the_tariff_have_a_year_before_in_the_months_of_the_tariff(warehouse: Warehouse) -> None:
    """The dated list has no 12-month shares from April 2025 to June 2026; the fixed list has."""
    found = warehouse.frame("""
        select scope_code, count(share_r12_change_pp) as n from marts.rpt_destination_shares
        where scope_code in ('us232_exposed', 'us232_list_2026') and reporter_code = 'NL' and destination_code = 'US'
            and month between date '2025-04-01' and date '2026-06-01'
        group by scope_code
    """).set_index("scope_code")["n"]
    assert found["us232_exposed"] == 0
    assert found["us232_list_2026"] == 15
