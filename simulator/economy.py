"""The economy behind both offices: a seeded model of EU trade whose true parameters are known.

One true flow feeds two publications. Eurostat counts it by CN code and rounds to euros; CBS counts the Dutch
part by SITC section under its own concept, scales it to its published totals and rounds to millions.

Nothing here reads a clock or a global random state: the same seed gives the same numbers, and a later release
adds months without changing the draws of earlier ones.
"""

from __future__ import annotations

import csv
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.geonom import LAND_ENTRIES
from simulator.products import LEAVES, PIECE_VALUES, PRODUCTS, Grouping

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

START_YEAR = 2021
DEFAULT_RELEASE = 12
IMPORT, EXPORT = 1, 2

EU_MEMBERS = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip
EU_REPORTER = "EU27_2020"
REPORTERS = tuple(sorted((*EU_MEMBERS, EU_REPORTER)))

INTRA_UNALLOCATED = ("QR", "QV", "QY")
WORLD, EXTRA_EU, INTRA_EU = "WORLD", "EXT_EU27_2020", "INT_EU27_2020"
# The Union of its members at the time (the same ones since 2021), the euro area at the time, and that of 2026.
_OTHER_INTRA, _OTHER_EXTRA = ("INT_EU", "INT_EA", "INT_EA21"), ("EXT_EU", "EXT_EA", "EXT_EA21")
PARTNER_AGGREGATES = (INTRA_EU, EXTRA_EU, WORLD, *_OTHER_INTRA, *_OTHER_EXTRA)
# Members of the Union without the euro, and the month from which others have it.
_NO_EURO = ("CZ", "DK", "HU", "PL", "RO", "SE")
_EURO_FROM = {"HR": "2023-01", "BG": "2026-01"}

CBS_EXPORT_MEASURES = ("D001636", "M001648", "M001632", "M007897")
CBS_IMPORT_MEASURES = ("D001607", "M007895")
CBS_SECTION_CODES = (
    "A018524", "A018528", "A018540", "A018591", "A018612", "A018629", "A018678", "A018743", "A018809",
    "A018851",
)  # fmt: skip

# The section that 85427NED has beside those of 85429NED: goods that are never in the Netherlands.
CBS_NOT_IN_COUNTRY = "A051811"
_UNITED_STATES = "L008778"
#: "Niet bepaalde landen en gebieden EU".
CBS_UNDETERMINED_EU = "L008812"

# Partners of trade known to be empty in both offices: high seas, and codes for all trade together.
_UNUSED_UNALLOCATED = ("QP", "QQ", "QU", "QX", "ZZ")

_REFERENCE = Path(__file__).resolve().parents[1] / "reference"

# Goods imports of the partner, bn EUR a year: the mass in the gravity equation.
_MASSES = {
    "AE": 420, "AL": 8, "AM": 13, "AO": 14, "AR": 65, "AT": 210, "AU": 280, "AZ": 16, "BA": 14,
    "BD": 65, "BE": 480, "BG": 50, "BR": 250, "BY": 38, "CA": 520, "CH": 340, "CI": 15, "CL": 80,
    "CN": 2400, "CO": 60, "CY": 12, "CZ": 210, "DE": 1400, "DK": 125, "DZ": 40, "EE": 22, "EG": 80,
    "ES": 440, "FI": 78, "FR": 750, "GB": 750, "GE": 14, "GH": 15, "GR": 80, "HK": 640, "HR": 40,
    "HU": 140, "ID": 220, "IE": 130, "IL": 90, "IN": 680, "IQ": 55, "IS": 9, "IT": 600, "JO": 25,
    "JP": 750, "KE": 18, "KR": 600, "KW": 36, "KZ": 50, "LB": 18, "LK": 18, "LT": 45, "LU": 28,
    "LV": 24, "LY": 18, "MA": 65, "MD": 9, "ME": 4, "MK": 11, "MT": 8, "MX": 560, "MY": 260, "NG": 55,
    "NL": 650, "NO": 100, "NZ": 50, "OM": 35, "PE": 50, "PH": 130, "PK": 55, "PL": 350, "PT": 105,
    "QA": 35, "RO": 125, "RU": 120, "SA": 200, "SE": 190, "SG": 440, "SI": 55, "SK": 105, "TH": 290,
    "TN": 24, "TR": 330, "TW": 370, "UA": 65, "US": 3000, "UZ": 35, "VN": 350, "XK": 5, "XS": 38,
    "ZA": 105,
}  # fmt: skip

# Goods exports and imports of the reporter, bn EUR a month at the level of the base year.
_REPORTER_SIZES = {
    "AT": (16, 17), "BE": (43, 42), "BG": (3.7, 4.2), "CY": (0.35, 1.0), "CZ": (21, 20), "DE": (130, 115),
    "DK": (11, 10.5), "EE": (1.5, 1.8), "ES": (32, 36), "FI": (6, 6.3), "FR": (52, 62), "GR": (4.1, 7),
    "HR": (2, 3.6), "HU": (12.3, 11.6), "IE": (18, 11), "IT": (52, 49), "LT": (3, 3.6), "LU": (1.3, 2),
    "LV": (1.6, 1.9), "MT": (0.3, 0.7), "NL": (72, 64), "PL": (29, 29), "PT": (6.5, 8.8), "RO": (7.8, 10.4),
    "SE": (15, 14.5), "SI": (5, 5), "SK": (8.7, 8.9),
}  # fmt: skip

