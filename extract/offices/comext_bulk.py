"""The monthly bulk files of Comext: all reporters, partners and CN8 codes of a month in one 7z archive.

Quirks handled here: the files lie on the main host; they are overwritten in place when a month is revised, so the
size and time in the listing are their version; annual files (``YYYY52``) have names of the same pattern and would
count a year twice; the files of today have 18 columns, those until 2001 (and older copies) 19 under other names, where
procedure 4 is the total of the others.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote as url_quote
from zoneinfo import ZoneInfo

from extract.errors import BadReplyError, TornReadError
from extract.http import OfficeSession, Verdict, head_of, tail_of
from extract.landing import BULK_VALUES
from extract.offices.base import Fetched, Files, OfficeVersion, as_payload
from extract.offices.eurostat_faults import read_fault
from extract.parsing import Finding, Rows
from extract.registry import Dataset
from extract.slices import Slice
from extract.sql import quote
from extract.streams import ArchiveError, piped, seven_zip_member, write_seven_zip

FOLDER = "comext/COMEXT_DATA/PRODUCTS"
HISTORICAL_FOLDER = "comext/COMEXT_HISTORICAL_DATA/PRODUCTS_1988_2001"
FIRST_YEAR_IN_FOLDER = 2002
# Landing column to column of the file, by layout.
LAYOUTS: dict[str, dict[str, str]] = {
    "v2": {
        "reporter": "REPORTER",
        "partner": "PARTNER",
        "trade_type": "TRADE_TYPE",
        "product": "PRODUCT_NC",
        "flow": "FLOW",
        "stat_procedure": "STAT_PROCEDURE",
        "suppl_unit": "SUPPL_UNIT",
        "period": "PERIOD",
        "sitc": "PRODUCT_SITC",
        "cpa21": "PRODUCT_CPA21",
        "cpa22": "PRODUCT_CPA22",
        "bec": "PRODUCT_BEC",
        "bec5": "PRODUCT_BEC5",
        "section": "PRODUCT_SECTION",
        "value_eur": "VALUE_EUR",
        "value_nac": "VALUE_NAC",
        "quantity_kg": "QUANTITY_KG",
        "supplementary_quantity": "QUANTITY_SUPPL_UNIT",
    },
    "v1": {
        "reporter": "DECLARANT_ISO",
        "partner": "PARTNER_ISO",
        "trade_type": "TRADE_TYPE",
        "product": "PRODUCT_NC",
        "flow": "FLOW",
        "stat_procedure": "STAT_REGIME",
        "suppl_unit": "SUPP_UNIT",
        "period": "PERIOD",
        "sitc": "PRODUCT_SITC",
        "cpa21": "PRODUCT_CPA2_1",
        "bec": "PRODUCT_BEC",
        "section": "PRODUCT_SECTION",
        "value_eur": "VALUE_IN_EUROS",
        "quantity_kg": "QUANTITY_IN_KG",
        "supplementary_quantity": "SUP_QUANTITY",
    },
}
# Known columns that are not landed: numeric codes of reporter and partner, and two older classifications.
_LEFT_OUT = {"DECLARANT", "PARTNER", "PRODUCT_CPA2002", "PRODUCT_CPA2008"}
_MONTHLY = re.compile(r"full(?:_v2)?_?(\d{4})(0[1-9]|1[0-2])\.7z")


@dataclass(frozen=True)
class BulkFile:
    """A file of the listing."""

    name: str
    folder: str
    month: str
    size: int
    modified: str


def list_files(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, folder: str) -> dict[str, BulkFile]:
    """Return the monthly files of a folder by month (``YYYY-MM``).

    Raises
    ------
    BadReplyError
        If the listing has other columns than name, size and time.
    """
    url = (
        f"{hosts['main']}/files?format=csv&dir={url_quote(folder, safe='')}&hierarchy=false&sizeFormat=NONE"
        "&dateFormat=ISO"
    )
    reply = session.get(url, purpose="listing", inspect=_inspect_listing)
    rows = list(csv.DictReader(reply.text().splitlines()))
    names = {column.upper(): column for column in (rows[0] if rows else {})}
    modified = next((own for upper, own in names.items() if "DATE" in upper or "MODIF" in upper), "")
    if not rows or "NAME" not in names or "SIZE" not in names or not modified:
        raise BadReplyError(
            f"the listing has the columns {sorted(names.values())}, not a name, a size and a time",
            dataset=dataset.code,
            where=url,
            next_step="look at the reply in the raw store and adapt extract/offices/comext_bulk.py",
        )
    files = {}
    for row in rows:
        name = row[names["NAME"]].rsplit("/", 1)[-1]
        if match := _MONTHLY.fullmatch(name):
            month = f"{match[1]}-{match[2]}"
            files[month] = BulkFile(name, folder, month, int(row[names["SIZE"]]), row[modified])
    return files


def months_to_load(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, first: str, last: str) -> list[str]:
    """Return the months of which the office has a file, from `first` to `last`; without a first one only the newest."""
    months = list_files(session, hosts, dataset, FOLDER)
    if first and int(first[:4]) < FIRST_YEAR_IN_FOLDER:
        months |= list_files(session, hosts, dataset, HISTORICAL_FOLDER)
    if not first:
        return sorted(months)[-1:]
    return sorted(month for month in months if first <= month <= (last or "9999"))


def probe(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> OfficeVersion:
    """Read size and time of a month's file from the listing."""
    return _version(_find(session, hosts, dataset, part), dataset)


