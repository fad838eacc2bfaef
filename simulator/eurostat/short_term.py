"""Short-term business statistics of the main host: production, turnover and producer prices of industry.

``short_term.csv`` has the datasets. Turnover and prices come in the total, domestic and non-domestic market; prices are
not seasonally adjusted.
"""

from __future__ import annotations

import numpy as np

from simulator.csv_tables import read_table
from simulator.economy import Economy
from simulator.eurostat.main_database import (
    EU,
    FLAG,
    CellTable,
    declare,
    dimension,
    geography,
    meaning_of,
    months_of,
)
from simulator.eurostat.model import Dataset, Dimension
from simulator.release import Release

_EURO_AREA = "EA20"

_NACE = {
    "B-D": "Mining, manufacturing, energy supply", "C": "Manufacturing", "C24": "Manufacture of basic metals",
    "C241": "Manufacture of basic iron and steel and of ferro-alloys",
    "C244": "Manufacture of basic precious and other non-ferrous metals",
    "C25": "Manufacture of fabricated metal products, except machinery and equipment",
    "C251": "Manufacture of structural metal products", "C259": "Manufacture of other fabricated metal products",
    "C28": "Manufacture of machinery and equipment n.e.c.",
}  # fmt: skip

_ADJUSTMENTS = {
    "CA": "Calendar adjusted data, not seasonally adjusted data",
    "NSA": "Unadjusted data (i.e. neither seasonally adjusted nor calendar adjusted data)",
    "SCA": "Seasonally and calendar adjusted data",
}


def short_term_datasets(economy: Economy) -> list[Dataset]:
    """Return the datasets, drawn from the seed of the economy."""
    return [_dataset(economy, row) for row in read_table("simulator/eurostat/short_term.csv")]


def _dataset(economy: Economy, row: dict[str, str]) -> Dataset:
    code = row["code"]
    geo = {_EURO_AREA: "Euro area – 20 countries (from 2023)", **geography(economy.partners)}
    dimensions = (
        dimension("freq", {"M": "Monthly"}, "Time frequency"),
        dimension("indic_bt", {row["indicator"]: row["indicator_title"]}, "Business trend indicator"),
        dimension("nace_r2", _NACE, "Statistical classification of economic activities in the European Community"),
        dimension("s_adj", {kind: _ADJUSTMENTS[kind] for kind in row["adjustments"].split()}, "Seasonal adjustment"),
        dimension("unit", {"I15": "Index, 2015=100", "I21": "Index, 2021=100"}, "Unit of measure"),
        dimension("geo", geo, "Geopolitical entity (reporting)"),
    )

    def make(release: Release, _: tuple[str, ...]) -> CellTable:
        return _index(economy, code, dimensions, release)

    meaning = meaning_of("geo", EU, "unit", "I21")
    return declare(code, row["title"], "sts_ind_sims", dimensions, months_of, make, meaning)


def _index(economy: Economy, code: str, dimensions: tuple[Dimension, ...], release: Release) -> CellTable:
    months = release.eurostat_months
    shape = tuple(len(axis.codes) for axis in dimensions[1:])
    values = np.full((*shape, months), np.nan)
    is_price = code.startswith("STS_INPP")
    season = np.resize(economy.parameters.season, months)
    level = economy.trend(months) / season
    for i, nace in enumerate(dimensions[2].codes):
        for j, geo in enumerate(dimensions[5].codes):
            draw = economy.draw(code, nace, geo)
            path = np.cumsum(0.006 * draw.standard_normal(months))
            smooth = level ** (0.5 if is_price else 0.8) * np.exp(path)
            seasonal = smooth if is_price else smooth * season**0.7
            worked = seasonal * (1 + 0.01 * draw.standard_normal(months))
            for k, adjustment in enumerate(dimensions[3].codes):
                series = {"NSA": seasonal if is_price else worked, "CA": seasonal, "SCA": smooth}[adjustment]
                based = 100 * series / series[:12].mean()
                # The older base year links at a separate level.
                values[0, i, k, 0, j] = based * (1.05 + 0.1 * draw.random())
                values[0, i, k, 1, j] = based
    values = values.round(1)
    flags, confidentiality = np.zeros_like(values, dtype=np.int64), np.zeros_like(values, dtype=np.int64)
    flags[..., -2:] = FLAG["p"]
    flags[:, :, :, :, dimensions[5].codes.index(_EURO_AREA), -1] = FLAG["e"]
    # Few enterprises: these metal activities of small countries are confidential.
    hidden = [dimensions[2].codes.index(nace) for nace in ("C241", "C244", "C24")]
    small = [dimensions[5].codes.index(geo) for geo in ("CY", "IE", "LU", "MT")]
    confidentiality[np.ix_([0], hidden, range(shape[2]), range(shape[3]), small, range(months))] = 1
    flags[confidentiality > 0] = FLAG[""]
    return CellTable(values, flags, confidentiality, 1)
