"""The monthly bulk files of Comext: all reporters, partners and CN8 codes of a month in one 7z archive.

Quirks handled here: the files are on the main host; they are overwritten in place when a month is revised, so the size
and time in the listing are their version; annual files (``YYYY52``) match the same name pattern and would count a year
twice; current files have 18 columns, those until 2001 (and older copies) 19 under other names, where procedure 4 is the
total of the others; a masked code has one row per class of its goods.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.sql import number, quote
from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.http import OfficeSession
from extract.landing.layout import BULK_VALUES
from extract.offices.base import Fetched, Files, OfficeVersion, as_payload, reads_replies
from extract.offices.eurostat.faults import read_fault
from extract.offices.eurostat.files import ListedFile, fetch_file, list_folder, version_of
from extract.parsing import Finding, Rows
from extract.replies import csv_fields
from extract.slices import Slice
from extract.streams import ArchiveContentError, ArchiveError, piped, read_header, seven_zip_member, write_seven_zip
from extract.verdicts import Verdict, head_of

FOLDER = "comext/COMEXT_DATA/PRODUCTS"
HISTORICAL_FOLDER = "comext/COMEXT_HISTORICAL_DATA/PRODUCTS_1988_2001"
FIRST_YEAR_IN_FOLDER = 2002
# File column by landing column, for each layout.
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
_CLASSES = ("sitc", "cpa21", "cpa22", "bec", "bec5", "section")
_MONTHLY = re.compile(r"full(?:_v2)?_?(\d{4})(0[1-9]|1[0-2])\.7z")


def list_files(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, folder: str) -> dict[str, ListedFile]:
    """Return the monthly files of a folder by month (``YYYY-MM``).

    Raises
    ------
    BadReplyError
        See `extract.offices.eurostat.files.list_folder`.
    """
    files = {}
    for name, file in list_folder(session, hosts, dataset, folder).items():
        if match := _MONTHLY.fullmatch(name):
            files[f"{match[1]}-{match[2]}"] = file
    return files


@reads_replies
def months_to_load(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, first: str, last: str) -> list[str]:
    """Return the months that have a file, from `first` to `last`; only the newest if `first` is empty."""
    months = list_files(session, hosts, dataset, FOLDER)
    if first and int(first[:4]) < FIRST_YEAR_IN_FOLDER:
        months |= list_files(session, hosts, dataset, HISTORICAL_FOLDER)
    if not first:
        return sorted(months)[-1:]
    return sorted(month for month in months if first <= month <= (last or "9999"))


def probe(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> OfficeVersion:
    """Read size and time of a month's file from the listing."""
    return version_of(_find(session, hosts, dataset, part), dataset)


def fetch(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
    """Fetch a month's file.

    Raises
    ------
    TornReadError
        If the office replaced the file meanwhile.
    """
    reply, file = fetch_file(
        session, hosts, dataset, lambda: _find(session, hosts, dataset, part), lambda _: inspect_seven_zip
    )
    return Fetched(version_of(file, dataset), (as_payload(reply),), "comext_bulk")


def rows(dataset: Dataset, part: Slice, files: Files) -> tuple[Rows, list[Finding]]:
    """Return the rows of a month's file, unpacked during the read.

    Raises
    ------
    BadReplyError
        If its columns match no known layout.
    """
    path = files[0][1]
    layout, header = layout_of(path)
    if not layout:
        missing = sorted({c.upper() for c in LAYOUTS["v2"].values()} - {name.upper() for name in header})
        raise BadReplyError(
            f"the file lacks the columns {missing}; it has {header}",
            dataset=dataset.code,
            where=str(path),
            next_step="Eurostat changed the layout of the bulk files: adapt extract/offices/comext/bulk.py",
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
        **{column: number(text[column], dataset.value_limit) for column in BULK_VALUES if column in text},
        "layout": quote(layout),
    }
    classes = ", ".join(text[column] for column in _CLASSES if column in text)
    expressions["masked_class"] = f"case when contains({text['product']}, 'X') then concat_ws('/', {classes}) end"
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


def layout_of(path: Path) -> tuple[str, list[str]]:
    """Return the layout of an archive's member (a key of `LAYOUTS`, empty if unknown) and its column names."""
    header = _read_header(path)
    known = {name.upper() for name in header}
    return next((n for n, columns in LAYOUTS.items() if {c.upper() for c in columns.values()} <= known), ""), header


def inspect_seven_zip(path: Path, content_type: str) -> Verdict | None:
    """Accept a 7z archive with one member, complete according to its directory at the end of the file."""
    if not head_of(path, 6).startswith(b"7z\xbc\xaf\x27\x1c"):
        return read_fault(path) or Verdict(
            f"not a 7z archive: {head_of(path, 120)!r}",
            retryable=False,
            next_step="look at the reply in the raw store and adapt extract/offices/comext/bulk.py",
        )
    try:
        seven_zip_member(path)
    except ArchiveContentError as error:
        return Verdict(
            str(error),
            retryable=False,
            next_step="look at the archive in the raw store and adapt extract/streams.py",
        )
    except ArchiveError as error:
        return Verdict(str(error), retryable=True)
    return None


def _find(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> ListedFile:
    folder = FOLDER if int(part.first_month[:4]) >= FIRST_YEAR_IN_FOLDER else HISTORICAL_FOLDER
    files = list_files(session, hosts, dataset, folder)
    if part.first_month not in files:
        raise BadReplyError(
            f"there is no bulk file of {part.first_month}; the newest is of {max(files, default='none')}",
            dataset=dataset.code,
            where=folder,
            next_step="request a month that the office has published",
        )
    return files[part.first_month]


def _read_header(path: Path) -> list[str]:
    """Return the first line of the archive's member without unpacking the rest."""
    with piped(lambda output: write_seven_zip(path, output)) as (pipe,), pipe.open("rb") as content:
        line = read_header(content, path)
    return csv_fields(line.decode("utf-8-sig").strip())
