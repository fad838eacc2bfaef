"""Published numbers of every table: a cube of its dimensions in the order of the table, with the measure last."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.cbs.goods import CbsGood
from simulator.cbs.lists import EU_LAND, LAND_TOTAL, NOT_EU_LAND, REGION_GROUPS
from simulator.cbs.periods import Period, a_year_earlier, add_up
from simulator.cbs.trade import CbsTrade, CbsTruth
from simulator.economy import EXPORT, IMPORT, Booleans, Economy, Floats
from simulator.geonom import LAND_ENTRIES
from simulator.partners import EU_MEMBERS, INTRA_UNALLOCATED
from simulator.release import START_YEAR

# A cell below this many thousand euro is absent. Above it and below half a unit it is published as 0, as are many cells
# of the tables of goods, which are in whole millions.
_SMALLEST_DETAIL = 0.2

_WEEKDAYS_A_MONTH = 365.25 / 12 * 5 / 7

#: Number of newest months that are provisional and revised: five for prices (as CBS documents), a year for production
#: (assumed).
PRICES_PROVISIONAL, PRODUCTION_PROVISIONAL = 5, 12


@dataclass(frozen=True)
class Cube:
    """Published numbers of a table.

    Attributes
    ----------
    values
        Rounded as published; NaN where no number is published.
    impossible
        Cells without a value (``ValueAttribute`` ``Impossible``); None if there are none.
    """

    values: Floats
    impossible: Booleans | None = None


def _with_land_aggregates(trade: CbsTrade, lands: Sequence[str], cells: Floats, axis: int) -> Floats:
    """Return an axis of leaf countries as the office's list: in its order, with the aggregates."""
    cells = np.moveaxis(cells, axis, 0)
    row = {code: i for i, code in enumerate(lands)}
    groups = np.array([LAND_ENTRIES[code].group for code in lands])
    is_eu = np.isin([LAND_ENTRIES[code].alpha2 for code in lands], (*EU_MEMBERS, *INTRA_UNALLOCATED))
    members = {LAND_TOTAL: np.ones(len(row), dtype=np.bool_), EU_LAND: is_eu, NOT_EU_LAND: ~is_eu}
    members |= {land: groups == group for land, group in REGION_GROUPS.items()}
    listed = [code for code, _ in trade.economy.partners.lands]
    result = np.zeros((len(listed), *cells.shape[1:]))
    for i, land in enumerate(listed):
        if land in members:
            result[i] = cells[members[land]].sum(axis=0)
        elif land in row:
            result[i] = cells[row[land]]
    return np.moveaxis(result, 0, axis)


