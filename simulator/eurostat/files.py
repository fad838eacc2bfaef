"""Files of the main host: Comext's bulk archives, their listing, code lists, and the catalogue.

Recorded: the folders, the names of files and archive members, the header and real rows of the v2 files and of the
older layout, the columns of the inventory and of the table of contents. Unverified: the header word of the date
column of the CSV listing, the text files with code lists (columns as in the partner list that is known: code, first
and last day, name), the names of the historical archives, and the columns of ``CN8-PRED-SUCC.txt``.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path

import duckdb
import numpy as np

from simulator.archives import SEVEN_ZIP_MAGIC, change_archive, pack_seven_zip
from simulator.economy import EXPORT, IMPORT
from simulator.eurostat.comext import published_periods
from simulator.eurostat.main_database import CURRENCIES, MainDatabase
from simulator.eurostat.model import Dataset, Integers
from simulator.eurostat.observations import observation_annotations
from simulator.eurostat.sdmx import Query
from simulator.eurostat.trade import ComextTrade
from simulator.faults.book import FaultBook
from simulator.faults.registry import ROW_SPOILERS, Rows
from simulator.geonom import LAND_ENTRIES
from simulator.partners import EU_MEMBERS
from simulator.products import GROUP_CODES, LEAVES, PIECE_VALUES, PRODUCT_TITLES, TOTAL, cpa22
from simulator.release import START_YEAR, Release, month_label
from simulator.reply import Reply

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

PRODUCTS_FOLDER = "comext/COMEXT_DATA/PRODUCTS"
HISTORY_FOLDER = "comext/COMEXT_HISTORICAL_DATA/PRODUCTS_1988_2001"
_METADATA = "comext/COMEXT_METADATA/CLASSIFICATIONS_AND_RELATIONS"
CODES_FOLDER = f"{_METADATA}/CLASSIFICATIONS/ENGLISH"
RELATIONS_FOLDER = f"{_METADATA}/RELATIONS"

# The simulated trade starts in 2021: the two years 2000 and 2001 are its first two, 21 years back.
_YEARS_BACK = 21
_HISTORY_MONTHS = 24
_MEMBERS_OF_2001 = ("AT", "BE", "DE", "DK", "ES", "FI", "FR", "GR", "IE", "IT", "LU", "NL", "PT", "SE")

# Months after which a figure is revised no more; see `EconomyParameters.revision_factors`.
_LAST_REVISION = 12

_SECTIONS = {
    **dict.fromkeys(("72", "73", "74", "75", "76", "78", "79", "80", "81", "82", "83"), "15"),
    "39": "07", "84": "16", "85": "16", "87": "17",
}  # fmt: skip

# Relations of the listed CN8 codes in Eurostat's concordance 1988-2025: first year after the change, old, new. That
# of 2023 on 76011000 is left out, because the simulator trades that code throughout.
_RELATIONS = """
1991:73269099:73269098 1995:72042100:72042110 1995:73269098:73269080 1995:73269098:73269097
1996:72042110:72042110 1996:72042110:85481090 1996:74040010:74040010 1996:74040010:85481090
1996:74040091:74040091 1996:74040091:85481090 1996:75030010:75030010 1996:75030010:85481090
1996:78020090:78020000 1996:79020000:79020000 1996:79020000:85481090 1997:39201022:39201023
2002:81019190:81019700 2002:81031090:81033000 2002:81051090:81053000 2002:81081090:81083000
2004:72044991:72044990 2004:72044999:72044990 2004:72083910:72083900 2004:72083990:72083900
2004:72085110:72085120 2004:72085130:72085120 2004:72085150:72085120 2004:72104910:72104900
2004:72104990:72104900 2004:73269080:73269098 2004:73269097:73269098 2006:83024210:83024200
2006:83024290:83024200 2007:73269098:73269098 2007:73269098:85367000 2011:76061210:76061292
2011:76061291:76061292 2011:82119130:82119100 2011:82119180:82119100 2012:73089010:73089098
2012:73089099:73089098 2012:73269010:73269098 2012:73269070:73269098 2012:73269098:73269098
2013:76012010:76012080 2013:76012091:76012080 2013:76012099:76012080 2017:73181510:73181568
2017:73181510:73181595 2017:73181569:73181568 2017:73181590:73181595 2017:73269098:73269098
2017:73269098:96200099 2019:76061292:76061211 2019:76061292:76061219 2019:76061292:76061292
2022:76061292:76061230 2022:76061292:76061292
"""


@dataclass(frozen=True)
class _File:
    """A file of the host.

    Attributes
    ----------
    modified
        Instant of the last change, as Eurostat stamps its releases.
    size
        Bytes as the listing states them: nominal for an archive, which is made when it is first asked for.
    make
        Its content.
    """

    modified: str
    size: int
    make: Callable[[], bytes]


class FileService:
    """Serves files, listings and catalogue.

    Parameters
    ----------
    trade
        Source of the numbers.
    connection
        DuckDB connection to write tables with.
    main_database
        For exchange rates.
    datasets
        Datasets of the main host, for inventory and catalogue.
    root
        Path of the main host.
    faults
        Faults in force.
    """

    def __init__(
        self,
        trade: ComextTrade,
        connection: duckdb.DuckDBPyConnection,
        main_database: MainDatabase,
        datasets: Sequence[Dataset],
        root: str,
        faults: FaultBook,
    ) -> None:
        self.faults = faults
        self.trade = trade
        self.economy = trade.economy
        self.connection = connection
        self.main_database = main_database
        self.datasets = datasets
        self.root = root
        # Reporters of today's bulk files; fewer of them make a smaller archive.
        self.bulk_reporters: tuple[str, ...] = EU_MEMBERS
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def answer(self, path: str, query: Query, release: Release) -> Reply | None:
        """Answer a request, None where the path is not of this service.

        Parameters
        ----------
        path
            Path after the root of the host.
        """
        if path.rstrip("/") == "/files":
            wanted = query.get("file") or query.get("downfile")
            if wanted:
                return self._redirect(wanted, query, release)
            return self._list(query, release)
        if path == "/files/inventory":
            return self._inventory(query, release)
        if path.startswith("/files/body/"):
            return self._body(path.removeprefix("/files/body/"), query, release)
        if path == "/catalogue/toc/txt":
            return self._contents(release)
        if re.fullmatch(r"/catalogue/rss/[a-z]{2}/statistics-update\.rss", path):
            return self._news(release)
        return None

    # -- the files there are ----------------------------------------------------------------------------

    def _files(self, release: Release) -> dict[str, _File]:
        files: dict[str, _File] = {}
        months = release.eurostat_months
        for month in range(months):
            name = f"full_v2_{month_label(month).replace('-', '')}.7z"
            files[f"{PRODUCTS_FOLDER}/{name}"] = self._archive(name, release, month, month + 1, months)
        for year in published_periods(release)["A"]:
            first = 12 * (int(year) - START_YEAR)
            name = f"full_v2_{year}52.7z"
            files[f"{PRODUCTS_FOLDER}/{name}"] = self._archive(name, release, first, first + 12, months)
        for month in range(min(_HISTORY_MONTHS, months)):
            label = month_label(month)
            name = f"full{int(label[:4]) - _YEARS_BACK}{label[5:]}.7z"
            files[f"{HISTORY_FOLDER}/{name}"] = self._archive(name, release, month, month + 1, months)
        texts = {
            f"{CODES_FOLDER}/CN.txt": _codes_text((code, title) for code, title in PRODUCT_TITLES.items()),
            # No code of the simulator opened or closed in 2026.
            f"{CODES_FOLDER}/CN_New_2026.txt": "",
            f"{CODES_FOLDER}/CN_Close_2026.txt": "",
            f"{CODES_FOLDER}/PARTNERS_ISO.txt": _codes_text(
                (code, self.economy.partners.names.get(code, code)) for code in self.economy.partners.leaves
            ),
            f"{RELATIONS_FOLDER}/CN8-PRED-SUCC.txt": "".join(
                f"{old}\t{new}\t01/01/{year}\r\n"
                for year, old, new in (relation.split(":") for relation in _RELATIONS.split())
            ),
        }
        for path, text in texts.items():
            files[path] = _File(_stamp(0), len(text.encode()), text.encode)
        return files

    def _archive(self, name: str, release: Release, first: int, end: int, months: int) -> _File:
        # A file is written again in every release that revises one of its months.
        age = min(months - end, _LAST_REVISION)
        rows = 25_000 if months == end and end - first == 1 else 100_000
        modified = _stamp(end - 1 + age)
        size = rows * 8 + 1009 * first + 17 * age + (end - first)
        return _File(modified, size, lambda: self._make_archive(name, release, first, end, modified))

    def _redirect(self, wanted: str, query: Query, release: Release) -> Reply:
        if wanted not in self._files(release):
            return Reply(b"<html><body>File not found</body></html>", "text/html", 404)
        return Reply(b"", "text/html", 302, {"Location": f"{query.base_url}{self.root}/files/body/{wanted}"})

    def _body(self, wanted: str, query: Query, release: Release) -> Reply:
        file = self._files(release).get(wanted)
        if file is None:
            return Reply(b"<html><body>File not found</body></html>", "text/html", 404)
        modified = format_datetime(datetime.fromisoformat(file.modified).astimezone(UTC), usegmt=True)
        media_type = "text/plain" if wanted.endswith(".txt") else "application/octet-stream"
        name = wanted.rpartition("/")[2]
        headers = {"Last-Modified": modified, "Content-Disposition": f'attachment; filename="{name}"'}
        return Reply(self._spoil(file.make(), query), media_type, 200, headers)

    def _spoil(self, body: bytes, query: Query) -> bytes:
        """Put wrong rows into an archive, where a fault says so."""
        if not body.startswith(SEVEN_ZIP_MAGIC) or not self.faults.waiting(query.url, ROW_SPOILERS):
            return body

        def change(content: bytes) -> bytes:
            with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
                table = Path(folder) / "rows.csv"
                table.write_bytes(content)
                names = ", ".join(f'"{name}"' for name in content.split(b"\n", 1)[0].decode().strip().split(","))
                is_v2 = names.startswith('"REPORTER"')
                value = "VALUE_EUR" if is_v2 else "VALUE_IN_EUROS"
                self.connection.execute(
                    f"create or replace temp table bulk_file as select *, row_number() over () as position,"
                    f" '{value}' as indicator from read_csv('{table}', all_varchar = true, header = true)"
                )
                rows = Rows(
                    self.connection,
                    "bulk_file",
                    partner="PARTNER" if is_v2 else "PARTNER_ISO",
                    indicator="indicator",
                    value=value,
                    # The files have no row of all partners together.
                    total="",
                    aggregates=(),
                    large_partners=("DE", "BE"),
                    unknown_partner="X9",
                    main_indicators=(value,),
                )
                self.faults.spoil_rows(query.url, rows)
                self.connection.execute(
                    f"copy (select {names} from bulk_file order by position) to '{table}' (format csv, header true)"
                )
                return table.read_bytes()

        return change_archive(body, change) or body

    def _list(self, query: Query, release: Release) -> Reply:
        folder = query.get("dir").strip("/")
        start = f"{folder}/" if folder else ""
        below = {path: file for path, file in self._files(release).items() if path.startswith(start)}
        if not below:
            return Reply(b"<html><body>Directory not found</body></html>", "text/html", 404)
        is_deep = query.get("hierarchy") == "true"
        entries: dict[str, tuple[str, str, str]] = {}
        for path, file in sorted(below.items()):
            name = path.removeprefix(start)
            if "/" in name and not is_deep:
                entries.setdefault(name.split("/")[0], ("DIR", "", ""))
            else:
                entries[name] = ("FILE", str(file.size), file.modified)
        if query.get("format") == "csv":
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(("NAME", "TYPE", "SIZE", "LAST_MODIFIED"))
            writer.writerows((name, *entry) for name, entry in entries.items())
            return Reply(text.getvalue().encode(), "text/csv")
        rows = "".join(
            f'<tr><td><a href="{self.root}/files?{"dir" if kind == "DIR" else "file"}='
            f'{escape((start + name).replace("/", "%2F"))}">{escape(name)}</a></td><td>{size}</td><td>{kind}</td>'
            f"<td>{modified}</td></tr>"
            for name, (kind, size, modified) in entries.items()
        )
        page = (
            f"<!DOCTYPE html><html><head><title>{escape(folder)}</title></head><body>"
            '<table id="filetable"><thead><tr><th>Name</th><th>Size</th><th>Type</th><th>Date</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></body></html>"
        )
        return Reply(page.encode(), "text/html")

    # -- archives ---------------------------------------------------------------------------------------

    def _make_archive(self, name: str, release: Release, first: int, end: int, modified: str) -> bytes:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="simulator-")
        path = Path(self._folder.name) / f"{release.number}-{name}"
        if not path.exists():
            # No v2 in the name of the member.
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
        # Behind the leaves, what else is behind their masked codes.
        self._register("bulk_leaf", [codes(i) for codes in (_leaf_codes, _other_codes) for i in range(len(LEAVES))])
        union = EU_MEMBERS if is_v2 else _MEMBERS_OF_2001
        intra = {*union, "QR", "QV", "QY"}
        numeric = {entry.alpha2: entry.numeric for entry in LAND_ENTRIES.values()} | {"NL": "003"}
        self._register(
            "bulk_partner",
            [(code, "I" if code in intra else "E", f"0{numeric[code]}") for code in self.economy.partners.leaves],
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
        """Rows of one reporter and flow: the cells of the API, split by statistical procedure."""
        euros, kilograms, pieces = (
            numbers.sum(axis=0) for numbers in self.trade.leaves(reporter, flow, release, first, end)
        )
        if end == release.eurostat_months:
            # What the API holds back is not in the file either.
            leaves = np.searchsorted(self.economy.partners.codes, self.economy.partners.leaves)
            euros[:, self.trade.publication_gaps(reporter)[leaves]] = 0
        leaf, partner = np.nonzero(euros > 0)
        value, weight = euros[leaf, partner], kilograms[leaf, partner]
        counted = {code: i for i, code in enumerate(sorted(PIECE_VALUES))}
        rows_of_pieces = np.array([counted.get(item.parents[0], -1) for item in LEAVES])[leaf]
        number = np.where(rows_of_pieces >= 0, pieces[rows_of_pieces, partner], 0)

        # Goods from and to the outside may be there for processing: a part of the trade of some cells.
        draw = self.economy.draw("procedures", reporter, flow)
        shape = (len(LEAVES), len(self.economy.partners.leaves))
        chance, share = draw.random(shape)[leaf, partner], draw.random(shape)[leaf, partner]
        is_extra = ~self.economy.partners.is_intra[partner]
        parts = []
        left = [value, weight, number]
        for procedure, is_used, part in ((2, chance < 0.10, 0.05 + 0.35 * share), (3, chance > 0.96, 0.03 * share)):
            fraction = np.where(is_extra & is_used, part, 0.0)
            split = [np.floor(numbers * fraction).astype(np.int64) for numbers in (value, weight, number)]
            left = [whole - some for whole, some in zip(left, split, strict=True)]
            parts.append((procedure, split))
        parts.append((1, left))
        if not is_v2:
            # The older files carry the total as a regime of its own.
            parts.append((4, [value, weight, number]))
        rate = self._rate(reporter, first, end, is_v2=is_v2)
        blocks = []
        for procedure, (some_value, some_weight, some_number) in parts:
            shown = np.flatnonzero(some_value > 0)
            is_split = _MASKED[leaf[shown]] & (some_value[shown] >= 4)
            amounts = [some_value[shown], some_weight[shown], some_number[shown]]
            # A masked code stands once for each class of the goods behind it.
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
        """National currency for one euro, mean over the months; 1 for a member with the euro."""
        if not is_v2 or reporter not in CURRENCIES:
            return 1.0
        rates = self.main_database.exchange_rates(CURRENCIES[reporter], end)[first:end]
        return float(np.nan_to_num(rates, nan=1.0).mean())

    # -- inventory and catalogue ------------------------------------------------------------------------

    def _inventory(self, query: Query, release: Release) -> Reply:
        if query.get("type") != "data":
            return Reply(b"<html><body>Only type=data is simulated</body></html>", "text/html", 404)
        columns = (
            "Code", "Type", "Source dataset", "Last data change", "Last structural change", "Data download url (tsv)",
            "Data download url (csv)", "Data download url (sdmx)", "Data structure download url",
            "Open in Data Browser url",
        )  # fmt: skip
        lines = ["\t".join(columns)]
        for dataset in sorted(self.datasets, key=lambda dataset: dataset.code):
            base = f"{query.base_url}{self.root}/sdmx/2.1"
            forms = ("format=TSV&compressed=true", "format=SDMX-CSV&compressed=true", "compressed=true")
            lines.append(
                "\t".join(
                    (
                        dataset.code, "DATASET", "", dataset.stamp(release), dataset.stamp(release),
                        *(f"{base}/data/{dataset.code}/?{form}" for form in forms),
                        f"{base}/dataflow/ESTAT/{dataset.code}/1.0?references=descendants&detail=referencepartial",
                        f"https://ec.europa.eu/eurostat/databrowser/product/view/{dataset.code}",
                    )
                )
            )  # fmt: skip
        return Reply(("\r\n".join(lines) + "\r\n").encode(), "text/tab-separated-values")

    def _contents(self, release: Release) -> Reply:
        """Table of contents: folders have seven columns and a tab at the end, datasets have eight."""
        header = (
            "title", "code", "type", "last update of data", "last table structure change", "data start", "data end",
            "values",
        )  # fmt: skip
        lines = ["\t".join(f'"{name}"' for name in header)]

        def folder(depth: int, title: str, code: str) -> None:
            cells = (" " * 4 * depth + title, code, "folder", " ", " ", " ", " ")
            lines.append("\t".join(f'"{cell}"' for cell in cells) + "\t")

        def listed(depth: int, start: str) -> None:
            for dataset in self.datasets:
                if dataset.code.startswith(start):
                    facts = dict(observation_annotations(dataset, release))
                    stamp = dataset.stamp(release)
                    day = f"{stamp[8:10]}.{stamp[5:7]}.{stamp[:4]}"
                    cells = (
                        " " * 4 * depth + dataset.titles["en"], dataset.code.lower(), "dataset", day, day,
                        facts["OBS_PERIOD_OVERALL_OLDEST"], facts["OBS_PERIOD_OVERALL_LATEST"],
                    )  # fmt: skip
                    lines.append("\t".join(f'"{cell}"' for cell in cells) + f"\t{facts['OBS_COUNT']}")

        folder(0, "Database by themes", "data")
        folder(1, "Economy and finance", "economy")
        folder(2, "Exchange rates", "ert")
        listed(3, "ERT_")
        folder(1, "Industry, trade and services", "icts")
        folder(2, "Short-term business statistics", "sts")
        listed(3, "STS_")
        folder(1, "International trade", "external")
        folder(2, "International trade in goods", "ext_go")
        listed(3, "EXT_")
        return Reply(("\r\n".join(lines) + "\r\n").encode(), "text/plain;charset=UTF-8")

    def _news(self, release: Release) -> Reply:
        """Updates of the last days as RSS 2.0; the wording of the items is the simulator's."""
        base = "https://ec.europa.eu/eurostat/databrowser/product/view"
        items = "".join(
            f"<item><title>{dataset.code} - {escape(dataset.titles['en'])}</title>"
            f"<link>{base}/{dataset.code}</link><description>DATA UPDATED</description>"
            f'<guid isPermaLink="false">{dataset.code}-{dataset.stamp(release)}</guid>'
            f"<pubDate>{format_datetime(datetime.fromisoformat(dataset.stamp(release)))}</pubDate></item>"
            for dataset in self.datasets
        )
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Eurostat updates</title>'
            "<link>https://ec.europa.eu/eurostat</link><description>Simulated updates of datasets</description>"
            f"<lastBuildDate>{format_datetime(datetime.fromisoformat(release.eurostat_stamp))}</lastBuildDate>"
            f"{items}</channel></rss>"
        )
        return Reply(text.encode(), "application/rss+xml")


