"""Datasets of the main host in general: geography, declaration, and cells cut from one table per release.

Recorded: the dimensions of the ``sts_*`` datasets and their order, their indicators (``PRD``, ``NETTUR*``,
``PRC_PRR*``), those of ``ert_bil_eur_*``, and codes of ``ext_tec01`` and ``ext_st_eu27_2020sitc`` in use by others.
Unverified: the order of the dimensions of ``ext_tec01``, ``ext_tec03`` and ``ext_st_eu27_2020sitc``, their size classes
and partner groups, the versions of code lists, and all titles except that of ``sts_inpr_m``.

The geography of this host differs from that of Comext: ``EL`` and ``UK``, not ``GR`` and ``GB``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from simulator.economy import Floats, Integers
from simulator.eurostat.model import FLAGS, Cells, Dataset, Dimension, Meaning, Selection
from simulator.partners import EU_MEMBERS, PartnerList
from simulator.release import Release, month_label

EU = "EU27_2020"

_MAIN_CODES = {"GR": "EL", "GB": "UK", "XS": "RS"}

#: Position of a flag in `simulator.eurostat.model.FLAGS`.
FLAG = {flag: i for i, flag in enumerate(FLAGS)}


@dataclass(frozen=True)
class CellTable:
    """Every cell of a dataset in one release.

    Attributes
    ----------
    values
        By the dimensions except ``freq``, in their order, and by period; NaN is no cell.
    flags, confidentiality
        Same axes: positions in `simulator.eurostat.model.FLAGS` and ``CONFIDENTIALITY``.
    decimals
        Decimal places of the values.
    """

    values: Floats
    flags: Integers
    confidentiality: Integers
    decimals: int


def _cut_cells(
    table: CellTable, dimensions: tuple[Dimension, ...], labels: tuple[str, ...], selection: Selection
) -> Cells:
    """Return the cells of a selection of a dataset with one frequency."""
    wanted = [
        np.array([dimension.codes.index(code) for code in selection.codes[dimension.name]], np.int64)
        for dimension in dimensions[1:]
    ]
    (freq,) = dimensions[0].codes
    periods = selection.periods[freq] if freq in selection.codes["freq"] else ()
    wanted.append(np.array([labels.index(label) for label in periods], np.int64))
    block = np.ix_(*wanted)
    values, confidentiality = table.values[block], table.confidentiality[block]
    places = np.nonzero(~np.isnan(values))
    names = [dimension.name for dimension in dimensions[1:]]
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


def declare(
    code: str,
    title: str,
    metadata: str,
    dimensions: tuple[Dimension, ...],
    labels: Callable[[Release], tuple[str, ...]],
    make: Callable[[Release, tuple[str, ...]], CellTable],
    meaning: Meaning,
    *,
    is_made_by_geo: bool = False,
) -> Dataset:
    """Return a dataset of the main host.

    Parameters
    ----------
    dimensions
        ``freq`` first, with one code.
    labels
        Periods of a release.
    make
        Function that returns the table of a release; its second argument is the geography of the selection, empty
        unless ``is_made_by_geo``.
    is_made_by_geo
        True if the table has the cells of the requested geography only.
    """
    (freq,) = dimensions[0].codes
    tables: dict[tuple[int, tuple[str, ...]], CellTable] = {}

    def cells(selection: Selection, release: Release) -> Cells:
        key = (release.number, selection.codes["geo"] if is_made_by_geo else ())
        if key not in tables:
            # One table at a time: an earlier release is not requested again.
            tables.clear()
            tables[key] = make(release, key[1])
        return _cut_cells(tables[key], dimensions, labels(release), selection)

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


def main_code(comext_code: str) -> str:
    """Return the code of a country on the main host."""
    return _MAIN_CODES.get(comext_code, comext_code)


def geography(partners: PartnerList) -> dict[str, str]:
    """Return the label of the Union and of each member."""
    return {
        EU: "European Union - 27 countries (from 2020)",
        **{code: partners.names[member] for code, member in sorted((main_code(m), m) for m in EU_MEMBERS)},
    }


def months_of(release: Release) -> tuple[str, ...]:
    """Return the months of a release."""
    return tuple(month_label(i) for i in range(release.eurostat_months))


def dimension(name: str, labels: Mapping[str, str], title: str) -> Dimension:
    """Return a dimension whose code list has its name."""
    return Dimension(name, name.upper(), "1.0", labels, title)


def meaning_of(partner: str, total: str, indicator: str, main: str, aggregates: tuple[str, ...] = ()) -> Meaning:
    """Return the meaning of a dataset for the faults."""
    return Meaning(
        partner=partner,
        indicator=indicator,
        total=total,
        aggregates=(*aggregates, total),
        large_partners=("DE", "US"),
        unknown_partner="X9",
        main_indicators=(main,),
    )
