"""True parameters of the simulated economy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TariffShock:
    """Effect of the 2025 tariffs on metal exports (HS 72-76, 78-83) to the United States.

    Every number is a share of the flow in the same month without the tariff.

    Attributes
    ----------
    news_month, effective_month
        First month in which exporters know of the tariff, and first month in which it applies (``YYYY-MM``).
    front_loading
        Excess by month, from the news month to the last month before the tariff applies.
    payback
        Shortfall by month (negative), from the effective month on.
    lasting_effect, lasting_from
        Permanent change of the level, and its first month.
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
        """Payback as a share of front-loading, both in months of normal trade."""
        return -sum(self.payback.values()) / sum(self.front_loading.values())


@dataclass(frozen=True)
class EconomyParameters:
    """True parameters of the model.

    Attributes
    ----------
    seed
        Seed of every random draw.
    front_loading
        False leaves the tariff shock out.
    level_by_year
        Price and volume level of trade at the middle of each year; 1 is the base year. Linear in between.
    season
        Factor by calendar month, January first.
    growth_by_partner
        Growth of exports to the partner above the common trend, share a year, from 2021-01.
    leading_shares
        Share of a partner in the exports and in the imports of a reporter, where set by hand; the other partners
        follow gravity.
    unallocated_shares
        Share of each Q* partner in a reporter's trade.
    noise_floor, noise_slope
        Log standard deviation of a monthly cell is ``floor + slope * (1e6 EUR / mean) ** 0.25``, at most 1.3.
    smallest_cell_eur
        A monthly cell of product and partner below this many euros has no trade and no row.
    revision_factors
        Ratio of published to final value by months since first publication; final from the thirteenth on.
        ``intra`` applies to partners inside the EU, ``extra`` to the others.
    early_reporters
        Reporters whose newest month is complete at first publication. The others first publish extra-EU partners only.
    cbs_anchors
        Published totals of 85429NED, mln euro: exports, re-exports, Dutch product, transit out, imports,
        transit in. Full years, and January-April of 2026.
    cbs_ownership_anchors
        Published figures of 85427NED, mln euro: exports, re-exports to the United States, Dutch product to
        the United States. Full years, and January-July of 2026 (version 2026-10-02).
    cbs_not_in_country_shares
        Share of goods that change owner without being in the Netherlands ("Niet fysiek in Nederland") in
        re-exports, Dutch product and imports of 85427NED. Assumed: no published figure was found.
    cbs_ownership_withheld
        Exports by year, mln euro, that 85427NED attributes to no country: those to
        `simulator.cbs.trade.UNDETERMINED_EU`, whose cells of that year are empty. Observed for 2022, some 13 bn.
    cbs_smallest_cell_mln
        A monthly flow of country and section below this many mln euro counts as no trade.
    cbs_suppressed_share
        Share of the small cells (country x section x direction) that CBS withholds.
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