def _stamp(month: int) -> str:
    """Instant of the release in which a month (counted from 2021-01) is the newest one."""
    index = START_YEAR * 12 + month + 2
    year, of_year = index // 12, index % 12 + 1
    offset = timedelta(hours=2 if 4 <= of_year <= 10 else 1)
    return f"{year}-{of_year:02}-15T11:00:00+0{offset.seconds // 3600}:00"


def _codes_text(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{code}\t01/01/1988\t31/12/2500\t{title}\r\n" for code, title in rows)


# Leaves whose code in a bulk file is one of goods that are not shown.
_MASKED = np.array([leaf.chapter != TOTAL and len(leaf.parents[0]) < 8 for leaf in LEAVES])


def _other_codes(place: int) -> tuple[str, ...]:
    """Return the codes of the rest behind a masked code: another SITC code and no CPA, which are made up."""
    code, sitc, _, _, *others = _leaf_codes(place)
    wider = sitc[0].ljust(5, "X")
    return (code, wider if wider != sitc else "9".ljust(5, "X"), "XXXX", "XXXX", *others)


def _leaf_codes(place: int) -> tuple[str, ...]:
    """Codes of a leaf in a bulk file: CN, SITC, CPA 2.1, CPA 2.2, BEC 4, BEC 5, section, supplementary unit.

    What no listed code holds stands under the code of its parent, filled up with X, as the office masks what it
    must not show. The goods outside the listed chapters have no chapter: eight X, a code that is the simulator's
    own. BEC codes are the ones of the two rows that are known (processed and not specified), with 210 for scrap;
    which product has which is unverified.
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