_NEIGHBOURS = (
    "AT-DE AT-CZ AT-HU AT-IT AT-SI AT-SK AT-CH BE-FR BE-DE BE-NL BE-LU BG-RO BG-GR BG-TR CZ-DE CZ-PL "
    "CZ-SK DE-FR DE-NL DE-PL DE-DK DE-CH DE-LU DK-SE DK-NO EE-FI EE-LV ES-FR ES-PT FI-SE FR-IT FR-LU "
    "FR-CH GR-CY GR-IT HR-SI HR-IT HR-BA HU-RO HU-SK HU-XS IE-GB IT-SI IT-CH LT-LV LT-PL MT-IT NL-GB "
    "PL-SK PL-UA SE-NO SE-FI SI-XS"
)


@dataclass(frozen=True)
class TariffShock:
    """What the 2025 tariffs do to exports of metal (HS 72-76, 78-83) to the United States.

    Every number is a share of the flow that would have been there without the tariff, in the same month.

    Attributes
    ----------
    news_month, effective_month
        First month in which exporters know, first month in which the tariff applies (``YYYY-MM``).
    front_loading
        Excess by month, news month up to the last month before the tariff applies.
    payback
        Shortfall by month (negative), from the effective month on.
    lasting_effect, lasting_from
        Change of the level that stays, and the month it starts in.
    """

    partner: str = "US"
    news_month: str = "2024-11"
    effective_month: str = "2025-03"
    front_loading: Mapping[str, float] = field(
        default_factory=lambda: {"2024-11": 0.04, "2024-12": 0.10, "2025-01": 0.20, "2025-02": 0.36}
    )
    payback: Mapping[str, float] = field(
        default_factory=lambda: {
            "2025-03": -0.18,
            "2025-04": -0.13,
            "2025-05": -0.09,
            "2025-06": -0.06,
            "2025-07": -0.03,
        }
    )
    lasting_effect: float = -0.06
    lasting_from: str = "2025-08"

    @property
    def payback_ratio(self) -> float:
        """Part of the front-loaded trade that is given back, both in months of normal trade."""
        return -sum(self.payback.values()) / sum(self.front_loading.values())


@dataclass(frozen=True)
class EconomyParameters:
    """True parameters of the model.

    Attributes
    ----------
    seed
        Seed of every random draw.
    front_loading
        Whether the tariff shock happens at all.
    level_by_year
        Price and volume level of trade at the middle of each year; 1 is the base year. Linear in between.
    season
        Factor by calendar month, January first.
    growth_by_partner
        Growth of exports to the partner above the common trend, share a year, from 2021-01.
    leading_shares
        Share of the partner in the exports and in the imports of a reporter, where set by hand;
        the others follow gravity.
    unallocated_shares
        Share of every Q* partner in a reporter's trade.
    noise_floor, noise_slope
        Log standard deviation of a monthly cell is ``floor + slope * (1e6 EUR / mean) ** 0.25``, at most 1.3.
    smallest_cell_eur
        A monthly cell of product and partner below this many euros is no trade: it has no row.
    revision_factors
        Published over final value, by months since first publication; final from the thirteenth on.
        ``intra`` for partners inside the EU, ``extra`` for the others.
    early_reporters
        Reporters whose newest month is complete at once. The others have extra-EU partners only.
    cbs_anchors
        Published totals of 85429NED, mln euro: exports, re-exports, Dutch product, transit out, imports,
        transit in. Full years, and January-April of 2026.
    cbs_ownership_anchors
        Published figures of 85427NED, mln euro: exports, re-exports to the United States, Dutch product to
        the United States. Full years, and January-July of 2026 (version 2026-10-02).
    cbs_not_in_country_shares
        Share of goods that change owner without being in the Netherlands ("Niet fysiek in Nederland") in
        re-exports, Dutch product and imports of 85427NED. Assumed: no published figure is at hand.
    cbs_ownership_withheld
        Exports of a year, mln euro, that 85427NED has in no country: those to `CBS_UNDETERMINED_EU`, of which that
        year is empty. That it is so for 2022, and some 13 bn, was seen.
    cbs_smallest_cell_mln
        A monthly flow of country and section below this many mln euro is no trade.
    cbs_suppressed_share
        Share of small cells (country x section x direction) that CBS withholds.
    cbs_small_cell_mln
        Mean monthly value in mln euro below which a cell is small.
    """

    seed: int = 1
    front_loading: bool = True
    tariff: TariffShock = field(default_factory=TariffShock)
    level_by_year: Mapping[int, float] = field(
        default_factory=lambda: {2021: 0.84, 2022: 1.06, 2023: 1.01, 2024: 0.99, 2025: 1.0, 2026: 1.02}
    )
    season: tuple[float, ...] = (0.94, 0.95, 1.08, 0.98, 0.99, 1.03, 0.98, 0.91, 1.04, 1.06, 1.05, 0.99)
    growth_by_partner: Mapping[str, float] = field(
        default_factory=lambda: {"MX": 0.12, "BR": 0.10, "IN": 0.14, "VN": 0.16}
    )
    leading_shares: Mapping[str, Mapping[str, tuple[float, float]]] = field(
        default_factory=lambda: {
            "NL": {
                "DE": (0.215, 0.150),
                "BE": (0.115, 0.095),
                "FR": (0.085, 0.035),
                "GB": (0.060, 0.050),
                "US": (0.055, 0.090),
                "IT": (0.045, 0.022),
                "PL": (0.035, 0.020),
                "ES": (0.034, 0.021),
                "CN": (0.024, 0.130),
            }
        }
    )
    unallocated_shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "QR": 0.0006,
            "QS": 0.0008,
            "QV": 0.0003,
            "QW": 0.0003,
            "QY": 0.0004,
            "QZ": 0.0006,
        }
    )
    noise_floor: float = 0.03
    noise_slope: float = 0.12
    smallest_cell_eur: float = 1000.0
    revision_factors: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "intra": (0.968, 0.978, 0.984, 0.988, 0.991, 0.993, 0.995, 0.996, 0.997, 0.998, 0.999, 0.9995),
            "extra": (0.984, 0.990, 0.993, 0.995, 0.996, 0.997, 0.998, 0.998, 0.999, 0.999, 0.9995, 0.9998),
        }
    )
    early_reporters: tuple[str, ...] = ("CY", "DK", "EE", "FI", "LV", "LT", "MT", "SE", "SI")
    cbs_anchors: Mapping[int, tuple[float, float, float, float, float, float]] = field(
        default_factory=lambda: {
            2021: (714212, 271005, 293999, 149208, 641282, 133611),
            2022: (917540, 359426, 363640, 194475, 853920, 185354),
            2023: (864929, 319456, 344061, 201412, 780164, 181759),
            2024: (850697, 312431, 333604, 204662, 754710, 180879),
            2025: (875641, 318509, 334261, 222871, 772690, 190672),
            2026: (294415, 108090, 109447, 76878, 262589, 65720),
        }
    )
    cbs_ownership_anchors: Mapping[int, tuple[float, float, float]] = field(
        default_factory=lambda: {
            2021: (687524, 6930, 32264),
            2022: (881742, 9196, 40353),
            2023: (816557, 9317, 39817),
            2024: (790156, 9421, 40032),
            2025: (785462, 9638, 35861),
            2026: (474795, 5965, 21003),
        }
    )
    cbs_not_in_country_shares: tuple[float, float, float] = (0.05, 0.12, 0.08)
    cbs_ownership_withheld: Mapping[int, float] = field(default_factory=lambda: {2022: 13000})
    cbs_smallest_cell_mln: float = 0.01
    cbs_suppressed_share: float = 0.04
    cbs_small_cell_mln: float = 10.0


