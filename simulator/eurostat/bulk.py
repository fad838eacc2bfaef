"""Bulk archives of Comext: rows by statistical procedure, in the v2 layout and in the layout used before 2002.

Recorded: the header and real rows of both layouts, and the names of the archive members.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np

from simulator.archives import pack_seven_zip
from simulator.economy import EXPORT, IMPORT, Integers
from simulator.eurostat.exchange_rates import CURRENCIES, exchange_rates
from simulator.eurostat.trade import ComextTrade
from simulator.geonom import LAND_ENTRIES
from simulator.partners import EU_MEMBERS
from simulator.products import GROUP_CODES, LEAVES, PIECE_VALUES, TOTAL, cpa22
from simulator.release import Release

V2_COLUMNS = (
    "REPORTER", "PARTNER", "TRADE_TYPE", "PRODUCT_NC", "PRODUCT_SITC", "PRODUCT_CPA21", "PRODUCT_CPA22", "PRODUCT_BEC",
    "PRODUCT_BEC5", "PRODUCT_SECTION", "FLOW", "STAT_PROCEDURE", "SUPPL_UNIT", "PERIOD", "VALUE_EUR", "VALUE_NAC",
    "QUANTITY_KG", "QUANTITY_SUPPL_UNIT",
)  # fmt: skip
OLD_COLUMNS = (
    "DECLARANT", "DECLARANT_ISO", "PARTNER", "PARTNER_ISO", "TRADE_TYPE", "PRODUCT_NC", "PRODUCT_SITC",
    "PRODUCT_cpa2002", "PRODUCT_cpa2008", "PRODUCT_CPA2_1", "PRODUCT_BEC", "PRODUCT_SECTION", "FLOW", "STAT_REGIME",
    "SUPP_UNIT", "PERIOD", "VALUE_IN_EUROS", "QUANTITY_IN_KG", "SUP_QUANTITY",
)  # fmt: skip

_MEMBERS_OF_2001 = ("AT", "BE", "DE", "DK", "ES", "FI", "FR", "GR", "IE", "IT", "LU", "NL", "PT", "SE")

_SECTIONS = {
    **dict.fromkeys(("72", "73", "74", "75", "76", "78", "79", "80", "81", "82", "83"), "15"),
    "39": "07", "84": "16", "85": "16", "87": "17",
}  # fmt: skip

# Leaves whose code in a bulk file is masked.
_MASKED = np.array([leaf.chapter != TOTAL and len(leaf.parents[0]) < 8 for leaf in LEAVES])


def _other_codes(place: int) -> tuple[str, ...]:
    """Return the codes of the other goods behind a masked code: another SITC code and no CPA, both made up."""
    code, sitc, _, _, *others = _leaf_codes(place)
    wider = sitc[0].ljust(5, "X")
    return (code, wider if wider != sitc else "9".ljust(5, "X"), "XXXX", "XXXX", *others)


def _leaf_codes(place: int) -> tuple[str, ...]:
    """Return the codes of a leaf in a bulk file: CN, SITC, CPA 2.1, CPA 2.2, BEC 4, BEC 5, section, supplementary unit.

    Goods without a listed code have the code of their parent, padded with X, as the office masks confidential codes.
    The goods outside the listed chapters have eight X, a code made up for the simulator. BEC codes are those of the two
    known rows (processed and not specified), with 210 for scrap; the BEC code of each product is unverified.
    """
    leaf = LEAVES[place]
    if leaf.chapter == TOTAL:
        return ("X" * 8, "X" * 5, "X" * 4, "X" * 4, "700", "X" * 6, "XX", "NO_SU")
    code = leaf.parents[0]
    sitc, cpa = GROUP_CODES[code]
    is_masked = len(code) < 8
    is_scrap = sitc.startswith("28")
    return (
        code.ljust(8, "X"),
        sitc.ljust(5, "X"),
        cpa[:4].ljust(4, "X"),
        cpa22(cpa)[:4].ljust(4, "X"),
        "700" if is_masked else "210" if is_scrap else "220",
        "31XXXX" if is_masked else "311210",
        _SECTIONS[leaf.chapter],
        "PST" if code in PIECE_VALUES else "NO_SU",
    )


class BulkArchives:
    """Makes the archives.

    Parameters
    ----------
    trade
        Source of the numbers.
    connection
        DuckDB connection to write the rows with.
    """

    def __init__(self, trade: ComextTrade, connection: duckdb.DuckDBPyConnection) -> None:
        self.trade = trade
        self.connection = connection
        # Reporters of current bulk files; fewer of them make a smaller archive.
        self.bulk_reporters: tuple[str, ...] = EU_MEMBERS
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def make(self, name: str, release: Release, first: int, end: int, modified: str) -> bytes:
        """Return an archive, packed at the first request.

        Parameters
        ----------
        name
            Name of the file.
        first, end
            First month, and the month after the last.
        modified
            Time of the last change, in ISO 8601.
        """
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="simulator-")
        path = Path(self._folder.name) / f"{release.number}-{name}"
        if not path.exists():
            # The name of the member has no v2.
            member = name.replace("full_v2_", "full_").replace(".7z", ".dat")
            table = path.with_suffix(".dat")
            period = re.sub(r"\D", "", name.removeprefix("full_v2_").removesuffix(".7z"))
            self._write_rows(table, release, first, end, period, is_v2="_v2_" in name)
            partial = path.with_suffix(".part")
            pack_seven_zip(partial, table, member, datetime.fromisoformat(modified).timestamp())
            table.unlink()
            partial.rename(path)
        return path.read_bytes()

    def _write_rows(self, path: Path, release: Release, first: int, end: int, period: str, *, is_v2: bool) -> None:
        reporters = self.bulk_reporters if is_v2 else _MEMBERS_OF_2001
        blocks = [
            self._rows(i, reporter, flow, release, first, end, is_v2=is_v2)
            for i, reporter in enumerate(reporters)
            for flow in (IMPORT, EXPORT)
        ]
        names = ("reporter", "flow", "leaf", "partner", "procedure", "euros", "national", "kilograms", "pieces")
        columns = {name: np.concatenate([block[i] for block in blocks]) for i, name in enumerate(names)}
        self.connection.register("bulk_rows", columns)
        # The leaves, then the other goods behind their masked codes.
        self._register("bulk_leaf", [codes(i) for codes in (_leaf_codes, _other_codes) for i in range(len(LEAVES))])
        union = EU_MEMBERS if is_v2 else _MEMBERS_OF_2001
        intra = {*union, "QR", "QV", "QY"}
        numeric = {entry.alpha2: entry.numeric for entry in LAND_ENTRIES.values()} | {"NL": "003"}
        self._register(
            "bulk_partner",
            [(code, "I" if code in intra else "E", f"0{numeric[code]}") for code in self.trade.partners.leaves],
        )
        self._register("bulk_reporter", [(code, numeric[code]) for code in reporters])
        v2 = (
            "reporter.c0, partner.c0, partner.c1, leaf.c0, leaf.c1, leaf.c2, leaf.c3, leaf.c4, leaf.c5, leaf.c6, flow, "
            f"procedure, leaf.c7, '{period}', euros, national, kilograms, pieces"
        )
        old = (
            "reporter.c1, reporter.c0, partner.c2, partner.c0, partner.c1, leaf.c0, leaf.c1, 'XXXX', leaf.c2, leaf.c2, "
            f"leaf.c4, leaf.c6, flow, procedure, leaf.c7, '{period}', euros, kilograms, pieces"
        )
        header = V2_COLUMNS if is_v2 else OLD_COLUMNS
        fields = ", ".join(
            f'{field.strip()} as "{name}"'
            for field, name in zip((v2 if is_v2 else old).split(","), header, strict=True)
        )
        self.connection.execute(
            f"copy (select {fields} from bulk_rows join bulk_reporter as reporter on reporter.i = bulk_rows.reporter "
            "join bulk_partner as partner on partner.i = bulk_rows.partner "
            "join bulk_leaf as leaf on leaf.i = bulk_rows.leaf "
            "order by bulk_rows.reporter, bulk_rows.partner, leaf.c0, leaf.c1, flow, procedure) "
            f"to '{path}' (format csv, header true)"
        )
        self.connection.unregister("bulk_rows")

    def _register(self, name: str, rows: Sequence[tuple[str, ...]]) -> None:
        fields = ", ".join(f"unnest(cast(? as varchar[])) as c{i}" for i in range(len(rows[0])))
        self.connection.execute(
            f"create or replace temp table {name} as select unnest(range(?)) as i, {fields}",
            [len(rows), *([row[i] for row in rows] for i in range(len(rows[0])))],
        )

    def _rows(
        self, place: int, reporter: str, flow: int, release: Release, first: int, end: int, *, is_v2: bool
    ) -> tuple[Integers, ...]:
        """Return the rows of one reporter and flow: the cells of the API, split by statistical procedure."""
        euros, kilograms, pieces = (
            numbers.sum(axis=0) for numbers in self.trade.leaves(reporter, flow, release, first, end)
        )
        if end == release.eurostat_months:
            # Cells that the API does not publish yet are not in the file either.
            leaves = np.searchsorted(self.trade.partners.codes, self.trade.partners.leaves)
            euros[:, self.trade.publication_gaps(reporter)[leaves]] = 0
        leaf, partner = np.nonzero(euros > 0)
        value, weight = euros[leaf, partner], kilograms[leaf, partner]
        counted = {code: i for i, code in enumerate(sorted(PIECE_VALUES))}
        rows_of_pieces = np.array([counted.get(item.parents[0], -1) for item in LEAVES])[leaf]
        number = np.where(rows_of_pieces >= 0, pieces[rows_of_pieces, partner], 0)

        # Extra-EU goods may be traded for processing: a part of some cells.
        draw = self.trade.economy.draw("procedures", reporter, flow)
        shape = (len(LEAVES), len(self.trade.partners.leaves))
        chance, share = draw.random(shape)[leaf, partner], draw.random(shape)[leaf, partner]
        is_extra = ~self.trade.partners.is_intra[partner]
        parts = []
        left = [value, weight, number]
        for procedure, is_used, part in ((2, chance < 0.10, 0.05 + 0.35 * share), (3, chance > 0.96, 0.03 * share)):
            fraction = np.where(is_extra & is_used, part, 0.0)
            split = [np.floor(numbers * fraction).astype(np.int64) for numbers in (value, weight, number)]
            left = [whole - some for whole, some in zip(left, split, strict=True)]
            parts.append((procedure, split))
        parts.append((1, left))
        if not is_v2:
            # The older files have the total as a separate regime.
            parts.append((4, [value, weight, number]))
        rate = self._rate(reporter, first, end, is_v2=is_v2)
        blocks = []
        for procedure, (some_value, some_weight, some_number) in parts:
            shown = np.flatnonzero(some_value > 0)
            is_split = _MASKED[leaf[shown]] & (some_value[shown] >= 4)
            amounts = [some_value[shown], some_weight[shown], some_number[shown]]
            # A masked code has a row for each class of the goods behind it.
            second = [np.where(is_split, numbers * 3 // 10, 0) for numbers in amounts]
            firsts = [numbers - some for numbers, some in zip(amounts, second, strict=True)]
            for behind, (euros_shown, *others) in ((0, firsts), (len(LEAVES), second)):
                rows = np.flatnonzero(euros_shown > 0)
                same = np.ones(len(rows), np.int64)
                national = np.rint(euros_shown[rows] * rate).astype(np.int64)
                blocks.append(
                    (same * place, same * flow, leaf[shown][rows] + behind, partner[shown][rows], same * procedure,
                     euros_shown[rows], national, *(numbers[rows] for numbers in others))
                )  # fmt: skip
        return tuple(np.concatenate([block[i] for block in blocks]) for i in range(len(blocks[0])))

    def _rate(self, reporter: str, first: int, end: int, *, is_v2: bool) -> float:
        """Return the national currency for one euro, mean over the months; 1 for a member with the euro."""
        if not is_v2 or reporter not in CURRENCIES:
            return 1.0
        rates = exchange_rates(self.trade.economy, CURRENCIES[reporter], end)[0, first:end]
        return float(np.nan_to_num(rates, nan=1.0).mean())
