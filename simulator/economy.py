"""The economy behind both offices: a seeded model of EU trade whose true parameters are known.

One true flow feeds two publications: `simulator.eurostat.trade` counts it by CN code and rounds to euros,
`simulator.cbs.trade` counts the Dutch part by SITC section under the CBS concept, scaled to the published totals.

No function reads a clock or a global random state: the same seed gives the same numbers, and a later release adds
months without changing the draws of earlier ones.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from simulator.csv_tables import read_table
from simulator.geonom import LAND_ENTRIES
from simulator.parameters import EconomyParameters
from simulator.partners import EU_MEMBERS, PartnerList
from simulator.products import LEAVES
from simulator.release import START_YEAR, month_index

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

IMPORT, EXPORT = 1, 2

# Goods imports of the partner, bn EUR a year: the mass in the gravity equation.
_MASSES = {row["partner"]: float(row["imports_bn_eur_per_year"]) for row in read_table("simulator/partner_masses.csv")}

# Goods exports and imports of the reporter, bn EUR a month at the level of the base year.
_REPORTER_SIZES = {
    row["reporter"]: (float(row["exports_bn_eur_per_month"]), float(row["imports_bn_eur_per_month"]))
    for row in read_table("simulator/reporter_sizes.csv")
}

_NEIGHBOURS = {frozenset((row["country"], row["neighbour"])) for row in read_table("simulator/neighbours.csv")}


class Economy:
    """True flows of trade, before either office counts them.

    Parameters
    ----------
    parameters
        True parameters; see `EconomyParameters`.
    """

    def __init__(self, parameters: EconomyParameters | None = None) -> None:
        self.parameters = parameters or EconomyParameters()
        self.partners = PartnerList.from_reference()

    def draw(self, *tags: str | int) -> np.random.Generator:
        """Return a generator for the tags, seeded by them and by the seed of the economy."""
        # Python's own hash differs between processes; a checksum does not.
        words = [self.parameters.seed, *(zlib.crc32(str(tag).encode()) for tag in tags)]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(words)))

    def trend(self, months: int) -> Floats:
        """Return the common level by month: the yearly level times the season (1 = average month of the base year)."""
        years = sorted(self.parameters.level_by_year)
        level = np.interp(
            np.arange(months) / 12.0,
            [year - START_YEAR + 0.5 for year in years],
            [self.parameters.level_by_year[year] for year in years],
        )
        return np.asarray(level * np.resize(self.parameters.season, months), dtype=np.float64)

    def tariff_factor(self, months: int) -> Floats:
        """Return the multiplier on metal exports to the United States by month; 1 where the tariffs have no effect."""
        factor = np.ones(months)
        if not self.parameters.front_loading:
            return factor
        shock = self.parameters.tariff
        for label, change in (*shock.front_loading.items(), *shock.payback.items()):
            if month_index(label) < months:
                factor[month_index(label)] += change
        factor[month_index(shock.lasting_from) :] *= 1.0 + shock.lasting_effect
        return factor

    def partner_shares(self, reporter: str, flow: int) -> Floats:
        """Return the share of each leaf partner in the reporter's trade; the shares sum to 1."""
        leaves = self.partners.leaves
        generator = self.draw("gravity", reporter, flow)
        tilt = np.exp(0.25 * generator.standard_normal(len(leaves)))
        # A small territory has the same size for every reporter.
        small = np.exp(self.draw("small partners").uniform(np.log(1e-5), np.log(5.0), len(leaves)))
        weights = np.empty(len(leaves))
        europe = {entry.alpha2 for entry in LAND_ENTRIES.values() if entry.group == "6"}
        for i, partner in enumerate(leaves):
            nearness = 1.0 if partner in EU_MEMBERS else 0.6 if partner in europe else 0.18
            if frozenset((reporter, partner)) in _NEIGHBOURS:
                nearness *= 3.0
            if flow == IMPORT and partner in ("CN", "VN", "BD"):
                nearness *= 2.5
            weights[i] = _MASSES.get(partner, small[i]) * nearness
        weights *= tilt

        fixed = {
            partner: both[0 if flow == EXPORT else 1]
            for partner, both in self.parameters.leading_shares.get(reporter, {}).items()
        } | dict(self.parameters.unallocated_shares)
        is_fixed = np.isin(leaves, list(fixed))
        weights[is_fixed] = 0.0
        weights[np.asarray(leaves) == reporter] = 0.0
        shares = weights / weights.sum() * (1.0 - sum(fixed.values()))
        shares[is_fixed] = [fixed[leaf] for leaf in leaves if leaf in fixed]
        return np.asarray(shares, dtype=np.float64)

    def product_mix(self, reporter: str, flow: int) -> Floats:
        """Return the share of each leaf product in the trade with each leaf partner, by product and partner."""
        partners = len(self.partners.leaves)
        generator = self.draw("mix", reporter, flow)
        chapters = sorted({leaf.chapter for leaf in LEAVES})
        own = generator.standard_normal((len(chapters), 1))
        with_partner = generator.standard_normal((len(chapters), partners))
        within = generator.standard_normal((len(LEAVES), partners))
        chapter_tilt = np.exp(0.30 * own + 0.30 * with_partner)
        mix = np.array([leaf.share for leaf in LEAVES])[:, None] * np.exp(0.4 * within)
        for i, chapter in enumerate(chapters):
            rows = [n for n, leaf in enumerate(LEAVES) if leaf.chapter == chapter]
            share = sum(LEAVES[n].share for n in rows)
            mix[rows] *= share * chapter_tilt[i] / mix[rows].sum(axis=0)
        return np.asarray(mix / mix.sum(axis=0), dtype=np.float64)

    def expected(self, reporter: str, flow: int, months: int, first: int = 0) -> Floats:
        """Return the mean flow in euros by month, leaf product and leaf partner, without noise or tariff."""
        size = _REPORTER_SIZES[reporter][0 if flow == EXPORT else 1] * 1e9
        mean = size * self.partner_shares(reporter, flow) * self.product_mix(reporter, flow)
        by_partner = np.repeat(self.trend(months)[:, None], len(self.partners.leaves), axis=1)
        if flow == EXPORT:
            years = np.arange(months) / 12.0
            for partner, growth in self.parameters.growth_by_partner.items():
                by_partner[:, self.partners.leaves.index(partner)] *= (1.0 + growth) ** years
        return np.asarray(by_partner[first:, None, :] * mean, dtype=np.float64)

    def true_flows(self, reporter: str, flow: int, months: int, *, shocked: bool = True, first: int = 0) -> Floats:
        """Return the true trade in euros by month, leaf product and leaf partner: final, not rounded, 0 where none.

        Parameters
        ----------
        reporter
            One of the 27 members.
        flow
            1 import, 2 export.
        months
            Number of months from 2021-01.
        shocked
            False returns the trade without the tariff: the counterfactual of a front-loading estimate. The noise is
            the same, so the difference is the effect of the tariff alone, except in cells that it moves across
            `EconomyParameters.smallest_cell_eur`.
        first
            First month of the result; the numbers of a month do not depend on it.
        """
        flows = self.expected(reporter, flow, months, first)
        # The spread follows the first year, which every release includes.
        usual = self.expected(reporter, flow, 12).mean(axis=0)
        with np.errstate(divide="ignore"):
            spread = self.parameters.noise_floor + self.parameters.noise_slope * (1e6 / usual) ** 0.25
        spread = np.minimum(spread, 1.3).astype(np.float32)
        # Month is the slowest axis: a later release draws the same numbers first, then more.
        drawn = (months, *flows.shape[1:])
        noise = self.draw("noise", reporter, flow).standard_normal(drawn, dtype=np.float32)[first:]
        noise *= spread
        noise -= spread**2 / 2
        flows *= np.exp(noise)
        if shocked and flow == EXPORT:
            metal = [i for i, leaf in enumerate(LEAVES) if leaf.is_metal]
            market = self.partners.leaves.index(self.parameters.tariff.partner)
            flows[:, metal, market] *= self.tariff_factor(months)[first:, None]
        flows[flows < self.parameters.smallest_cell_eur] = 0.0
        return flows

    def unit_values(self, reporter: str, flow: int, months: int) -> tuple[Floats, Floats]:
        """Return the factors of the true unit values: EUR per kg by month and product, tilt by product and partner.

        The unit value of a cell is the product of the two.
        """
        generator = self.draw("prices")
        steps = 1.0 + 0.02 * generator.standard_normal((months, len(LEAVES)))
        price = np.array([leaf.unit_value for leaf in LEAVES]) * steps
        shape = (len(LEAVES), len(self.partners.leaves))
        tilt = np.exp(0.15 * self.draw("unit values", reporter, flow).standard_normal(shape))
        return price * (self.trend(months) / np.resize(self.parameters.season, months))[:, None] ** 0.7, tilt

    def revision_factor(self, months: int) -> Floats:
        """Return published over final value by month and leaf partner, when the newest of ``months`` is just out."""
        factor = np.ones((months, len(self.partners.leaves)))
        for kind, is_kind in (("intra", self.partners.is_intra), ("extra", ~self.partners.is_intra)):
            for age, value in enumerate(self.parameters.revision_factors[kind][:months]):
                factor[months - 1 - age, is_kind] = value
        return factor

    def monthly_index(self, name: str, months: int, growth: float, spread: float) -> Floats:
        """Return an index by month, 2021 = 100, that follows a random walk.

        Parameters
        ----------
        name
            Name of the index; each has its own draws.
        growth
            Growth per year, as a share.
        spread
            Standard deviation of the monthly change, as a share.
        """
        steps = growth / 12 + spread * self.draw("index", name).standard_normal(max(months, 12))
        level = np.exp(np.cumsum(steps))
        return np.asarray(100.0 * level / level[:12].mean(), dtype=np.float64)[:months]
