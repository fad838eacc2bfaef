"""The datasets of the Comext host: one trade, by HS and CN, by SITC and by CPA."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from simulator.csv_tables import read_table
from simulator.economy import Integers
from simulator.eurostat.model import Cells, Dataset, Dimension, Meaning, Selection
from simulator.eurostat.trade import ComextCube, ComextTrade
from simulator.partners import PARTNER_AGGREGATES, REPORTERS, WORLD
from simulator.products import BY_CPA, BY_HS, BY_SITC, PIECE_VALUES, PRODUCT_TITLES, PRODUCTS, Grouping
from simulator.release import START_YEAR, Release, month_label

DATASET = "DS-045409"
DIMENSIONS = ("freq", "reporter", "partner", "product", "flow", "indicators")
VALUE, QUANTITY, PIECES = "VALUE_IN_EUROS", "QUANTITY_IN_100KG", "SUPPLEMENTARY_QUANTITY"
GROUP_VALUE, GROUP_QUANTITY = "VALUE_EUR", "QUANTITY_KG"

LARGE_PARTNERS = ("DE", "BE", "FR", "GB", "US")

# The cube of a reporter and a flow in a release.
_Cube = Callable[[str, int, Release], ComextCube]

# Product list and code list. On the host the datasets by HS, SITC and CPA have non-EU reporters too; the simulated
# economy has the 27 members. Unverified: the code lists, the indicators of the latter two (recorded for DS-059341
# only), and the CPA levels that are served.
_GROUPED: dict[str, tuple[Grouping, str]] = {
    "DS-059341": (BY_HS, "CXT_HS"),
    "DS-059331": (BY_SITC, "CXT_SITC"),
    "DS-059366": (BY_CPA, "CXT_CPA22"),
}


def _read_partner_axis() -> dict[str, str]:
    """Return the label of each partner code, in the order of the codes.

    The axis of the four datasets in 2026: 269 codes of two letters and nine aggregates, as counted by five clients
    of the live service. Three codes of GEONOM are left out (XI, XU and ZZ): which three are absent was not seen.
    """
    return {row["code"]: row["label"] for row in read_table("simulator/eurostat/partners.csv")}


def published_periods(release: Release) -> dict[str, tuple[str, ...]]:
    """Return the published periods by frequency: months, and complete years."""
    months = release.eurostat_months
    # A year whose December is still extra-EU only has no annual figure.
    years = (months - 1) // 12
    return {
        "A": tuple(str(START_YEAR + i) for i in range(years)),
        "M": tuple(month_label(i) for i in range(months)),
    }


class ComextDatasets:
    """The datasets of the host, and their cells.

    Parameters
    ----------
    trade
        Source of the numbers.
    """

    # A cube of one reporter and flow by another product list takes about 25 MB.
    _cubes_kept = 6

    def __init__(self, trade: ComextTrade) -> None:
        self.trade = trade
        self._cubes: OrderedDict[tuple[str, str, int, int], ComextCube] = OrderedDict()

    def all(self) -> tuple[Dataset, ...]:
        """Return the eleven datasets that the host listed on 2026-09-25, in its order.

        The order of the titles is that of the host too.
        """
        return tuple(self._declare(row) for row in read_table("simulator/eurostat/dataflows.csv"))

    def _declare(self, row: dict[str, str]) -> Dataset:
        code = row["code"]
        titles = {language: row[language] for language in row["languages"].split()}
        listed = Dataset(code, titles, row["dsd_version"], row["metadata"], int(row["days_later"]))
        if code == DATASET:
            products = Dimension("product", "CXT_NC", "11.0", {code: PRODUCT_TITLES[code] for code in PRODUCTS})
            return self._with_data(
                listed, products, (QUANTITY, PIECES, VALUE), (VALUE, QUANTITY, PIECES), self.trade.cube
            )
        if code in _GROUPED:
            grouping, codelist = _GROUPED[code]
            products = Dimension("product", codelist, "1.0", {code: grouping.titles[code] for code in grouping.codes})
            measures = (GROUP_QUANTITY, GROUP_VALUE)

            def cube(reporter: str, flow: int, release: Release) -> ComextCube:
                return self._cube_by(grouping, reporter, flow, release)

            return self._with_data(listed, products, measures, (GROUP_VALUE, GROUP_QUANTITY), cube)
        return listed

    def _with_data(
        self, listed: Dataset, products: Dimension, measures: tuple[str, ...], order: tuple[str, ...], cube: _Cube
    ) -> Dataset:
        names = self.trade.partners.names
        axis = _read_partner_axis()
        value = order[0]
        dimensions = (
            Dimension("freq", "CXT_FREQ", "1.0", {"A": "Annual", "M": "Monthly"}, "Frequency"),
            Dimension("reporter", "CXT_FREE_ISO", "10.0", {code: names.get(code, code) for code in REPORTERS}),
            Dimension("partner", "CXT_FREE_ISO", "10.0", axis),
            products,
            Dimension("flow", "CXT_EU_FLUX", "1.0", {"1": "IMPORT", "2": "EXPORT"}),
            Dimension("indicators", "CXT_INDICATORS", "43.0", {code: code for code in measures}, listed=order),
        )

        def cells(selection: Selection, release: Release) -> Cells:
            return self._cells(dimensions, cube, selection, release)

        return Dataset(
            code=listed.code,
            titles=listed.titles,
            dsd_version=listed.dsd_version,
            metadata=listed.metadata,
            dimensions=dimensions,
            periods=published_periods,
            cells=cells,
            meaning=Meaning(
                partner="partner",
                indicator="indicators",
                total=WORLD,
                aggregates=PARTNER_AGGREGATES,
                large_partners=LARGE_PARTNERS,
                unknown_partner="X9",
                main_indicators=(value,),
                renamed_indicator=(value, GROUP_VALUE if value == VALUE else VALUE),
            ),
        )

    def _cube_by(self, grouping: Grouping, reporter: str, flow: int, release: Release) -> ComextCube:
        key = (grouping.name, reporter, flow, release.number)
        if key not in self._cubes:
            self._cubes[key] = self.trade.cube_by(grouping, reporter, flow, release)
            while len(self._cubes) > self._cubes_kept:
                self._cubes.popitem(last=False)
        self._cubes.move_to_end(key)
        return self._cubes[key]

    def _cells(self, dimensions: tuple[Dimension, ...], cube: _Cube, selection: Selection, release: Release) -> Cells:
        blocks = [
            block
            for freq in selection.codes["freq"]
            for reporter in selection.codes["reporter"]
            for flow in selection.codes["flow"]
            for block in self._blocks(dimensions, cube, selection, freq, reporter, flow, release)
        ]
        joined = [
            np.concatenate([block[i] for block in blocks]) if blocks else np.zeros(0, np.int64)
            for i in range(len(DIMENSIONS) + 3)
        ]
        return Cells(dict(zip(DIMENSIONS, joined, strict=False)), joined[6], joined[7], joined[8])

    def _blocks(
        self,
        dimensions: tuple[Dimension, ...],
        make_cube: _Cube,
        selection: Selection,
        freq: str,
        reporter: str,
        flow: str,
        release: Release,
    ) -> Iterator[tuple[Integers, ...]]:
        """Yield code positions, numbers and decimals of the cells of one frequency, reporter and flow, by indicator."""
        periods = selection.periods[freq]
        if not periods:
            return
        position: Mapping[str, Mapping[str, int]] = {
            dimension.name: {code: i for i, code in enumerate(dimension.codes)} for dimension in dimensions
        }
        cube = make_cube(reporter, int(flow), release)
        all_periods = published_periods(release)
        products = np.array([position["product"][code] for code in selection.codes["product"]], np.int64)
        # The axis has codes without a cell, such as those of former countries.
        rows_of = {code: i for i, code in enumerate(self.trade.partners.codes)}
        with_cells = [code for code in selection.codes["partner"] if code in rows_of]
        partners = np.array([rows_of[code] for code in with_cells], np.int64)
        partner_positions = np.array([position["partner"][code] for code in with_cells], np.int64)
        times = np.array([all_periods[freq].index(label) for label in periods], np.int64)
        first_label = 0 if freq == "A" else len(all_periods["A"])

        def cut(cells: Integers, rows: Integers) -> Integers:
            part = cells[np.ix_(rows, partners)]
            if freq == "A":
                years = part[..., : 12 * len(all_periods["A"])]
                part = years.reshape(*part.shape[:2], -1, 12).sum(axis=-1)
            return np.asarray(part[..., times])

        value = cut(cube.value, products)
        is_published = value > 0
        is_published[:, self.trade.unpublished_partners(reporter)[partners]] = False
        newest = release.eurostat_months - 1
        if freq == "M" and newest in times:
            held_back = self.trade.publication_gaps(reporter)[partners]
            is_published[:, held_back, np.flatnonzero(times == newest)[0]] = False

        for indicator in selection.codes["indicators"]:
            numbers, shown, decimals = value, is_published, 0
            if indicator in (QUANTITY, GROUP_QUANTITY):
                numbers = cut(cube.quantity, products)
                # Kilograms are served in units of 100 kg.
                decimals = 2 if indicator == QUANTITY else 0
            elif indicator == PIECES:
                piece_codes = sorted(PIECE_VALUES)
                wanted = [i for i, code in enumerate(selection.codes["product"]) if code in PIECE_VALUES]
                numbers = np.zeros_like(value)
                if wanted:
                    rows = [piece_codes.index(selection.codes["product"][i]) for i in wanted]
                    numbers[wanted] = cut(cube.pieces, np.array(rows))
                shown = is_published & (numbers > 0)
            product, partner, time = np.nonzero(shown)
            same = np.ones(len(product), np.int64)
            yield (
                same * position["freq"][freq],
                same * position["reporter"][reporter],
                partner_positions[partner],
                products[product].astype(np.int64),
                same * position["flow"][flow],
                same * position["indicators"][indicator],
                times[time].astype(np.int64) + first_label,
                numbers[product, partner, time],
                same * decimals,
            )