@dataclass(frozen=True)
class Release:
    """One publication round: the same round number for both offices.

    Attributes
    ----------
    number
        Round; 12 is October 2026, each next one a month later.
    """

    number: int = DEFAULT_RELEASE

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"release {self.number} does not exist: the first is 1")

    @property
    def year_month(self) -> tuple[int, int]:
        """Year and month in which the round is published."""
        months = 2026 * 12 + 9 + self.number - DEFAULT_RELEASE
        return months // 12, months % 12 + 1

    @property
    def eurostat_months(self) -> int:
        """Number of months published by Eurostat, from 2021-01; the newest is two months back."""
        year, month = self.year_month
        return (year - START_YEAR) * 12 + month - 2

    @property
    def cbs_months(self) -> int:
        """Number of months published by CBS, from 2021-01; the newest is three months back."""
        return self.eurostat_months - 1

    @property
    def _utc_offset_hours(self) -> int:
        # Central European summer time covers the 2nd and the 15th of April to October.
        return 2 if 4 <= self.year_month[1] <= 10 else 1

    @property
    def eurostat_stamp(self) -> str:
        """Instant of publication as Eurostat writes it, e.g. ``2026-10-15T11:00:00+0200``."""
        year, month = self.year_month
        return f"{year}-{month:02}-15T11:00:00+0{self._utc_offset_hours}00"

    @property
    def cbs_version(self) -> str:
        """CBS version number, e.g. ``202610020630``."""
        year, month = self.year_month
        return f"{year}{month:02}020630"


def month_label(index: int) -> str:
    """Write a month as ``YYYY-MM``; index 0 is 2021-01."""
    return f"{START_YEAR + index // 12}-{index % 12 + 1:02}"


def month_index(label: str) -> int:
    """Read ``YYYY-MM`` as months since 2021-01."""
    year, month = label.split("-")
    return (int(year) - START_YEAR) * 12 + int(month) - 1


@dataclass(frozen=True)
class ComextCube:
    """What Eurostat publishes for one reporter and one flow in one release; absent cells are 0 in ``value``.

    Attributes
    ----------
    value
        Euros, by product, partner (aggregates included) and month.
    quantity
        Kilograms, same axes. The API serves it in 100 kg with two decimals.
    pieces
        Supplementary quantity, for the products of ``PIECE_VALUES`` only, in sorted order.
    """

    value: Integers
    quantity: Integers
    pieces: Integers


@dataclass(frozen=True)
class CbsTruth:
    """True Dutch trade under the CBS concept: not rounded, nothing withheld.

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
        Land and year of which no cell is published, whatever the goods.
    """

    measures: tuple[str, ...]
    lands: tuple[str, ...]
    sections: tuple[str, ...]
    values: Floats
    suppressed: NDArray[np.bool_]
    empty: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class CbsGood:
    """A good of the detailed CBS tables.

    Attributes
    ----------
    code
        CN code, eight digits.
    sitc
        SITC Rev. 4 code, four or five digits.
    title
        English title of the CN code.
    share
        Share in the part of the goods that the model does not split further; not used where the code itself
        is a product of `simulator.products`.
    """

    code: str
    sitc: str
    title: str
    share: float

    @property
    def section(self) -> int:
        """SITC section."""
        return int(self.sitc[0])


