"""Trade datasets of the main host: by SITC group, and by activity, size class and partner of the enterprises.

Their numbers come from the same true flows as Comext.
"""

from __future__ import annotations

import numpy as np

from simulator.economy import EXPORT, IMPORT, Floats
from simulator.eurostat.main_database import (
    EU,
    FLAG,
    CellTable,
    declare,
    dimension,
    geography,
    main_code,
    meaning_of,
    months_of,
)
from simulator.eurostat.model import Dataset
from simulator.eurostat.trade import ComextTrade
from simulator.partners import EU_MEMBERS
from simulator.products import BY_CPA, BY_SITC
from simulator.release import START_YEAR, Release

# SITC sections of each group.
_SITC_GROUPS = {
    "TOTAL": "0123456789", "SITC0_1": "01", "SITC2_4": "24", "SITC3": "3", "SITC5": "5", "SITC6_8": "68", "SITC7": "7",
    "SITC9": "9",
}  # fmt: skip

_TEC_NACE = {
    "TOTAL": "All NACE activities", "C": "Manufacturing", "C24": "Manufacture of basic metals",
    "C25": "Manufacture of fabricated metal products, except machinery and equipment",
    "C28": "Manufacture of machinery and equipment n.e.c.",
    "G": "Wholesale and retail trade; repair of motor vehicles and motorcycles",
}  # fmt: skip
# CPA division (or all goods), and the share of its goods that enterprises of the activity trade. The activities do not
# add up to the trade in goods: some trade cannot be linked to an enterprise.
_TEC_SHARES = {
    "TOTAL": ("TOTAL", 0.97), "C": ("TOTAL", 0.52), "C24": ("24", 0.71), "C25": ("25", 0.58), "C28": ("28", 0.66),
    "G": ("TOTAL", 0.34),
}  # fmt: skip
_SIZE_CLASSES = {
    "TOTAL": ("Total", 1.0), "0-9": ("From 0 to 9 persons employed", 0.09),
    "10-49": ("From 10 to 49 persons employed", 0.15), "50-249": ("From 50 to 249 persons employed", 0.24),
    "GE250": ("250 persons employed or more", 0.49), "UNK": ("Unknown", 0.03),
}  # fmt: skip
# Trade of one enterprise by size class, thousand euro a year.
_TRADE_OF_AN_ENTERPRISE = {"TOTAL": 4e3, "0-9": 4e2, "10-49": 2e3, "50-249": 1.2e4, "GE250": 1.5e5, "UNK": 3e2}