def fetch(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
    """Fetch a month's file.

    Raises
    ------
    TornReadError
        If the office replaced the file meanwhile.
    """
    before = _find(session, hosts, dataset, part)
    url = file_url(hosts, before)
    reply = session.get(url, purpose="observations", inspect=inspect_seven_zip)
    session.progress(f"observations: {before.name}, {reply.record.bytes / 1e6:.1f} MB")
    after = _find(session, hosts, dataset, part)
    if after != before:
        raise TornReadError(
            f"the listing said {before.size:,} bytes of {before.modified}, and now {after.size:,} of {after.modified}",
            dataset=dataset.code,
            where=url,
            next_step="Eurostat replaced the file meanwhile: load it again",
        )
    return Fetched(_version(before, dataset), (as_payload(reply),), "comext_bulk")


def rows(dataset: Dataset, part: Slice, files: Files) -> tuple[Rows, list[Finding]]:
    """Say how a month's file reads as rows, unpacked as it is read.

    Raises
    ------
    BadReplyError
        If its columns are those of no known layout.
    """
    path = files[0][1]
    layout, header = layout_of(path)
    if not layout:
        missing = sorted({c.upper() for c in LAYOUTS["v2"].values()} - {name.upper() for name in header})
        raise BadReplyError(
            f"the file lacks the columns {missing}; it has {header}",
            dataset=dataset.code,
            where=str(path),
            next_step="Eurostat changed the layout of the bulk files: adapt extract/offices/comext_bulk.py",
        )
    columns = LAYOUTS[layout]
    declared = {c.upper() for c in columns.values()} | (_LEFT_OUT if layout == "v1" else set())
    findings = [
        Finding("new_column", name, "a column of the bulk file", dataset.contract.new_column)
        for name in header
        if name.upper() not in declared
    ]
    types = "{" + ", ".join(f"{quote(name)}: 'VARCHAR'" for name in header) + "}"

    @contextmanager
    def unpack() -> Iterator[str]:
        with piped(lambda output: write_seven_zip(path, output)) as (pipe,):
            yield f"""
                select 0 as request_no, data.*
                from read_csv({quote(str(pipe))}, header = true, auto_detect = false, columns = {types},
                    delim = ',', quote = '"', store_rejects = true, rejects_limit = 0) as data
            """

    text = {column: f'"{name}"' for column, name in columns.items()}
    expressions = {
        **text,
        **{column: f"try_cast({text[column]} as double)" for column in BULK_VALUES if column in text},
        "layout": quote(layout),
    }
    for absent in ("cpa22", "bec5"):
        expressions.setdefault(absent, "cast(null as varchar)")
    expressions.setdefault("value_nac", "cast(null as double)")
    keys = " or ".join(f"{text[column]} is null" for column in ("reporter", "partner", "product", "flow", "period"))
    numbers = " or ".join(
        f"({text[column]} is not null and {expressions[column]} is null)" for column in BULK_VALUES if column in text
    )
    period = part.first_month.replace("-", "")
    rules = (
        (keys, "missing_key"),
        (f"{text['period']} != {quote(period)}", "unknown_period"),
        (numbers, "not_a_number"),
        (f"{text['value_eur']} is null", "value_missing_without_reason"),
    )
    malformed = "select 0, min(csv_line) from reject_errors group by scan_id, file_id, line order by line"
    doubt = " or ".join(
        [f"{column} is null" for column in ("reporter", "partner", "product", "flow", "period")]
        + [f"{column} is null" for column in BULK_VALUES if column in text]
        + [f"period != {quote(period)}"]
    )
    return Rows(unpack, expressions, rules, doubt, malformed=malformed), findings


def file_url(hosts: dict[str, str], file: BulkFile) -> str:
    """Return the address of a file; the office answers with a redirect to it."""
    return f"{hosts['main']}/files?file={url_quote(f'{file.folder}/{file.name}', safe='')}"


def layout_of(path: Path) -> tuple[str, list[str]]:
    """Return the layout of an archive's member (a key of `LAYOUTS`, empty if unknown) and its column names."""
    header = _read_header(path)
    known = {name.upper() for name in header}
    return next((n for n, columns in LAYOUTS.items() if {c.upper() for c in columns.values()} <= known), ""), header


def inspect_seven_zip(path: Path, content_type: str) -> Verdict | None:
    """Accept a 7z archive with one member, whole as far as its directory tells; it stands at the end."""
    if not head_of(path, 6).startswith(b"7z\xbc\xaf\x27\x1c"):
        return read_fault(path) or Verdict(
            f"not a 7z archive: {head_of(path, 120)!r}",
            can_heal=False,
            next_step="look at the reply in the raw store and adapt extract/offices/comext_bulk.py",
        )
    try:
        seven_zip_member(path)
    except ArchiveError as error:
        return Verdict(str(error), can_heal=True)
    return None


def _find(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> BulkFile:
    folder = FOLDER if int(part.first_month[:4]) >= FIRST_YEAR_IN_FOLDER else HISTORICAL_FOLDER
    files = list_files(session, hosts, dataset, folder)
    if part.first_month not in files:
        raise BadReplyError(
            f"there is no bulk file of {part.first_month}; the newest is of {max(files, default='none')}",
            dataset=dataset.code,
            where=folder,
            next_step="ask for a month that the office has published",
        )
    return files[part.first_month]


def _version(file: BulkFile, dataset: Dataset) -> OfficeVersion:
    try:
        moment = datetime.fromisoformat(file.modified)
    except ValueError as error:
        raise BadReplyError(
            f"the listing gives {file.modified!r} as time of {file.name}, not ISO 8601",
            dataset=dataset.code,
            where=file.folder,
            next_step="look at the reply in the raw store and adapt extract/offices/comext_bulk.py",
        ) from error
    if moment.tzinfo is None:
        # Where no offset is given it is taken to be Brussels time, as everywhere else at this office.
        moment = moment.replace(tzinfo=ZoneInfo("Europe/Brussels"))
    stamp = moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")
    return OfficeVersion(f"{file.name} {file.size} {file.modified}", stamp)


def _read_header(path: Path) -> list[str]:
    """Return the first line of the archive's member; unpacking stops behind it."""
    with piped(lambda output: write_seven_zip(path, output)) as (pipe,), pipe.open("rb") as content:
        line = content.readline()
    return next(csv.reader([line.decode("utf-8-sig").strip()]))


def _inspect_listing(path: Path, content_type: str) -> Verdict | None:
    if fault := read_fault(path):
        return fault
    if b"," not in head_of(path, 400).split(b"\n", 1)[0]:
        return Verdict(f"not a listing of files (content type {content_type!r})", can_heal=False)
    return None if tail_of(path, 1) == b"\n" else Verdict("the listing is cut off in its last line", can_heal=True)