def _read_partner_rows() -> list[dict[str, str]]:
    with (_REFERENCE / "office_partners.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class PartnerList:
    """Code lists of both offices, as the reference folder states them.

    Attributes
    ----------
    leaves
        Comext country and Q* codes in use in the simulated months, sorted.
    codes
        The same with the aggregates, sorted: the partner axis of the cube. The axis of the datasets is longer.
    names
        English name by Comext code.
    lands
        CBS code and Dutch title, in the order of the office's list.
    """

    leaves: tuple[str, ...]
    codes: tuple[str, ...]
    names: Mapping[str, str]
    lands: tuple[tuple[str, str], ...]

    @classmethod
    def from_reference(cls) -> PartnerList:
        """Read the code lists of the reference folder."""
        rows = _read_partner_rows()
        comext = [row for row in rows if row["office"] == "eurostat"]
        first_day = f"{START_YEAR}-01-01"
        leaves = sorted(
            row["office_code"]
            for row in comext
            if row["member_kind"] in ("country", "unallocated")
            and row["office_code"] not in _UNUSED_UNALLOCATED
            and (not row["valid_to"] or row["valid_to"] >= first_day)
        )
        return cls(
            leaves=tuple(leaves),
            codes=tuple(sorted((*leaves, *PARTNER_AGGREGATES))),
            names={row["office_code"]: row["office_name"] for row in comext},
            lands=tuple((row["office_code"], row["office_name"]) for row in rows if row["office"] == "cbs"),
        )

    @cached_property
    def is_intra(self) -> Booleans:
        """Whether a leaf partner is inside the EU."""
        return np.isin(self.leaves, (*EU_MEMBERS, *INTRA_UNALLOCATED))


class Economy:
    """The model: true flows, and what each office makes of them in a release.

    Parameters
    ----------
    parameters
        True parameters; see `EconomyParameters`.
    """

    # A cube of one reporter and flow takes about 35 MB.
    _cubes_kept = 12

    def __init__(self, parameters: EconomyParameters | None = None) -> None:
        self.parameters = parameters or EconomyParameters()
        self.partners = PartnerList.from_reference()
        self._cubes: OrderedDict[tuple[str, int, int], ComextCube] = OrderedDict()
        self._cbs_truth: dict[int, CbsTruth] = {}
        self._cbs_bases: dict[tuple[int, int], tuple[NDArray[Any], Floats]] = {}

    def _generator(self, *tags: str | int) -> np.random.Generator:
        # Python's own hash differs between processes; a checksum does not.
        words = [self.parameters.seed, *(zlib.crc32(str(tag).encode()) for tag in tags)]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(words)))

    def draw(self, *tags: str | int) -> np.random.Generator:
        """Make a generator of its own for whatever the tags name, from the seed of the economy."""
        return self._generator(*tags)

    # -- deterministic shape of the flows ---------------------------------------------------------------

    def trend(self, months: int) -> Floats:
        """Common level by month: the yearly level times the season (1 = average month of the base year)."""
        years = sorted(self.parameters.level_by_year)
        level = np.interp(
            np.arange(months) / 12.0,
            [year - START_YEAR + 0.5 for year in years],
            [self.parameters.level_by_year[year] for year in years],
        )
        return np.asarray(level * np.resize(self.parameters.season, months), dtype=np.float64)

    def tariff_factor(self, months: int) -> Floats:
        """Multiplier on metal exports to the United States by month; 1 where the tariffs do nothing."""
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
        """Share of every leaf partner in the reporter's trade; sums to 1."""
        leaves = self.partners.leaves
        neighbours = {frozenset(pair.split("-")) for pair in _NEIGHBOURS.split()}
        generator = self._generator("gravity", reporter, flow)
        tilt = np.exp(0.25 * generator.standard_normal(len(leaves)))
        # Small territories differ in size for every reporter alike.
        small = np.exp(self._generator("small partners").uniform(np.log(1e-5), np.log(5.0), len(leaves)))
        weights = np.empty(len(leaves))
        europe = {entry.alpha2 for entry in LAND_ENTRIES.values() if entry.group == "6"}
        for i, partner in enumerate(leaves):
            nearness = 1.0 if partner in EU_MEMBERS else 0.6 if partner in europe else 0.18
            if frozenset((reporter, partner)) in neighbours:
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
        """Share of every leaf product in the trade with every leaf partner, by product and partner."""
        partners = len(self.partners.leaves)
        generator = self._generator("mix", reporter, flow)
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
        """Mean flow in euros by month (from ``first`` on), leaf product and leaf partner: no noise, no tariff."""
        size = _REPORTER_SIZES[reporter][0 if flow == EXPORT else 1] * 1e9
        mean = size * self.partner_shares(reporter, flow) * self.product_mix(reporter, flow)
        by_partner = np.repeat(self.trend(months)[:, None], len(self.partners.leaves), axis=1)
        if flow == EXPORT:
            years = np.arange(months) / 12.0
            for partner, growth in self.parameters.growth_by_partner.items():
                by_partner[:, self.partners.leaves.index(partner)] *= (1.0 + growth) ** years
        return np.asarray(by_partner[first:, None, :] * mean, dtype=np.float64)

    def true_flows(self, reporter: str, flow: int, months: int, *, shocked: bool = True, first: int = 0) -> Floats:
        """True trade in euros by month, leaf product and leaf partner: final, not rounded, 0 where none.

        Parameters
        ----------
        reporter
            One of the 27 members.
        flow
            1 import, 2 export.
        months
            Number of months from 2021-01.
        shocked
            False gives the same trade without the tariff: the counterfactual that a front-loading estimate
            looks for. The noise is the same, so the difference is the tariff's doing alone (but for cells
            that it moves across `EconomyParameters.smallest_cell_eur`).
        first
            First month of the result; the numbers of a month are the same wherever the result starts.
        """
        flows = self.expected(reporter, flow, months, first)
        # The spread follows the first year, which every release holds.
        usual = self.expected(reporter, flow, 12).mean(axis=0)
        with np.errstate(divide="ignore"):
            spread = self.parameters.noise_floor + self.parameters.noise_slope * (1e6 / usual) ** 0.25
        spread = np.minimum(spread, 1.3).astype(np.float32)
        # Month is the slowest axis: a later release draws more numbers after the same first ones.
        drawn = (months, *flows.shape[1:])
        noise = self._generator("noise", reporter, flow).standard_normal(drawn, dtype=np.float32)[first:]
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
        """True unit values in EUR per kg: price by month and product, tilt by product and partner.

        The unit value of a cell is the product of the two.
        """
        generator = self._generator("prices")
        steps = 1.0 + 0.02 * generator.standard_normal((months, len(LEAVES)))
        price = np.array([leaf.unit_value for leaf in LEAVES]) * steps
        shape = (len(LEAVES), len(self.partners.leaves))
        tilt = np.exp(0.15 * self._generator("unit values", reporter, flow).standard_normal(shape))
        return price * (self.trend(months) / np.resize(self.parameters.season, months))[:, None] ** 0.7, tilt

    def revision_factor(self, months: int) -> Floats:
        """Published over final value by month and leaf partner, when the newest of ``months`` is just out."""
        factor = np.ones((months, len(self.partners.leaves)))
        for kind, is_kind in (("intra", self.partners.is_intra), ("extra", ~self.partners.is_intra)):
            for age, value in enumerate(self.parameters.revision_factors[kind][:months]):
                factor[months - 1 - age, is_kind] = value
        return factor

    # -- Eurostat ---------------------------------------------------------------------------------------

    def _add_partners(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Put the partner aggregates beside the leaves, along the second of three axes."""
        codes = self.partners.codes
        result = np.zeros((cells.shape[0], len(codes), cells.shape[2]), cells.dtype)
        result[:, np.searchsorted(codes, self.partners.leaves)] = cells
        world = cells.sum(axis=1)
        result[:, codes.index(WORLD)] = world
        is_intra = self.partners.is_intra
        has_euro = np.isin(self.partners.leaves, EU_MEMBERS) & ~np.isin(self.partners.leaves, _NO_EURO)
        areas = {
            "EU27_2020": cells[:, is_intra].sum(axis=1),
            "EA21": cells[:, has_euro].sum(axis=1),
        }
        areas["EU"], areas["EA"] = areas["EU27_2020"], areas["EA21"].copy()
        for code, first in _EURO_FROM.items():
            without = min(month_index(first), cells.shape[2])
            areas["EA"][:, :without] -= cells[:, self.partners.leaves.index(code), :without]
        for area, inside in areas.items():
            result[:, codes.index(f"INT_{area}")] = inside
            result[:, codes.index(f"EXT_{area}")] = world - inside
        return result

    def add_up_by(self, grouping: Grouping, leaves: Integers) -> Integers:
        """Add leaves up by another product list.

        Parameters
        ----------
        grouping
            The product list.
        leaves
            Month x leaf product (`LEAVES`) x leaf partner, as `comext_leaves` gives them.

        Returns
        -------
        array
            Code of the list x partner (`PartnerList.codes`, aggregates too) x month.
        """
        by_leaf = np.ascontiguousarray(leaves.transpose(1, 2, 0))
        by_code = np.zeros((len(grouping.codes), *by_leaf.shape[1:]), leaves.dtype)
        row = {code: i for i, code in enumerate(grouping.codes)}
        for parents, cells in zip(grouping.parents, by_leaf, strict=True):
            below, share_below = np.zeros_like(cells), 0.0
            for code, share in parents:
                if share == 1.0:
                    by_code[row[code]] += cells
                    continue
                # Shares of one leaf stand side by side and leave nothing over: their ends are rounded, not they.
                share_below += share
                end = np.rint(cells * share_below).astype(cells.dtype)
                by_code[row[code]] += end - below
                below = end
        return np.asarray(self._add_partners(by_code), dtype=np.int64)

    def _add_up(self, leaves: NDArray[Any]) -> NDArray[Any]:
        """Sum month x leaf product x leaf partner to product x partner (aggregates too) x month."""
        by_leaf = np.ascontiguousarray(leaves.transpose(1, 2, 0))
        by_product = np.zeros((len(PRODUCTS), *by_leaf.shape[1:]), leaves.dtype)
        row = {product: i for i, product in enumerate(PRODUCTS)}
        for leaf, cells in zip(LEAVES, by_leaf, strict=True):
            for product in leaf.parents:
                by_product[row[product]] += cells
        return self._add_partners(by_product)

    def comext_truth(self, reporter: str, flow: int, months: int, *, shocked: bool = True) -> Floats:
        """True trade in euros by product (`PRODUCTS`), partner (`PartnerList.codes`) and month."""
        members = EU_MEMBERS if reporter == EU_REPORTER else (reporter,)
        return np.asarray(
            sum(self._add_up(self.true_flows(member, flow, months, shocked=shocked)) for member in members),
            dtype=np.float64,
        )

    def comext_truth_columns(self, reporter: str, flow: int, months: int) -> dict[str, NDArray[Any]]:
        """Long form of the truth, ready for ``duckdb.DuckDBPyConnection.register``.

        Columns: ``partner``, ``product``, ``month`` (``YYYY-MM``), ``value_eur`` and
        ``value_eur_without_tariff``; one row per cell with trade in either.
        """
        value = self.comext_truth(reporter, flow, months)
        without = self.comext_truth(reporter, flow, months, shocked=False)
        product, partner, month = np.nonzero((value > 0) | (without > 0))
        labels = np.array([month_label(i) for i in range(months)], dtype=object)
        return {
            "partner": np.array(self.partners.codes, dtype=object)[partner],
            "product": np.array(PRODUCTS, dtype=object)[product],
            "month": labels[month],
            "value_eur": value[product, partner, month],
            "value_eur_without_tariff": without[product, partner, month],
        }

    def comext_cube(self, reporter: str, flow: int, release: Release) -> ComextCube:
        """Cube of one reporter and flow; `publication_gaps` says which newest cells are held back."""
        key = (reporter, flow, release.number)
        if key in self._cubes:
            self._cubes.move_to_end(key)
            return self._cubes[key]
        members = EU_MEMBERS if reporter == EU_REPORTER else (reporter,)
        euros, kilograms, pieces = self._leaf_numbers(members[0], flow, release.eurostat_months)
        for member in members[1:]:
            more = self._leaf_numbers(member, flow, release.eurostat_months)
            euros, kilograms, pieces = euros + more[0], kilograms + more[1], pieces + more[2]
        cube = ComextCube(self._add_up(euros), self._add_up(kilograms), self._add_partners(pieces.transpose(1, 2, 0)))
        self._cubes[key] = cube
        while len(self._cubes) > self._cubes_kept:
            self._cubes.popitem(last=False)
        return cube

    def comext_cube_by(self, grouping: Grouping, reporter: str, flow: int, release: Release) -> ComextCube:
        """Cube of one reporter and flow by another product list; it counts no pieces.

        Not kept: a caller that asks for it more than once keeps it.
        """
        members = EU_MEMBERS if reporter == EU_REPORTER else (reporter,)
        value, quantity = (
            self.add_up_by(grouping, numbers) for numbers in self.comext_leaves(members[0], flow, release)[:2]
        )
        for member in members[1:]:
            more = self.comext_leaves(member, flow, release)
            value += self.add_up_by(grouping, more[0])
            quantity += self.add_up_by(grouping, more[1])
        return ComextCube(value, quantity, np.zeros((0, *value.shape[1:]), np.int64))

    def comext_leaves(
        self, reporter: str, flow: int, release: Release, first: int = 0, end: int | None = None
    ) -> tuple[Integers, Integers, Integers]:
        """Euros, kilograms and pieces by month, leaf product (`LEAVES`) and leaf partner, as published.

        Parameters
        ----------
        reporter
            One of the 27 members.
        flow
            1 import, 2 export.
        first, end
            First month and the month after the last one; all months of the release by default.
        """
        return self._leaf_numbers(reporter, flow, release.eurostat_months, first, end)

    def _leaf_numbers(
        self, reporter: str, flow: int, months: int, first: int = 0, end: int | None = None
    ) -> tuple[Integers, Integers, Integers]:
        """Euros, kilograms and pieces by month, leaf product and leaf partner, as published in a release."""
        end = months if end is None else end
        flows = self.true_flows(reporter, flow, end, first=first)
        flows *= self.revision_factor(months)[first:end, None, :]
        euros = np.rint(flows)
        price, tilt = self.unit_values(reporter, flow, months)
        kilograms = np.rint(euros / (price[first:end, :, None] * tilt))
        counted = [[leaf.parents[0] for leaf in LEAVES].index(code) for code in sorted(PIECE_VALUES)]
        piece_values = np.array([value for _, value in sorted(PIECE_VALUES.items())])
        pieces = np.rint(euros[:, counted] / piece_values[:, None])
        return euros.astype(np.int64), kilograms.astype(np.int64), pieces.astype(np.int64)

    def publication_gaps(self, reporter: str) -> Booleans:
        """Partners whose newest month is held back: intra-EU ones, and the totals that need them."""
        if reporter in self.parameters.early_reporters:
            return np.zeros(len(self.partners.codes), dtype=np.bool_)
        known = (EXTRA_EU, "EXT_EU")
        unknown = [code for code in PARTNER_AGGREGATES if code not in known]
        return np.isin(self.partners.codes, (*EU_MEMBERS, *INTRA_UNALLOCATED, *unknown))

    def unpublished_partners(self, reporter: str) -> Booleans:
        """Partners that Comext never gives for a reporter: of the Union as one only countries, INT and EXT are."""
        never = [c for c in PARTNER_AGGREGATES if c not in (INTRA_EU, EXTRA_EU)] if reporter == EU_REPORTER else []
        return np.isin(self.partners.codes, never)

    # -- CBS --------------------------------------------------------------------------------------------

    def cbs_truth(self, months: int) -> CbsTruth:
        """True Dutch trade under the CBS concept, scaled to the published year totals.

        Parameters
        ----------
        months
            Number of months from 2021-01. Months of an anchored year are scaled alike in every release.
        """
        if months not in self._cbs_truth:
            self._cbs_truth[months] = self._build_cbs_truth(months)
        return self._cbs_truth[months]

    def _sections(self, flow: int, months: int) -> Floats:
        """Dutch flows in mln euro by leaf partner, SITC section and month."""
        by_product = self.true_flows("NL", flow, months)
        weights = np.array([leaf.sections for leaf in LEAVES])
        by_section = np.tensordot(by_product[:, :-1], weights[:-1], axes=([1], [0]))
        by_section += by_product[:, -1, :, None] * self._rest_mix(flow)
        by_section /= 1e6
        by_section[by_section < self.parameters.cbs_smallest_cell_mln] = 0.0
        return np.asarray(np.moveaxis(by_section, 0, 2), dtype=np.float64)

    def _rest_mix(self, flow: int) -> Floats:
        """Share of every SITC section in the goods outside the listed chapters: a mix of each partner's own."""
        generator = self._generator("sections", flow)
        tilt = np.exp(0.4 * generator.standard_normal((len(self.partners.leaves), 10)))
        mix = np.array(LEAVES[-1].sections) * tilt
        return np.asarray(mix / mix.sum(axis=1, keepdims=True), dtype=np.float64)

    def _build_cbs_truth(self, months: int) -> CbsTruth:
        anchors = self.parameters.cbs_anchors
        last_anchor = max(anchors)
        # Whole anchored years are generated even when a release holds part of one: the scale must not move.
        span = max(months, (last_anchor - START_YEAR) * 12 + 4)
        exports, imports = self._sections(EXPORT, span), self._sections(IMPORT, span)
        shape = exports.shape[:2]
        generator = self._generator("cbs split")
        split = np.exp(0.3 * generator.standard_normal((3, *shape)))
        split *= np.array([0.37, 0.38, 0.25])[:, None, None]
        split /= split.sum(axis=0)
        transit_in = np.clip(0.24 * np.exp(0.2 * generator.standard_normal(shape)), 0.05, 0.6)
        # Re-exports, Dutch product, transit out, imports, transit in.
        parts = np.stack([*(split[..., None] * exports), imports, imports * transit_in[..., None]])
        year_of_month = START_YEAR + np.arange(span) // 12
        for year in range(START_YEAR, int(year_of_month[-1]) + 1):
            # The last anchor holds January-April, and is the scale of all months after it.
            anchor_year = min(year, last_anchor)
            anchor_months = np.flatnonzero(year_of_month == anchor_year)
            if anchor_year == last_anchor:
                anchor_months = anchor_months[:4]
            if anchor_year == year:
                scale = np.array(anchors[year][1:]) / parts[..., anchor_months].sum(axis=(1, 2, 3))
            parts[..., year_of_month == year] *= scale[:, None, None, None]
        measures = (*CBS_EXPORT_MEASURES, *CBS_IMPORT_MEASURES)
        values = np.concatenate([parts[:3].sum(axis=0, keepdims=True), parts])[..., :months]

        lands, partners = self._cbs_lands()
        values = values[:, partners]

        usual = np.stack([values[4, :, :, :12].mean(axis=2), values[0, :, :, :12].mean(axis=2)], axis=2)
        is_small = (usual > 0) & (usual < self.parameters.cbs_small_cell_mln)
        chance = self._generator("suppression").random(usual.shape)
        return CbsTruth(
            measures=measures,
            lands=lands,
            sections=CBS_SECTION_CODES,
            values=np.asarray(values, dtype=np.float64),
            suppressed=is_small & (chance < self.parameters.cbs_suppressed_share),
        )

    def _cbs_lands(self) -> tuple[tuple[str, ...], Integers]:
        """Leaf codes of Landen in the office's order, and the row of each in the list of Comext partners."""
        land_of_partner = {entry.alpha2: code for code, entry in LAND_ENTRIES.items()}
        partner_of_land = {land_of_partner[leaf]: i for i, leaf in enumerate(self.partners.leaves) if leaf != "NL"}
        lands = tuple(code for code, _ in self.partners.lands if code in partner_of_land)
        return lands, np.array([partner_of_land[land] for land in lands], dtype=np.int64)

    def cbs_ownership_truth(self, months: int) -> CbsTruth:
        """True Dutch trade by change of ownership: re-exports, Dutch product and imports, without transit.

        The partners and sections are those of the border-crossing truth with a tilt per country, and
        `CBS_NOT_IN_COUNTRY` comes on top. Scaled by year to the published exports and to those to the United
        States; the split of the total into re-exports and Dutch product, and the level of imports, follow the
        border-crossing truth, because they were not found published.

        Parameters
        ----------
        months
            Number of months from 2021-01.
        """
        anchors = self.parameters.cbs_ownership_anchors
        last_anchor = max(anchors)
        span = max(months, (last_anchor - START_YEAR) * 12 + 7)
        border = self.cbs_truth(span)
        row = {measure: i for i, measure in enumerate(border.measures)}
        crossing = np.stack(
            [
                border.values[row["M001648"]],
                border.values[row["M001632"]],
                border.values[row["D001607"]] - border.values[row["M007895"]],
            ]
        )
        tilt = np.exp(0.15 * self._generator("ownership").standard_normal((3, *crossing.shape[1:3])))
        owned = crossing * tilt[..., None]
        beside = np.array(self.parameters.cbs_not_in_country_shares)[:, None, None]
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
                    if withheld := self.parameters.cbs_ownership_withheld.get(year):
                        fixed[CBS_UNDETERMINED_EU] = withheld * exports[part] / total
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
            sections=(*border.sections, CBS_NOT_IN_COUNTRY),
            values=np.concatenate([parts[:2].sum(axis=0, keepdims=True), parts])[..., :months],
            suppressed=np.concatenate([border.suppressed, nowhere], axis=1),
            empty=tuple((CBS_UNDETERMINED_EU, year) for year in self.parameters.cbs_ownership_withheld),
        )

    def cbs_goods(self, goods: Sequence[CbsGood], flow: int, months: int) -> tuple[Floats, Floats]:
        """True Dutch trade in single goods under the border-crossing concept, transit included.

        A good is a part of the leaf that holds its CN code (the whole leaf, where the code is the leaf
        itself), taken to the CBS concept by the same factor of country, section and month as its section: all
        goods of a section together are never more than the section is in `cbs_truth`.

        Parameters
        ----------
        goods
            Each draws numbers of its own: which others are asked for with it makes no difference.
        flow
            1 import, 2 export.
        months
            Number of months from 2021-01.

        Returns
        -------
        tuple
            Mln euro and kilograms, by good, land and month.
        """
        lands, partners = self._cbs_lands()
        flows, factor = self._cbs_goods_base(flow, months)
        mix = self._rest_mix(flow)[partners]
        price, price_tilt = self.unit_values("NL", flow, months)
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
                generator = self._generator("good", good.code, flow)
                # Bounded draws: the parts of a leaf must not add up to more than the leaf.
                tilt = np.clip(0.3 * generator.standard_normal(len(lands)), -0.6, 0.4)
                noise = np.clip(0.1 * generator.standard_normal((months, len(lands))), -0.3, 0.25)
                cell = cell * (good.share * np.exp(tilt[:, None] + noise.T))
            values[i] = cell
            kilograms[i] = 1e6 * cell / (price[:, leaf] * price_tilt[leaf, partners][:, None])
        return values, kilograms

    def _cbs_goods_base(self, flow: int, months: int) -> tuple[NDArray[Any], Floats]:
        """Dutch flows by month, leaf product and land, and the factor that takes a section to the CBS concept."""
        key = (flow, months)
        if key not in self._cbs_bases:
            truth = self.cbs_truth(months)
            _, partners = self._cbs_lands()
            counted = self._sections(flow, months)[partners]
            measure = truth.measures.index("D001636" if flow == EXPORT else "D001607")
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.where(counted > 0, truth.values[measure] / counted, 0.0)
            flows = self.true_flows("NL", flow, months)[:, :, partners]
            # Both flows of one release: about 40 MB.
            self._cbs_bases = {k: base for k, base in self._cbs_bases.items() if k[1] == months}
            self._cbs_bases[key] = (flows, factor)
        return self._cbs_bases[key]

    def cbs_withheld(self, names: Sequence[str], usual: Floats, small: float) -> Booleans:
        """Cells that CBS withholds in every period: `EconomyParameters.cbs_suppressed_share` of the small ones.

        Parameters
        ----------
        names
            What the rows are called; each row draws numbers of its own.
        usual
            Mean of a month, by row and any other axes.
        small
            A cell below this is small; one of 0 is no cell.
        """
        chance = np.stack([self._generator("withheld", name).random(usual.shape[1:]) for name in names])
        return np.asarray((usual > 0) & (usual < small) & (chance < self.parameters.cbs_suppressed_share))

    def monthly_index(self, name: str, months: int, growth: float, spread: float) -> Floats:
        """Random walk of an index by month, 2021 = 100.

        Parameters
        ----------
        name
            Which index: each has draws of its own.
        growth
            Growth a year.
        spread
            Standard deviation of a month's change, as a share.
        """
        steps = growth / 12 + spread * self._generator("index", name).standard_normal(max(months, 12))
        level = np.exp(np.cumsum(steps))
        return np.asarray(100.0 * level / level[:12].mean(), dtype=np.float64)[:months]

    def cbs_revision_factor(self, lands: Sequence[str], months: int) -> Floats:
        """Published over final value by land and month, when the newest of ``months`` is just out."""
        is_intra = np.isin([LAND_ENTRIES[land].alpha2 for land in lands], (*EU_MEMBERS, *INTRA_UNALLOCATED))
        factor = np.ones((len(lands), months))
        for kind, is_kind in (("intra", is_intra), ("extra", ~is_intra)):
            for age, value in enumerate(self.parameters.revision_factors[kind][:months]):
                factor[is_kind, months - 1 - age] = value
        return factor

    def cbs_published_values(self, release: Release) -> tuple[CbsTruth, Floats]:
        """Truth of a release, and its leaf values in mln euro after revision (not rounded), same axes."""
        truth = self.cbs_truth(release.cbs_months)
        factor = self.cbs_revision_factor(truth.lands, release.cbs_months)
        return truth, truth.values * factor[None, :, None, :]

    def cbs_truth_columns(self, months: int) -> dict[str, NDArray[Any]]:
        """Long form of the CBS truth, ready for ``duckdb.DuckDBPyConnection.register``.

        Columns: ``land``, ``section``, ``measure``, ``month`` (``YYYY-MM``), ``value_mln_eur`` and
        ``is_suppressed``; one row per leaf cell with trade.
        """
        truth = self.cbs_truth(months)
        measure, land, section, month = np.nonzero(truth.values > 0)
        direction = np.isin(truth.measures, CBS_EXPORT_MEASURES).astype(np.int64)
        return {
            "land": np.array(truth.lands, dtype=object)[land],
            "section": np.array(truth.sections, dtype=object)[section],
            "measure": np.array(truth.measures, dtype=object)[measure],
            "month": np.array([month_label(i) for i in range(months)], dtype=object)[month],
            "value_mln_eur": truth.values[measure, land, section, month],
            "is_suppressed": truth.suppressed[land, section, direction[measure]],
        }