class MainTrade:
    """The trade datasets of the main host.

    Parameters
    ----------
    trade
        Source of the numbers.
    """

    def __init__(self, trade: ComextTrade) -> None:
        self.trade = trade
        self.economy = trade.economy
        self._cached: dict[tuple[str, int], tuple[Floats, Floats]] = {}
        self._geo = geography(trade.partners)

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the datasets."""
        return (self._trade_by_sitc(), self._by_size(), self._by_partner())

    def _trade_of(self, member: str, release: Release) -> tuple[Floats, Floats]:
        """Return the trade of a member in euros.

        Returns
        -------
        tuple of arrays
            By flow (import, export), SITC section, partner group (world, extra, intra) and month; and by flow,
            CPA code (`BY_CPA`), partner (`PartnerList.codes`) and complete year.
        """
        key = (member, release.number)
        if key not in self._cached:
            for old in [old for old in self._cached if old[1] != release.number]:
                del self._cached[old]
            codes = self.economy.partners.codes
            groups = [codes.index(code) for code in ("WORLD", "EXT_EU27_2020", "INT_EU27_2020")]
            sections = [BY_SITC.codes.index(str(section)) for section in range(10)]
            by_section, by_activity = [], []
            years = (release.eurostat_months - 1) // 12
            for flow in (IMPORT, EXPORT):
                euros = self.trade.leaves(member, flow, release)[0]
                by_section.append(self.trade.add_up_by(BY_SITC, euros)[np.ix_(sections, groups)])
                by_cpa = self.trade.add_up_by(BY_CPA, euros[: 12 * years])
                by_activity.append(by_cpa.reshape(*by_cpa.shape[:2], years, 12).sum(axis=-1))
            self._cached[key] = (np.stack(by_section).astype(float), np.stack(by_activity).astype(float))
        return self._cached[key]

    def _trade_by_geo(self, release: Release, geos: tuple[str, ...], part: int) -> Floats:
        """Return the trade of the Union and of its members, in the order of the geography; NaN where not requested."""
        wanted = [member for member in EU_MEMBERS if EU in geos or main_code(member) in geos] or ["NL"]
        members = {main_code(member): self._trade_of(member, release)[part] for member in wanted}
        nothing = np.full_like(next(iter(members.values())), np.nan)
        union = sum(members.values(), np.zeros(())) if len(wanted) == len(EU_MEMBERS) else nothing
        return np.stack([union, *(members.get(code, nothing) for code in self._geo if code != EU)])

    def _trade_by_sitc(self) -> Dataset:
        dimensions = (
            dimension("freq", {"M": "Monthly"}, "Time frequency"),
            dimension("stk_flow", {"BAL_RT": "Balance for values / Ratio for indices", "EXP": "Exports",
                                    "IMP": "Imports"}, "Stock or flow"),
            dimension("indic_et", {"TRD_VAL": "Trade value in million ECU/EURO",
                                    "TRD_VAL_SCA": "Trade value in million ECU/EURO, seasonally and calendar adjusted"},
                       "External trade indicator"),
            dimension("partner", {"EXT_EU27_2020": "Extra-EU27 (from 2020)", "INT_EU27_2020": "Intra-EU27 (from 2020)",
                                   "WORLD": "All countries of the world"}, "Geopolitical entity (partner)"),
            dimension("sitc06", {code: f"SITC sections {', '.join(digits)}" if code != "TOTAL" else "Total"
                                  for code, digits in _SITC_GROUPS.items()},
                       "Standard international trade classification (SITC Rev. 4, 2006)"),
            dimension("geo", self._geo, "Geopolitical entity (reporting)"),
        )  # fmt: skip

        def make(release: Release, geos: tuple[str, ...]) -> CellTable:
            trade = self._trade_by_geo(release, geos, 0) / 1e6
            # geo, flow, section, partner group, month -> flow, indicator, partner, group of sections, geo, month.
            grouped = np.stack(
                [trade[:, :, [int(digit) for digit in digits]].sum(axis=2) for digits in _SITC_GROUPS.values()], axis=2
            )
            grouped = grouped[:, :, :, [1, 2, 0]]
            imports, exports = grouped[:, 0], grouped[:, 1]
            flows = np.stack([exports - imports, exports, imports])
            adjusted = flows / np.resize(self.economy.parameters.season, flows.shape[-1])
            values = np.stack([flows, adjusted]).transpose(1, 0, 4, 3, 2, 5).round(1)
            flags = np.zeros_like(values, dtype=np.int64)
            flags[..., -2:] = FLAG["p"]
            # The intra-EU part of the newest month, and the total, are published a month later.
            values[:, :, 1:, :, :, -1] = np.nan
            return CellTable(values, flags, np.zeros_like(values, dtype=np.int64), 1)

        return declare(
            "EXT_ST_EU27_2020SITC", "International trade of EU and euro area by SITC product group", "ext_go_agg_sims",
            dimensions, months_of, make, meaning_of("partner", "WORLD", "indic_et", "TRD_VAL", ("EXT_EU27_2020",)),
            is_made_by_geo=True,
        )  # fmt: skip

    def _tec_values(self, release: Release, geos: tuple[str, ...]) -> Floats:
        """Return the trade in thousand euro by flow (export, import), activity, partner, geo and year."""
        trade = self._trade_by_geo(release, geos, 1)[..., : len(_tec_years(release))] / 1e3
        rows = [BY_CPA.codes.index(code) for code, _ in _TEC_SHARES.values()]
        shares = np.array([share for _, share in _TEC_SHARES.values()])
        linked = trade[:, ::-1, rows] * shares[:, None, None]
        return np.asarray(linked.transpose(1, 2, 3, 0, 4), dtype=np.float64)

    def _by_size(self) -> Dataset:
        dimensions = (
            dimension("freq", {"A": "Annual"}, "Time frequency"),
            dimension("stk_flow", {"EXP": "Exports", "IMP": "Imports"}, "Stock or flow"),
            dimension("nace_r2", _TEC_NACE, "Statistical classification of economic activities"),
            dimension("sizeclas", {code: title for code, (title, _) in _SIZE_CLASSES.items()},
                       "Size classes in number of persons employed"),
            dimension("partner", {"EXT_EU": "Extra-EU", "INT_EU": "Intra-EU", "WORLD": "All countries of the world"},
                       "Geopolitical entity (partner)"),
            dimension("unit", {"NR": "Number", "THS_EUR": "Thousand euro"}, "Unit of measure"),
            dimension("geo", self._geo, "Geopolitical entity (reporting)"),
        )  # fmt: skip

        def make(release: Release, geos: tuple[str, ...]) -> CellTable:
            codes = self.economy.partners.codes
            groups = [codes.index(code) for code in ("EXT_EU27_2020", "INT_EU27_2020", "WORLD")]
            trade = self._tec_values(release, geos)[:, :, groups]
            shares = np.array([share for _, share in _SIZE_CLASSES.values()])
            tilt = np.exp(0.15 * self.economy.draw("size classes").standard_normal((len(shares), trade.shape[3])))
            tilt = shares[:, None] * tilt
            tilt[1:] /= tilt[1:].sum(axis=0)
            tilt[0] = 1.0
            euros = trade[:, :, None] * tilt[:, None, :, None]
            per_enterprise = np.array([_TRADE_OF_AN_ENTERPRISE[code] for code in _SIZE_CLASSES])
            count = np.ceil(euros / per_enterprise[:, None, None, None])
            # An enterprise that trades with both counts once for the world.
            count[:, :, :, 2] = np.maximum(np.maximum(count[:, :, :, 0], count[:, :, :, 1]), count[:, :, :, 2] * 0.8)
            # Each enterprise has one size class.
            count[:, :, 0] = np.rint(count[:, :, 1:]).sum(axis=2)
            values = np.stack([count, euros], axis=4).round(0)
            return _with_secrets(values, hidden_below=3, axis_of_unit=4)

        return declare(
            "EXT_TEC01", "Trade by NACE Rev. 2 activity and enterprise size class", "ext_tec_sims", dimensions,
            _tec_years, make, meaning_of("partner", "WORLD", "unit", "THS_EUR", ("EXT_EU", "INT_EU")),
            is_made_by_geo=True,
        )  # fmt: skip

    def _by_partner(self) -> Dataset:
        codes = self.economy.partners.codes
        names = self.economy.partners.names
        countries = [code for code in codes if code.isalpha() and len(code) == 2 and not code.startswith("Q")]
        labels = {main_code(code): names.get(code, code) for code in countries}
        partners = dict(sorted(labels.items())) | {
            "EXT_EU": "Extra-EU", "INT_EU": "Intra-EU", "WORLD": "All countries of the world",
        }  # fmt: skip
        source = {main_code(code): codes.index(code) for code in countries} | {
            "EXT_EU": codes.index("EXT_EU27_2020"),
            "INT_EU": codes.index("INT_EU27_2020"),
            "WORLD": codes.index("WORLD"),
        }  # fmt: skip
        dimensions = (
            dimension("freq", {"A": "Annual"}, "Time frequency"),
            dimension("stk_flow", {"EXP": "Exports", "IMP": "Imports"}, "Stock or flow"),
            dimension("nace_r2", _TEC_NACE, "Statistical classification of economic activities"),
            dimension("partner", partners, "Geopolitical entity (partner)"),
            dimension("unit", {"NR": "Number", "THS_EUR": "Thousand euro"}, "Unit of measure"),
            dimension("geo", self._geo, "Geopolitical entity (reporting)"),
        )

        def make(release: Release, geos: tuple[str, ...]) -> CellTable:
            euros = self._tec_values(release, geos)[:, :, [source[code] for code in partners]]
            count = np.ceil(euros / _TRADE_OF_AN_ENTERPRISE["TOTAL"])
            values = np.stack([count, euros], axis=3).round(0)
            return _with_secrets(values, hidden_below=3, axis_of_unit=3)

        aggregates = ("EXT_EU", "INT_EU")
        return declare(
            "EXT_TEC03", "Trade by partner country and NACE Rev. 2 activity", "ext_tec_sims", dimensions, _tec_years,
            make, meaning_of("partner", "WORLD", "unit", "THS_EUR", aggregates), is_made_by_geo=True,
        )  # fmt: skip


def _with_secrets(values: Floats, hidden_below: int, axis_of_unit: int) -> CellTable:
    """Return the cells with few enterprises confidential, those with none dropped, and the last year provisional."""
    count = np.take(values, [0], axis=axis_of_unit)
    hidden = np.broadcast_to((count > 0) & (count < hidden_below), values.shape)
    values = np.where(np.broadcast_to(count > 0, values.shape), values, np.nan)
    flags = np.zeros_like(values, dtype=np.int64)
    flags[..., -1] = FLAG["p"]
    return CellTable(values, np.where(hidden, 0, flags), hidden.astype(np.int64), 0)


def _tec_years(release: Release) -> tuple[str, ...]:
    # Trade by enterprise characteristics is published in the second year after the reference year.
    return tuple(str(year) for year in range(START_YEAR, release.year_month[0] - 1))
