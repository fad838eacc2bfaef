"""Files of the main host: Comext's bulk archives and code lists, and their listing.

Recorded: the folders, the names of files, the columns of the inventory and of the table of contents. Unverified: the
header of the date column of the CSV listing, the text files with code lists (columns as in the known partner list:
code, first and last day, name), the names of the historical archives, and the columns of ``CN8-PRED-SUCC.txt``.
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

from simulator.archives import SEVEN_ZIP_MAGIC, change_archive
from simulator.csv_tables import read_table
from simulator.eurostat import catalogue
from simulator.eurostat.bulk import BulkArchives
from simulator.eurostat.comext import published_periods
from simulator.eurostat.model import Dataset, Query
from simulator.eurostat.trade import ComextTrade
from simulator.faults.book import FaultBook
from simulator.faults.registry import ROW_SPOILERS, Rows
from simulator.products import PRODUCT_TITLES
from simulator.release import START_YEAR, Release, month_label
from simulator.reply import Reply

PRODUCTS_FOLDER = "comext/COMEXT_DATA/PRODUCTS"
HISTORY_FOLDER = "comext/COMEXT_HISTORICAL_DATA/PRODUCTS_1988_2001"
_METADATA = "comext/COMEXT_METADATA/CLASSIFICATIONS_AND_RELATIONS"
CODES_FOLDER = f"{_METADATA}/CLASSIFICATIONS/ENGLISH"
RELATIONS_FOLDER = f"{_METADATA}/RELATIONS"

# The simulated trade starts in 2021: the years 2000 and 2001 are its first two, 21 years earlier.
_YEARS_BACK = 21
_HISTORY_MONTHS = 24
# Months until the last revision; see `EconomyParameters.revision_factors`.
_LAST_REVISION = 12

#: Relations of the listed CN8 codes in Eurostat's concordance 1988-2025, by the first year after the change. That of
#: 2023 on 76011000 is omitted, because the simulator trades that code throughout.
CN_SUCCESSIONS = read_table("simulator/eurostat/cn_successions.csv")


@dataclass(frozen=True)
class _File:
    """A file of the host.

    Attributes
    ----------
    modified
        Time of the last change, as Eurostat stamps its releases.
    size
        Bytes in the listing: nominal for an archive, which is made at the first request.
    make
        Function that returns the content.
    """

    modified: str
    size: int
    make: Callable[[], bytes]


class FileService:
    """Files, listings and catalogue.

    Parameters
    ----------
    trade
        Source of the numbers.
    connection
        DuckDB connection to write tables with.
    datasets
        Datasets of the main host, for the catalogue.
    root
        Path of the main host.
    faults
        Faults in force.
    """

    def __init__(
        self,
        trade: ComextTrade,
        connection: duckdb.DuckDBPyConnection,
        datasets: Sequence[Dataset],
        root: str,
        faults: FaultBook,
    ) -> None:
        self.faults = faults
        self.partners = trade.partners
        self.archives = BulkArchives(trade, connection)
        self.connection = connection
        self.datasets = datasets
        self.root = root

    def answer(self, path: str, query: Query, release: Release) -> Reply | None:
        """Return the reply to a request; None if the path is not of this service.

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
            return catalogue.inventory(self.datasets, self.root, query, release)
        if path.startswith("/files/body/"):
            return self._body(path.removeprefix("/files/body/"), query, release)
        if path == "/catalogue/toc/txt":
            return catalogue.table_of_contents(self.datasets, release)
        if re.fullmatch(r"/catalogue/rss/[a-z]{2}/statistics-update\.rss", path):
            return catalogue.updates(self.datasets, release)
        return None

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
                (code, self.partners.names.get(code, code)) for code in self.partners.leaves
            ),
            f"{RELATIONS_FOLDER}/CN8-PRED-SUCC.txt": "".join(
                f"{row['old_code']}\t{row['new_code']}\t01/01/{row['year']}\r\n" for row in CN_SUCCESSIONS
            ),
        }
        for path, text in texts.items():
            files[path] = _File(_stamp(0), len(text.encode()), text.encode)
        return files

    def _archive(self, name: str, release: Release, first: int, end: int, months: int) -> _File:
        # Each release that revises one of its months writes a file again.
        age = min(months - end, _LAST_REVISION)
        rows = 25_000 if months == end and end - first == 1 else 100_000
        modified = _stamp(end - 1 + age)
        size = rows * 8 + 1009 * first + 17 * age + (end - first)
        return _File(modified, size, lambda: self.archives.make(name, release, first, end, modified))

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
        """Return an archive after the faults in its rows."""
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
                    # The files have no row of the total of all partners.
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


def _stamp(month: int) -> str:
    """Return the time of the release in which a month (counted from 2021-01) is the newest."""
    index = START_YEAR * 12 + month + 2
    year, of_year = index // 12, index % 12 + 1
    offset = timedelta(hours=2 if 4 <= of_year <= 10 else 1)
    return f"{year}-{of_year:02}-15T11:00:00+0{offset.seconds // 3600}:00"


def _codes_text(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{code}\t01/01/1988\t31/12/2500\t{title}\r\n" for code, title in rows)