def _change(now: Floats, before: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(100.0 * (now / before - 1.0))


def border_crossing(trade: CbsTrade, periods: list[Period], months: int, measures: Sequence[str]) -> Cube:
    """Return 85429NED: land x section x period x measure, mln euro and percent."""
    truth = trade.truth(months)
    leaves = truth.values * trade.revision_factor(truth.lands, months)[None, :, None, :]
    return _sections(trade, truth, leaves, periods, measures)


def ownership_transfer(trade: CbsTrade, periods: list[Period], months: int, measures: Sequence[str]) -> Cube:
    """Return 85427NED: land x section x period x measure, mln euro and percent."""
    truth = trade.ownership_truth(months)
    leaves = truth.values * trade.revision_factor(truth.lands, months)[None, :, None, :]
    return _sections(trade, truth, leaves, periods, measures)


def _sections(trade: CbsTrade, truth: CbsTruth, leaves: Floats, periods: list[Period], measures: Sequence[str]) -> Cube:
    with_total = np.concatenate([leaves.sum(axis=2, keepdims=True), leaves], axis=2)
    lands = [code for code, _ in trade.economy.partners.lands]
    row = {code: i for i, code in enumerate(truth.lands)}
    cells = _with_land_aggregates(trade, truth.lands, with_total, axis=1)
    withheld = np.zeros((2, len(lands), with_total.shape[2]), dtype=np.bool_)
    for i, land in enumerate(lands):
        if land in row:
            withheld[:, i, 1:] = truth.suppressed[row[land]].T

    now = add_up(cells, periods)
    exports, imports = truth.measures.index("D001636"), truth.measures.index("D001607")
    change = _change(now, a_year_earlier(cells, periods))
    result = np.full((*now.shape[1:], len(measures)), np.nan)
    for m, measure in enumerate(measures):
        if measure == "D001601":
            # A balance would disclose a withheld value of either side.
            result[..., m] = np.rint(now[exports]) - np.rint(now[imports])
            result[..., m][(now[exports] <= 0) & (now[imports] <= 0)] = np.nan
            result[withheld[0] | withheld[1], :, m] = np.nan
            continue
        direction = 0 if measure in ("D001607", "M007895", "M001608") else 1
        parent = imports if direction == 0 else exports
        if measure in truth.measures:
            result[..., m] = np.rint(now[truth.measures.index(measure)])
        else:
            result[..., m] = np.round(change[parent], 1)
        result[..., m][now[parent] <= 0] = np.nan
        result[withheld[direction], :, m] = np.nan
    result[~np.isfinite(result)] = np.nan
    for land, year in truth.empty:
        result[lands.index(land), :, [period.year == year for period in periods]] = np.nan
    return Cube(result)


def old_method(trade: CbsTrade, periods: list[Period], months: int) -> Cube:
    """Return 83926NED: land x section x period x (imports, exports, balance), 1 000 euro.

    The method before 2023 counted no transit. The figures are final; no release revises them.
    """
    truth = trade.truth(months)
    row = {measure: i for i, measure in enumerate(truth.measures)}
    imports = truth.values[row["D001607"]] - truth.values[row["M007895"]]
    exports = truth.values[row["M001648"]] + truth.values[row["M001632"]]
    leaves = np.stack([imports, exports])
    with_total = np.concatenate([leaves.sum(axis=2, keepdims=True), leaves], axis=2)
    cells = 1000.0 * add_up(_with_land_aggregates(trade, truth.lands, with_total, axis=1), periods)
    both = np.rint(cells)
    both[cells < _SMALLEST_DETAIL] = np.nan
    balance = np.nan_to_num(both[1]) - np.nan_to_num(both[0])
    balance[np.isnan(both).all(axis=0)] = np.nan
    return Cube(np.stack([both[0], both[1], balance], axis=-1))


def _detail(trade: CbsTrade, goods: list[CbsGood], months: int) -> tuple[list[str], Floats, Floats]:
    """Return the leaf lands, and mln euro and kg by direction (import, export), good, land and month, as revised."""
    pairs = [trade.goods(goods, flow, months) for flow in (IMPORT, EXPORT)]
    lands = list(trade.truth(months).lands)
    factor = trade.revision_factor(lands, months)
    return lands, np.stack([p[0] for p in pairs]) * factor, np.stack([p[1] for p in pairs]) * factor


def _publish_detail(
    trade: CbsTrade,
    names: Sequence[str],
    lands: list[str],
    values: Floats,
    others: list[Floats],
    periods: list[Period],
) -> list[Floats]:
    """Add land aggregates, sum the periods, round, and withhold small cells.

    Arrays have the axes direction, good, land and month. The result has all lands of the office's list, and periods in
    place of months.
    """
    listed = {code: i for i, (code, _) in enumerate(trade.economy.partners.lands)}
    usual = values[..., :12].mean(axis=-1)
    withheld = np.stack(
        [
            trade.withheld([f"{name} {direction}" for name in names], usual[direction], small=0.05)
            for direction in (0, 1)
        ]
    )
    published = []
    is_absent: Booleans | None = None
    for cells in (values, *others):
        sums = add_up(_with_land_aggregates(trade, lands, cells, axis=2), periods)
        if is_absent is None:
            is_absent = 1000.0 * sums < _SMALLEST_DETAIL
            for i, land in enumerate(lands):
                is_absent[:, :, listed[land]] |= withheld[:, :, i, None]
        rounded = np.rint(sums)
        rounded[is_absent] = np.nan
        published.append(rounded)
    return published


def sitc_detail(trade: CbsTrade, periods: list[Period], months: int, groups: dict[str, list[CbsGood]]) -> Cube:
    """Return a table by five-digit SITC: good x land x period x (imports, exports), mln euro."""
    goods = [good for members in groups.values() for good in members]
    lands, values, _ = _detail(trade, goods, months)
    starts = np.cumsum([0, *(len(members) for members in groups.values())])[:-1]
    values = np.add.reduceat(values, starts, axis=1)
    (published,) = _publish_detail(trade, list(groups), lands, values, [], periods)
    return Cube(np.moveaxis(published, 0, -1))


def cn_detail(trade: CbsTrade, periods: list[Period], months: int, goods: list[CbsGood]) -> Cube:
    """Return a table by CN code: good x land x period x (imports, import kg, exports, export kg), mln euro and kg."""
    lands, values, kilograms = _detail(trade, goods, months)
    names = [good.code for good in goods]
    euros, weights = _publish_detail(trade, names, lands, values, [kilograms], periods)
    return Cube(np.stack([euros[0], weights[0], euros[1], weights[1]], axis=-1))


def _as_published(index: Floats, provisional_months: int) -> Floats:
    """Return an index by month as first published: the newest months are slightly low, older ones less so."""
    published = index.copy()
    for age in range(min(provisional_months, index.shape[-1])):
        published[..., -1 - age] *= 1.0 - 0.004 * (provisional_months - age) / provisional_months
    return published


def producer_prices(economy: Economy, periods: list[Period], months: int, products: int, markets: int) -> Cube:
    """Return 85770NED: product x market x period x (index 2021=100, monthly change, yearly change)."""
    index = np.stack(
        [
            np.stack([economy.monthly_index(f"price {p} {m}", months, 0.035, 0.012) for m in range(markets)])
            for p in range(products)
        ]
    )
    index = _as_published(index, PRICES_PROVISIONAL)
    now = np.round(add_up(index, periods, mean=True), 1)
    result = np.full((*now.shape, 3), np.nan)
    result[..., 0] = now
    result[..., 2] = np.round(_change(now, np.round(a_year_earlier(index, periods, mean=True), 1)), 1)
    month_rows = [i for i, period in enumerate(periods) if period.code[4:6] == "MM"]
    by_month = now[..., month_rows]
    result[..., month_rows[1:], 1] = np.round(_change(by_month[..., 1:], by_month[..., :-1]), 1)
    # An incomplete year has no index.
    for i, period in enumerate(periods):
        if period.code[4:6] == "JJ" and period.stop - period.start < 12:
            result[..., i, :] = np.nan
    return Cube(result)


def _working_days(months: int) -> Floats:
    """Return the weekdays of each month, relative to their mean."""
    days = []
    for index in range(months):
        year, month = START_YEAR + index // 12, index % 12 + 1
        first, length = calendar.monthrange(year, month)
        days.append(sum((first + day) % 7 < 5 for day in range(length)))
    return np.array(days, dtype=np.float64) / _WEEKDAYS_A_MONTH


def production(economy: Economy, periods: list[Period], months: int, branches: int, measures: Sequence[str]) -> Cube:
    """Return 85806NED: branch x period x measure; indices 2021=100 and percent."""
    season = np.resize(np.array(economy.parameters.season), months)
    result = np.full((branches, len(periods), len(measures)), np.nan)
    month_rows = [i for i, period in enumerate(periods) if period.code[4:6] == "MM"]
    for b in range(branches):
        volume = _as_published(economy.monthly_index(f"production {b}", months, 0.01, 0.012), PRODUCTION_PROVISIONAL)
        counted = volume * season * _working_days(months) ** 0.4
        series = {
            "A042501_1": counted,
            "A052581_1": volume * season,
            "A050903_1": volume,
            "M001557_2": counted * economy.monthly_index(f"turnover price {b}", months, 0.03, 0.005) / 100.0,
            "M999013": counted * economy.monthly_index(f"abroad {b}", months, 0.035, 0.015) / 100.0,
        }
        # Yearly growth: measure and index.
        yearly = {"A042501_2": "A042501_1", "A052581_2": "A052581_1", "M001557_6": "M001557_2"}
        for m, measure in enumerate(measures):
            if measure in series:
                result[b, :, m] = np.round(add_up(series[measure], periods, mean=True), 1)
            elif measure in yearly:
                index = series[yearly[measure]]
                change = _change(add_up(index, periods, mean=True), a_year_earlier(index, periods, mean=True))
                result[b, :, m] = np.round(change, 1)
            elif measure == "A050903_3":
                result[b, month_rows[1:], m] = np.round(_change(volume[1:], volume[:-1]), 1)
    for i, period in enumerate(periods):
        if period.code[4:6] == "JJ" and period.stop - period.start < 12:
            result[:, i] = np.nan
    return Cube(result)


def confidence(economy: Economy, periods: list[Period], months: int, branches: int, measures: int) -> Cube:
    """Return 81234ned: branch x margin (value, lower, upper) x seasonal correction (one) x period x measure; balances.

    Only the confidence, the first measure, has margins; those of the others are impossible (assumed).
    """
    values = np.full((branches, 3, 1, len(periods), measures), np.nan)
    impossible = np.zeros(values.shape, dtype=np.bool_)
    for b in range(branches):
        for m in range(measures):
            level = economy.monthly_index(f"confidence {b} {m}", months, 0.0, 0.02) - 100.0
            balance = np.round(np.clip(0.4 * level, -60, 60), 1)
            values[b, 0, 0, :, m] = balance
            if m == 0:
                values[b, 1, 0, :, m] = np.round(balance - 2.1, 1)
                values[b, 2, 0, :, m] = np.round(balance + 2.1, 1)
            else:
                impossible[b, 1:, 0, :, m] = True
    return Cube(values, impossible)
