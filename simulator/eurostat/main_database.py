"""The datasets of the main host that say more about metal exports: trade by enterprise, industry, prices, rates.

What is recorded: the dimensions of the ``sts_*`` datasets and their order, their indicators (``PRD``, ``NETTUR*``,
``PRC_PRR*``), those of ``ert_bil_eur_*``, and codes of ``ext_tec01`` and ``ext_st_eu27_2020sitc`` in use by
others. Unverified: the order of the dimensions of ``ext_tec01``, ``ext_tec03`` and ``ext_st_eu27_2020sitc``, their
size classes and partner groups, the versions of code lists, and the titles but that of ``sts_inpr_m``.

The geography of this host is not that of Comext: ``EL`` and ``UK``, not ``GR`` and ``GB``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.economy import EXPORT, IMPORT
from simulator.eurostat.model import Cells, Dataset, Dimension, Meaning, Selection
from simulator.eurostat.trade import ComextTrade
from simulator.partners import EU_MEMBERS
from simulator.products import BY_CPA, BY_SITC
from simulator.release import START_YEAR, Release, month_label

Floats = NDArray[np.float64]

EU, EURO_AREA = "EU27_2020", "EA20"

_MAIN_CODES = {"GR": "EL", "GB": "UK", "XS": "RS"}

_NACE = {
    "B-D": "Mining, manufacturing, energy supply", "C": "Manufacturing", "C24": "Manufacture of basic metals",
    "C241": "Manufacture of basic iron and steel and of ferro-alloys",
    "C244": "Manufacture of basic precious and other non-ferrous metals",
    "C25": "Manufacture of fabricated metal products, except machinery and equipment",
    "C251": "Manufacture of structural metal products", "C259": "Manufacture of other fabricated metal products",
    "C28": "Manufacture of machinery and equipment n.e.c.",
}  # fmt: skip

# Code, title, indicator and its name, adjustments. Turnover and prices in the total, domestic and non-domestic
# market. Prices are not seasonally adjusted.
_STS = (
    ("STS_INPR_M", "Production in industry - monthly data", "PRD", "Production (volume)", ("CA", "NSA", "SCA")),
    ("STS_INTV_M", "Turnover in industry, total - monthly data", "NETTUR", "Net turnover", ("CA", "NSA", "SCA")),
    ("STS_INTVD_M", "Turnover in industry, domestic market - monthly data", "NETTUR_DOM",
     "Net turnover, domestic market", ("CA", "NSA", "SCA")),
    ("STS_INTVND_M", "Turnover in industry, non domestic market - monthly data", "NETTUR_NDOM",
     "Net turnover, non-domestic market", ("CA", "NSA", "SCA")),
    ("STS_INPP_M", "Producer prices in industry, total - monthly data", "PRC_PRR", "Producer prices", ("NSA",)),
    ("STS_INPPD_M", "Producer prices in industry, domestic market - monthly data", "PRC_PRR_DOM",
     "Producer prices, domestic market", ("NSA",)),
    ("STS_INPPND_M", "Producer prices in industry, non domestic market - monthly data", "PRC_PRR_NDOM",
     "Producer prices, non-domestic market", ("NSA",)),
)  # fmt: skip

_ADJUSTMENTS = {
    "CA": "Calendar adjusted data, not seasonally adjusted data",
    "NSA": "Unadjusted data (i.e. neither seasonally adjusted nor calendar adjusted data)",
    "SCA": "Seasonally and calendar adjusted data",
}

# The share of SITC sections in the groups of the short-term indicators.
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
# Share of the goods of a CPA division (or of all goods) that enterprises of the activity trade. The activities of
# TEC do not add up to the trade in goods: some of it cannot be linked to an enterprise.
_TEC_SHARES = {
    "TOTAL": ("TOTAL", 0.97), "C": ("TOTAL", 0.52), "C24": ("24", 0.71), "C25": ("25", 0.58), "C28": ("28", 0.66),
    "G": ("TOTAL", 0.34),
}  # fmt: skip
_SIZE_CLASSES = {
    "TOTAL": ("Total", 1.0), "0-9": ("From 0 to 9 persons employed", 0.09),
    "10-49": ("From 10 to 49 persons employed", 0.15), "50-249": ("From 50 to 249 persons employed", 0.24),
    "GE250": ("250 persons employed or more", 0.49), "UNK": ("Unknown", 0.03),
}  # fmt: skip
# Trade of an enterprise of the size class, thousand euro a year.
_TRADE_OF_AN_ENTERPRISE = {"TOTAL": 4e3, "0-9": 4e2, "10-49": 2e3, "50-249": 1.2e4, "GE250": 1.5e5, "UNK": 3e2}

# Units of the currency for one euro when the simulated months begin, and monthly log drift.
_RATES = {
    "BGN": (1.95583, 0.0), "BRL": (6.5, -0.001), "CAD": (1.55, 0.0005), "CHF": (1.08, -0.002), "CNY": (7.87, 0.0005),
    "CZK": (26.1, -0.001), "DKK": (7.44, 0.0), "GBP": (0.88, -0.0005), "HUF": (360.0, 0.002), "INR": (89.0, 0.002),
    "JPY": (126.0, 0.004), "KRW": (1335.0, 0.002), "MXN": (24.2, -0.002), "NOK": (10.3, 0.002), "PLN": (4.53, -0.001),
    "RON": (4.87, 0.0005), "SEK": (10.1, 0.001), "TRY": (9.0, 0.025), "USD": (1.21, -0.0005),
}  # fmt: skip
_FIXED_RATES = ("BGN", "DKK")
#: Currency of the members outside the euro area, and the month in which Bulgaria took the euro.
CURRENCIES = {"BG": "BGN", "CZ": "CZK", "DK": "DKK", "HU": "HUF", "PL": "PLN", "RO": "RON", "SE": "SEK"}
_LAST_LEV = "2025-12"


@dataclass(frozen=True)
class _Table:
    """Every cell of a dataset in one release.

    Attributes
    ----------
    values
        By the dimensions but ``freq``, in their order, and by period; NaN is no cell.
    flags, confidentiality
        Same axes: positions in `simulator.eurostat.model.FLAGS` and ``CONFIDENTIALITY``.
    decimals
        Decimal places of the values.
    """

    values: Floats
    flags: NDArray[np.int64]
    confidentiality: NDArray[np.int64]
    decimals: int


def _cut_cells(
    table: _Table, dataset_dimensions: Sequence[Dimension], labels: Sequence[str], selection: Selection
) -> Cells:
    """Cut the cells of a selection out of the table of a dataset with one frequency."""
    wanted = [
        np.array([dimension.codes.index(code) for code in selection.codes[dimension.name]], np.int64)
        for dimension in dataset_dimensions[1:]
    ]
    (freq,) = dataset_dimensions[0].codes
    periods = selection.periods[freq] if freq in selection.codes["freq"] else ()
    wanted.append(np.array([labels.index(label) for label in periods], np.int64))
    block = np.ix_(*wanted)
    values, confidentiality = table.values[block], table.confidentiality[block]
    places = np.nonzero(~np.isnan(values))
    names = [dimension.name for dimension in dataset_dimensions[1:]]
    positions = {name: axis[place] for name, axis, place in zip(names, wanted[:-1], places[:-1], strict=True)}
    positions["freq"] = np.zeros(len(places[0]), np.int64)
    return Cells(
        positions=positions,
        periods=wanted[-1][places[-1]],
        numbers=np.rint(values[places] * 10**table.decimals).astype(np.int64),
        decimals=np.full(len(places[0]), table.decimals, np.int64),
        flags=table.flags[block][places],
        confidentiality=confidentiality[places],
    )


class MainDatabase:
    """Declares the datasets of the main host and makes their numbers.

    Trade comes from the same economy as Comext; indices and rates are drawn from the economy's seed.

    Parameters
    ----------
    trade
        Source of the numbers.
    """

    def __init__(self, trade: ComextTrade) -> None:
        self.trade = trade
        self.economy = economy = trade.economy
        self._tables: dict[tuple[str, int, tuple[str, ...]], _Table] = {}
        self._trade: dict[tuple[str, int], tuple[Floats, Floats]] = {}
        names = economy.partners.names
        self._geo = {
            EU: "European Union - 27 countries (from 2020)",
            **{code: names[member] for code, member in sorted((_main_code(m), m) for m in EU_MEMBERS)},
        }
        self._geo_and_area = {
            EURO_AREA: "Euro area – 20 countries (from 2023)",
            **self._geo,
        }

    def all(self) -> tuple[Dataset, ...]:
        """Every dataset of the host."""
        return (*self._short_term(), self._rates(), self._trade_by_sitc(), self._by_size(), self._by_partner())

    def _declare(
        self,
        code: str,
        title: str,
        metadata: str,
        dimensions: tuple[Dimension, ...],
        labels: Callable[[Release], tuple[str, ...]],
        make: Callable[[Release, tuple[str, ...]], _Table],
        meaning: Meaning,
        *,
        is_made_by_geo: bool = False,
    ) -> Dataset:
        (freq,) = dimensions[0].codes

        def cells(selection: Selection, release: Release) -> Cells:
            key = (code, release.number, selection.codes["geo"] if is_made_by_geo else ())
            if key not in self._tables:
                # One table of a dataset at a time: the release before is not asked for again.
                for old in [old for old in self._tables if old[0] == code]:
                    del self._tables[old]
                self._tables[key] = make(release, key[2])
            return _cut_cells(self._tables[key], dimensions, labels(release), selection)

        return Dataset(
            code=code,
            titles={"en": title},
            dsd_version="1.0",
            metadata=metadata,
            dimensions=dimensions,
            periods=lambda release: {freq: labels(release)},
            cells=cells,
            meaning=meaning,
            has_flags=True,
            is_comext=False,
        )

    # -- short-term business statistics ----------------------------------------------------------------

    def _short_term(self) -> list[Dataset]:
        return [self._short_term_dataset(*row) for row in _STS]

    def _short_term_dataset(
        self, code: str, title: str, indicator: str, name: str, adjustments: tuple[str, ...]
    ) -> Dataset:
        dimensions = (
            _dimension("freq", {"M": "Monthly"}, "Time frequency"),
            _dimension("indic_bt", {indicator: name}, "Business trend indicator"),
            _dimension("nace_r2", _NACE, "Statistical classification of economic activities in the European Community"),
            _dimension("s_adj", {code: _ADJUSTMENTS[code] for code in adjustments}, "Seasonal adjustment"),
            _dimension("unit", {"I15": "Index, 2015=100", "I21": "Index, 2021=100"}, "Unit of measure"),
            _dimension("geo", self._geo_and_area, "Geopolitical entity (reporting)"),
        )

        def make(release: Release, _: tuple[str, ...]) -> _Table:
            return self._index(code, dimensions, release)

        return self._declare(code, title, "sts_ind_sims", dimensions, _months, make, _meaning("geo", EU, "unit", "I21"))

    def _index(self, code: str, dimensions: tuple[Dimension, ...], release: Release) -> _Table:
        months = release.eurostat_months
        shape = tuple(len(dimension.codes) for dimension in dimensions[1:])
        values = np.full((*shape, months), np.nan)
        is_price = code.startswith("STS_INPP")
        season = np.resize(self.economy.parameters.season, months)
        level = self.economy.trend(months) / season
        for i, nace in enumerate(dimensions[2].codes):
            for j, geo in enumerate(dimensions[5].codes):
                draw = self.economy.draw(code, nace, geo)
                path = np.cumsum(0.006 * draw.standard_normal(months))
                smooth = level ** (0.5 if is_price else 0.8) * np.exp(path)
                seasonal = smooth if is_price else smooth * season**0.7
                worked = seasonal * (1 + 0.01 * draw.standard_normal(months))
                for k, adjustment in enumerate(dimensions[3].codes):
                    series = {"NSA": seasonal if is_price else worked, "CA": seasonal, "SCA": smooth}[adjustment]
                    based = 100 * series / series[:12].mean()
                    # The older base year links at a level of its own.
                    values[0, i, k, 0, j] = based * (1.05 + 0.1 * draw.random())
                    values[0, i, k, 1, j] = based
        values = values.round(1)
        flags = np.zeros(values.shape, np.int64)
        flags[..., -2:] = _FLAG["p"]
        flags[:, :, :, :, dimensions[5].codes.index(EURO_AREA), -1] = _FLAG["e"]
        confidentiality = np.zeros(values.shape, np.int64)
        # Few enterprises: the three-digit metal branches of small countries are not shown.
        hidden = [dimensions[2].codes.index(nace) for nace in ("C241", "C244", "C24")]
        small = [dimensions[5].codes.index(geo) for geo in ("CY", "IE", "LU", "MT")]
        confidentiality[np.ix_([0], hidden, range(shape[2]), range(shape[3]), small, range(months))] = 1
        flags[confidentiality > 0] = _FLAG[""]
        return _Table(values, flags, confidentiality, 1)

    # -- exchange rates ---------------------------------------------------------------------------------

    def _rates(self) -> Dataset:
        dimensions = (
            _dimension("freq", {"M": "Monthly"}, "Time frequency"),
            _dimension("statinfo", {"AVG": "Average", "END": "End of period"}, "Statistical information"),
            _dimension("unit", {"NAC": "National currency"}, "Unit of measure"),
            _dimension("currency", {code: code for code in _RATES}, "Currency"),
        )

        def make(release: Release, _: tuple[str, ...]) -> _Table:
            months = release.eurostat_months
            values = np.stack([self.exchange_rates(code, months, both=True) for code in _RATES], axis=1)[:, None]
            return _Table(values, np.zeros(values.shape, np.int64), np.zeros(values.shape, np.int64), 5)

        return self._declare(
            "ERT_BIL_EUR_M", "Euro/ECU exchange rates - monthly data", "ert_esms", dimensions, _months, make,
            _meaning("currency", "USD", "statinfo", "AVG"),
        )  # fmt: skip

    def exchange_rates(self, currency: str, months: int, *, both: bool = False) -> Floats:
        """Units of a currency for one euro by month: the average, or average and end of month."""
        start, drift = _RATES[currency]
        draw = self.economy.draw("exchange rate", currency)
        size = 0.0 if currency in _FIXED_RATES else 0.012
        path = np.cumsum(drift + size * draw.standard_normal(months))
        end = start * np.exp(path)
        average = start * np.exp(path - drift / 2 - size * 0.3 * draw.standard_normal(months))
        rates = np.stack([average, end]).round(5)
        if currency == "BGN":
            rates[:, [i for i in range(months) if month_label(i) > _LAST_LEV]] = np.nan
        return rates if both else np.asarray(rates[0])

    # -- trade ------------------------------------------------------------------------------------------

    def _trade_of(self, member: str, release: Release) -> tuple[Floats, Floats]:
        """Trade of a member in euros.

        Returns
        -------
        tuple of arrays
            By flow (import, export), SITC section, partner group (world, extra, intra) and month; and by flow,
            CPA code (`BY_CPA`), partner (`PartnerList.codes`) and complete year.
        """
        key = (member, release.number)
        if key not in self._trade:
            for old in [old for old in self._trade if old[1] != release.number]:
                del self._trade[old]
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
            self._trade[key] = (np.stack(by_section).astype(float), np.stack(by_activity).astype(float))
        return self._trade[key]

    def _trade_by_geo(self, release: Release, geos: tuple[str, ...], part: int) -> Floats:
        """Trade of the Union and of its members, in the order of the geography; NaN for those not asked for."""
        wanted = [member for member in EU_MEMBERS if EU in geos or _main_code(member) in geos] or ["NL"]
        members = {_main_code(member): self._trade_of(member, release)[part] for member in wanted}
        nothing = np.full_like(next(iter(members.values())), np.nan)
        union = sum(members.values(), np.zeros(())) if len(wanted) == len(EU_MEMBERS) else nothing
        return np.stack([union, *(members.get(code, nothing) for code in self._geo if code != EU)])

    def _trade_by_sitc(self) -> Dataset:
        dimensions = (
            _dimension("freq", {"M": "Monthly"}, "Time frequency"),
            _dimension("stk_flow", {"BAL_RT": "Balance for values / Ratio for indices", "EXP": "Exports",
                                    "IMP": "Imports"}, "Stock or flow"),
            _dimension("indic_et", {"TRD_VAL": "Trade value in million ECU/EURO",
                                    "TRD_VAL_SCA": "Trade value in million ECU/EURO, seasonally and calendar adjusted"},
                       "External trade indicator"),
            _dimension("partner", {"EXT_EU27_2020": "Extra-EU27 (from 2020)", "INT_EU27_2020": "Intra-EU27 (from 2020)",
                                   "WORLD": "All countries of the world"}, "Geopolitical entity (partner)"),
            _dimension("sitc06", {code: f"SITC sections {', '.join(digits)}" if code != "TOTAL" else "Total"
                                  for code, digits in _SITC_GROUPS.items()},
                       "Standard international trade classification (SITC Rev. 4, 2006)"),
            _dimension("geo", self._geo, "Geopolitical entity (reporting)"),
        )  # fmt: skip

        def make(release: Release, geos: tuple[str, ...]) -> _Table:
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
            flags = np.zeros(values.shape, np.int64)
            flags[..., -2:] = _FLAG["p"]
            # The intra-EU part of the newest month, and the total with it, come a month later.
            values[:, :, 1:, :, :, -1] = np.nan
            return _Table(values, flags, np.zeros(values.shape, np.int64), 1)

        return self._declare(
            "EXT_ST_EU27_2020SITC", "International trade of EU and euro area by SITC product group", "ext_go_agg_sims",
            dimensions, _months, make, _meaning("partner", "WORLD", "indic_et", "TRD_VAL", ("EXT_EU27_2020",)),
            is_made_by_geo=True,
        )  # fmt: skip

    def _tec_values(self, release: Release, geos: tuple[str, ...]) -> Floats:
        """Trade in thousand euro by flow (export, import), activity, partner, geo and year."""
        trade = self._trade_by_geo(release, geos, 1)[..., : len(_tec_years(release))] / 1e3
        rows = [BY_CPA.codes.index(code) for code, _ in _TEC_SHARES.values()]
        shares = np.array([share for _, share in _TEC_SHARES.values()])
        linked = trade[:, ::-1, rows] * shares[:, None, None]
        return np.asarray(linked.transpose(1, 2, 3, 0, 4), dtype=np.float64)

    def _by_size(self) -> Dataset:
        dimensions = (
            _dimension("freq", {"A": "Annual"}, "Time frequency"),
            _dimension("stk_flow", {"EXP": "Exports", "IMP": "Imports"}, "Stock or flow"),
            _dimension("nace_r2", _TEC_NACE, "Statistical classification of economic activities"),
            _dimension("sizeclas", {code: title for code, (title, _) in _SIZE_CLASSES.items()},
                       "Size classes in number of persons employed"),
            _dimension("partner", {"EXT_EU": "Extra-EU", "INT_EU": "Intra-EU", "WORLD": "All countries of the world"},
                       "Geopolitical entity (partner)"),
            _dimension("unit", {"NR": "Number", "THS_EUR": "Thousand euro"}, "Unit of measure"),
            _dimension("geo", self._geo, "Geopolitical entity (reporting)"),
        )  # fmt: skip

        def make(release: Release, geos: tuple[str, ...]) -> _Table:
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
            # An enterprise that trades with both is one enterprise of the world.
            count[:, :, :, 2] = np.maximum(np.maximum(count[:, :, :, 0], count[:, :, :, 1]), count[:, :, :, 2] * 0.8)
            # Each enterprise is of one size class.
            count[:, :, 0] = np.rint(count[:, :, 1:]).sum(axis=2)
            values = np.stack([count, euros], axis=4).round(0)
            return _with_secrets(values, hidden_below=3, axis_of_unit=4)

        return self._declare(
            "EXT_TEC01", "Trade by NACE Rev. 2 activity and enterprise size class", "ext_tec_sims", dimensions,
            _tec_years, make, _meaning("partner", "WORLD", "unit", "THS_EUR", ("EXT_EU", "INT_EU")),
            is_made_by_geo=True,
        )  # fmt: skip

    def _by_partner(self) -> Dataset:
        codes = self.economy.partners.codes
        names = self.economy.partners.names
        countries = [code for code in codes if code.isalpha() and len(code) == 2 and not code.startswith("Q")]
        labels = {_main_code(code): names.get(code, code) for code in countries}
        partners = dict(sorted(labels.items())) | {
            "EXT_EU": "Extra-EU", "INT_EU": "Intra-EU", "WORLD": "All countries of the world",
        }  # fmt: skip
        source = {_main_code(code): codes.index(code) for code in countries} | {
            "EXT_EU": codes.index("EXT_EU27_2020"),
            "INT_EU": codes.index("INT_EU27_2020"),
            "WORLD": codes.index("WORLD"),
        }  # fmt: skip
        dimensions = (
            _dimension("freq", {"A": "Annual"}, "Time frequency"),
            _dimension("stk_flow", {"EXP": "Exports", "IMP": "Imports"}, "Stock or flow"),
            _dimension("nace_r2", _TEC_NACE, "Statistical classification of economic activities"),
            _dimension("partner", partners, "Geopolitical entity (partner)"),
            _dimension("unit", {"NR": "Number", "THS_EUR": "Thousand euro"}, "Unit of measure"),
            _dimension("geo", self._geo, "Geopolitical entity (reporting)"),
        )

        def make(release: Release, geos: tuple[str, ...]) -> _Table:
            euros = self._tec_values(release, geos)[:, :, [source[code] for code in partners]]
            count = np.ceil(euros / _TRADE_OF_AN_ENTERPRISE["TOTAL"])
            values = np.stack([count, euros], axis=3).round(0)
            return _with_secrets(values, hidden_below=3, axis_of_unit=3)

        aggregates = ("EXT_EU", "INT_EU")
        return self._declare(
            "EXT_TEC03", "Trade by partner country and NACE Rev. 2 activity", "ext_tec_sims", dimensions, _tec_years,
            make, _meaning("partner", "WORLD", "unit", "THS_EUR", aggregates), is_made_by_geo=True,
        )  # fmt: skip


_FLAG = {"": 0, "b": 1, "e": 2, "p": 3}


def _with_secrets(values: Floats, hidden_below: int, axis_of_unit: int) -> _Table:
    """Hide what few enterprises traded, drop what nobody did, and call the last year provisional."""
    count = np.take(values, [0], axis=axis_of_unit)
    hidden = np.broadcast_to((count > 0) & (count < hidden_below), values.shape)
    values = np.where(np.broadcast_to(count > 0, values.shape), values, np.nan)
    flags = np.zeros(values.shape, np.int64)
    flags[..., -1] = _FLAG["p"]
    return _Table(values, np.where(hidden, 0, flags), hidden.astype(np.int64), 0)


def _dimension(name: str, labels: Mapping[str, str], title: str) -> Dimension:
    return Dimension(name, name.upper(), "1.0", labels, title)


def _meaning(partner: str, total: str, indicator: str, main: str, aggregates: tuple[str, ...] = ()) -> Meaning:
    return Meaning(
        partner=partner,
        indicator=indicator,
        total=total,
        aggregates=(*aggregates, total),
        large_partners=("DE", "US"),
        unknown_partner="X9",
        main_indicators=(main,),
    )


def _main_code(comext_code: str) -> str:
    return _MAIN_CODES.get(comext_code, comext_code)


def _months(release: Release) -> tuple[str, ...]:
    return tuple(month_label(i) for i in range(release.eurostat_months))


def _tec_years(release: Release) -> tuple[str, ...]:
    # Trade by enterprise characteristics comes out in the second year after the one it tells of.
    return tuple(str(year) for year in range(START_YEAR, release.year_month[0] - 1))
