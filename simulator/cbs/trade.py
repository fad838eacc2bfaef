"""Dutch trade as CBS counts it: by country and SITC section under its own concepts, scaled to its published totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.cbs.goods import CbsGood
from simulator.economy import EXPORT, IMPORT, Booleans, Economy, Floats, Integers
from simulator.geonom import LAND_ENTRIES
from simulator.partners import EU_MEMBERS, INTRA_UNALLOCATED
from simulator.products import LEAVES
from simulator.release import START_YEAR, Release

_EXPORT_MEASURES = ("D001636", "M001648", "M001632", "M007897")
_IMPORT_MEASURES = ("D001607", "M007895")
SECTION_CODES = (
    "A018524", "A018528", "A018540", "A018591", "A018612", "A018629", "A018678", "A018743", "A018809",
    "A018851",
)  # fmt: skip

#: Section of 85427NED that 85429NED does not have: goods that are never in the Netherlands.
NOT_IN_COUNTRY = "A051811"
_UNITED_STATES = "L008778"
#: "Niet bepaalde landen en gebieden EU".
UNDETERMINED_EU = "L008812"


@dataclass(frozen=True)
class CbsTruth:
    """True Dutch trade under a CBS concept: not rounded, no cell withheld.

    Attributes
    ----------
    measures
        Measure codes of the first axis.
    lands
        Leaf codes of Landen of the second axis: countries and the Q* members.
    sections
        SITC section codes of the third axis. The fourth axis is the month.
    values
        Mln euro, final (before the revision factors of a release).
    suppressed
        By land, section and direction (0 import, 1 export): withheld in every period.
    empty
        Land and year without a published cell for any goods.
    """

    measures: tuple[str, ...]
    lands: tuple[str, ...]
    sections: tuple[str, ...]
    values: Floats
    suppressed: Booleans
    empty: tuple[tuple[str, int], ...] = ()


class CbsTrade:
    """Trade in the terms of CBS, before tables are laid out.

    Parameters
    ----------
    economy
        Source of the true flows.
    """

    def __init__(self, economy: Economy) -> None:
        self.economy = economy
        self._truths: dict[int, CbsTruth] = {}
        self._bases: dict[tuple[int, int], tuple[NDArray[Any], Floats]] = {}

    def truth(self, months: int) -> CbsTruth:
        """Return the true Dutch trade under the CBS concept, scaled to the published totals.

        Parameters
        ----------
        months
            Number of months from 2021-01. The scale of an anchored year is the same in every release.
        """
        if months not in self._truths:
            self._truths[months] = self._build_truth(months)
        return self._truths[months]

    def _sections(self, flow: int, months: int) -> Floats:
        """Return the Dutch flows in mln euro by leaf partner, SITC section and month."""
        by_product = self.economy.true_flows("NL", flow, months)
        weights = np.array([leaf.sections for leaf in LEAVES])
        by_section = np.tensordot(by_product[:, :-1], weights[:-1], axes=([1], [0]))
        by_section += by_product[:, -1, :, None] * self._rest_mix(flow)
        by_section /= 1e6
        by_section[by_section < self.economy.parameters.cbs_smallest_cell_mln] = 0.0
        return np.asarray(np.moveaxis(by_section, 0, 2), dtype=np.float64)

    def _rest_mix(self, flow: int) -> Floats:
        """Return the share of each SITC section in the goods outside the listed chapters, by leaf partner."""
        generator = self.economy.draw("sections", flow)
        tilt = np.exp(0.4 * generator.standard_normal((len(self.economy.partners.leaves), 10)))
        mix = np.array(LEAVES[-1].sections) * tilt
        return np.asarray(mix / mix.sum(axis=1, keepdims=True), dtype=np.float64)

    def _build_truth(self, months: int) -> CbsTruth:
        anchors = self.economy.parameters.cbs_anchors
        last_anchor = max(anchors)
        # A release may have a part of an anchored year: the whole year is generated, so that its scale does not move.
        span = max(months, (last_anchor - START_YEAR) * 12 + 4)
        exports, imports = self._sections(EXPORT, span), self._sections(IMPORT, span)
        shape = exports.shape[:2]
        generator = self.economy.draw("cbs split")
        split = np.exp(0.3 * generator.standard_normal((3, *shape)))
        split *= np.array([0.37, 0.38, 0.25])[:, None, None]
        split /= split.sum(axis=0)
        transit_in = np.clip(0.24 * np.exp(0.2 * generator.standard_normal(shape)), 0.05, 0.6)
        # Re-exports, Dutch product, transit out, imports, transit in.
        parts = np.stack([*(split[..., None] * exports), imports, imports * transit_in[..., None]])
        year_of_month = START_YEAR + np.arange(span) // 12
        for year in range(START_YEAR, int(year_of_month[-1]) + 1):
            # The last anchor covers January-April and scales all months after it.
            anchor_year = min(year, last_anchor)
            anchor_months = np.flatnonzero(year_of_month == anchor_year)
            if anchor_year == last_anchor:
                anchor_months = anchor_months[:4]
            if anchor_year == year:
                scale = np.array(anchors[year][1:]) / parts[..., anchor_months].sum(axis=(1, 2, 3))
            parts[..., year_of_month == year] *= scale[:, None, None, None]
        measures = (*_EXPORT_MEASURES, *_IMPORT_MEASURES)
        values = np.concatenate([parts[:3].sum(axis=0, keepdims=True), parts])[..., :months]

        lands, partners = self._lands()
        values = values[:, partners]

        usual = np.stack([values[4, :, :, :12].mean(axis=2), values[0, :, :, :12].mean(axis=2)], axis=2)
        is_small = (usual > 0) & (usual < self.economy.parameters.cbs_small_cell_mln)
        chance = self.economy.draw("suppression").random(usual.shape)
        return CbsTruth(
            measures=measures,
            lands=lands,
            sections=SECTION_CODES,
            values=np.asarray(values, dtype=np.float64),
            suppressed=is_small & (chance < self.economy.parameters.cbs_suppressed_share),
        )

    def _lands(self) -> tuple[tuple[str, ...], Integers]:
        """Return the leaf codes of Landen in the office's order, and the row of each in the list of Comext partners."""
        land_of_partner = {entry.alpha2: code for code, entry in LAND_ENTRIES.items()}
        partner_of_land = {
            land_of_partner[leaf]: i for i, leaf in enumerate(self.economy.partners.leaves) if leaf != "NL"
        }
        lands = tuple(code for code, _ in self.economy.partners.lands if code in partner_of_land)
        return lands, np.array([partner_of_land[land] for land in lands], dtype=np.int64)

    def ownership_truth(self, months: int) -> CbsTruth:
        """Return the true Dutch trade by change of ownership: re-exports, Dutch product and imports, without transit.

        The partners and sections are those of the border-crossing truth with a tilt per country; `NOT_IN_COUNTRY` is
        added. The years are scaled to the published exports and to those to the United States. The split of the total
        into re-exports and Dutch product, and the level of imports, follow the border-crossing truth: no published
        figure was found.

        Parameters
        ----------
        months
            Number of months from 2021-01.
        """
        anchors = self.economy.parameters.cbs_ownership_anchors
        last_anchor = max(anchors)
        span = max(months, (last_anchor - START_YEAR) * 12 + 7)
        border = self.truth(span)
        row = {measure: i for i, measure in enumerate(border.measures)}
        crossing = np.stack(
            [
                border.values[row["M001648"]],
                border.values[row["M001632"]],
                border.values[row["D001607"]] - border.values[row["M007895"]],
            ]
        )
        tilt = np.exp(0.15 * self.economy.draw("ownership").standard_normal((3, *crossing.shape[1:3])))
        owned = crossing * tilt[..., None]
        beside = np.array(self.economy.parameters.cbs_not_in_country_shares)[:, None, None]
        outside = owned.sum(axis=2) * beside / (1.0 - beside)
        parts = np.concatenate([owned, outside[:, :, None]], axis=2)

        year_of_month = START_YEAR + np.arange(span) // 12
        for year in range(START_YEAR, int(year_of_month[-1]) + 1):
            anchor_year = min(year, last_anchor)
            anchor_months = np.flatnonzero(year_of_month == anchor_year)
            if anchor_year == last_anchor:
                anchor_months = anchor_months[:7]
            if anchor_year == year:
                total, *to_states = anchors[year]
                crossed = crossing[..., anchor_months].sum(axis=(1, 2, 3))
                exports = total * crossed[:2] / crossed[:2].sum()
                usual = parts[..., anchor_months].sum(axis=(2, 3))
                scale = np.empty((3, len(border.lands)))
                for part in range(2):
                    fixed = {_UNITED_STATES: to_states[part]}
                    if withheld := self.economy.parameters.cbs_ownership_withheld.get(year):
                        fixed[UNDETERMINED_EU] = withheld * exports[part] / total
                    others = ~np.isin(border.lands, list(fixed))
                    for land, value in fixed.items():
                        row_of = border.lands.index(land)
                        scale[part, row_of] = value / usual[part, row_of]
                    scale[part, others] = (exports[part] - sum(fixed.values())) / usual[part, others].sum()
                scale[2] = total / crossed[:2].sum() * crossed[2] / usual[2].sum()
            parts[..., year_of_month == year] *= scale[:, :, None, None]
        nowhere = np.zeros((len(border.lands), 1, 2), dtype=np.bool_)
        return CbsTruth(
            measures=("D001636", "M001648", "M001632", "D001607"),
            lands=border.lands,
            sections=(*border.sections, NOT_IN_COUNTRY),
            values=np.concatenate([parts[:2].sum(axis=0, keepdims=True), parts])[..., :months],
            suppressed=np.concatenate([border.suppressed, nowhere], axis=1),
            empty=tuple((UNDETERMINED_EU, year) for year in self.economy.parameters.cbs_ownership_withheld),
        )

    def goods(self, goods: Sequence[CbsGood], flow: int, months: int) -> tuple[Floats, Floats]:
        """Return the true Dutch trade in single goods under the border-crossing concept, transit included.

        A good is a part of the leaf that covers its CN code, or the whole leaf if the code is that of the leaf. The
        factor of country, section and month that converts its section to the CBS concept converts the good as well:
        the goods of a section never exceed the section in `truth`.

        Parameters
        ----------
        goods
            Each good has its own draws and does not depend on the others.
        flow
            1 import, 2 export.
        months
            Number of months from 2021-01.

        Returns
        -------
        tuple
            Mln euro and kilograms, by good, land and month.
        """
        lands, partners = self._lands()
        flows, factor = self._goods_base(flow, months)
        mix = self._rest_mix(flow)[partners]
        price, price_tilt = self.economy.unit_values("NL", flow, months)
        values = np.empty((len(goods), len(lands), months))
        kilograms = np.empty_like(values)
        leaf_of = {leaf.parents[0]: i for i, leaf in enumerate(LEAVES)}
        for i, good in enumerate(goods):
            leaf = next((leaf_of[good.code[:n]] for n in (8, 6, 4, 2) if good.code[:n] in leaf_of), len(LEAVES) - 1)
            is_rest = leaf == len(LEAVES) - 1
            section = good.section if is_rest else int(np.argmax(LEAVES[leaf].sections))
            cell = flows[:, leaf].T / 1e6 * factor[:, section]
            if is_rest:
                cell = cell * mix[:, section, None]
            if LEAVES[leaf].parents[0] != good.code:
                generator = self.economy.draw("good", good.code, flow)
                # The draws are bounded: the parts of a leaf must not exceed the leaf.
                tilt = np.clip(0.3 * generator.standard_normal(len(lands)), -0.6, 0.4)
                noise = np.clip(0.1 * generator.standard_normal((months, len(lands))), -0.3, 0.25)
                cell = cell * (good.share * np.exp(tilt[:, None] + noise.T))
            values[i] = cell
            kilograms[i] = 1e6 * cell / (price[:, leaf] * price_tilt[leaf, partners][:, None])
        return values, kilograms

    def _goods_base(self, flow: int, months: int) -> tuple[NDArray[Any], Floats]:
        """Return the Dutch flows by month, leaf product and land, and the factor from a section to the CBS concept."""
        key = (flow, months)
        if key not in self._bases:
            truth = self.truth(months)
            _, partners = self._lands()
            counted = self._sections(flow, months)[partners]
            measure = truth.measures.index("D001636" if flow == EXPORT else "D001607")
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.where(counted > 0, truth.values[measure] / counted, 0.0)
            flows = self.economy.true_flows("NL", flow, months)[:, :, partners]
            # Only one release is cached: both flows take about 40 MB.
            self._bases = {k: base for k, base in self._bases.items() if k[1] == months}
            self._bases[key] = (flows, factor)
        return self._bases[key]

    def withheld(self, names: Sequence[str], usual: Floats, small: float) -> Booleans:
        """Return the cells withheld in every period: `EconomyParameters.cbs_suppressed_share` of the small ones.

        Parameters
        ----------
        names
            Names of the rows; each row has its own draws.
        usual
            Monthly mean, by row and any other axes.
        small
            Upper limit of a small cell; a cell of 0 does not exist.
        """
        chance = np.stack([self.economy.draw("withheld", name).random(usual.shape[1:]) for name in names])
        return np.asarray((usual > 0) & (usual < small) & (chance < self.economy.parameters.cbs_suppressed_share))

    def revision_factor(self, lands: Sequence[str], months: int) -> Floats:
        """Return published over final value by land and month, when the newest of ``months`` is just out."""
        is_intra = np.isin([LAND_ENTRIES[land].alpha2 for land in lands], (*EU_MEMBERS, *INTRA_UNALLOCATED))
        factor = np.ones((len(lands), months))
        for kind, is_kind in (("intra", is_intra), ("extra", ~is_intra)):
            for age, value in enumerate(self.economy.parameters.revision_factors[kind][:months]):
                factor[is_kind, months - 1 - age] = value
        return factor

    def published_values(self, release: Release) -> tuple[CbsTruth, Floats]:
        """Return the truth of a release, and its values in mln euro after revision (not rounded), same axes."""
        truth = self.truth(release.cbs_months)
        factor = self.revision_factor(truth.lands, release.cbs_months)
        return truth, truth.values * factor[None, :, None, :]
