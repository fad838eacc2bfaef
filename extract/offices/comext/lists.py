"""Comext lists: titles of the Combined Nomenclature, and successions of CN8 codes.

A list is a tab-separated text file without a header, one line per entry. Each line lands as one observation with value
1 and its content as the key. A changed title is then one entry withdrawn and one added, and the list of any release
can be reconstructed, as with figures.

The columns of a file are the registry's dimensions, in that order, except the year, which is that of the first day.
The landing column determines the type: a day (`DAYS`), a title (`TEXTS`), otherwise a code.

Quirks handled here: codes may contain blanks (``7601 10 00``); days are ``DD/MM/YYYY``, and an entry that is still
valid ends in 2500; titles contain quotation marks; a code is repeated for each change of its title, and in July 2017
two more columns held the first and last day of the title (as named by a public reader of that time). A public reader
of 2026 takes the first four columns of the file, as UTF-8. That is assumed here: another encoding is rejected. No
description of the columns of ``CN8-PRED-SUCC.txt`` was found.

``CN_New_YYYY.txt`` and ``CN_Close_YYYY.txt`` are not landed: the first and last days in ``CN.txt`` already show which
codes open and close in a year.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from common.sql import quote
from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.http import OfficeSession
from extract.offices.base import Fetched, Files, OfficeVersion, as_payload, ready
from extract.offices.eurostat.faults import read_fault
from extract.offices.eurostat.files import ListedFile, fetch_file, list_folder, version_of
from extract.parsing import Finding, Rows
from extract.slices import Slice
from extract.verdicts import Verdict, head_of, tail_of

# The identifier of a list is its path below this folder.
FOLDER = "comext/COMEXT_METADATA/CLASSIFICATIONS_AND_RELATIONS"
# Landing columns that hold days and texts; all others hold codes.
DAYS = ("valid_from", "valid_to", "title_from", "title_to")
TEXTS = ("title",)
# Trailing columns that a file may lack.
_OPTIONAL = ("title_from", "title_to")
_FIRST_DAY = "valid_from"
_LOOK = "look at the reply in the raw store; if Eurostat changed the list, adapt extract/offices/comext/lists.py"


def probe(session: OfficeSession, hosts: dict[str, str], dataset: Dataset) -> OfficeVersion:
    """Read size and time of the list from the listing of its folder."""
    return version_of(find_list(session, hosts, dataset), dataset)


def fetch(session: OfficeSession, hosts: dict[str, str], dataset: Dataset) -> Fetched:
    """Fetch the list.

    Raises
    ------
    TornReadError
        If the office replaced the file meanwhile.
    """
    reply, file = fetch_file(
        session, hosts, dataset, lambda: find_list(session, hosts, dataset), lambda file: partial(inspect_list, file)
    )
    return Fetched(version_of(file, dataset), (as_payload(reply),), dataset.protocol)


def find_list(session: OfficeSession, hosts: dict[str, str], dataset: Dataset) -> ListedFile:
    """Find a list in the listing of its folder.

    Raises
    ------
    BadReplyError
        If it is not there.
    """
    below, _, name = dataset.identifier.rpartition("/")
    folder = f"{FOLDER}/{below}"
    files = list_folder(session, hosts, dataset, folder)
    if name not in files:
        raise BadReplyError(
            f"there is no file {name}; there are {', '.join(sorted(files)) or 'none'}",
            dataset=dataset.code,
            where=folder,
            next_step="compare the identifier in the registry file with the listing",
        )
    return files[name]


def rows(dataset: Dataset, part: Slice, files: Files) -> tuple[Rows, list[Finding]]:
    """Return the rows of a list whose first day is in the slice or invalid."""
    columns = _file_columns(dataset)
    query = f"""
        select 0 as request_no, string_split(rtrim(line, chr(13)), chr(9)) as fields
        from (
            select unnest(string_split(ltrim(content, chr(65279)), chr(10))) as line
            from read_text({quote(str(files[0][1]))})
        )
    """
    text = {column: f"nullif(trim(fields[{place}]), '')" for place, column in enumerate(columns, start=1)}
    read = {column: _expression(column, text[column]) for column in columns}
    # Keys are never null: a missing column is empty.
    landed = {c: f"coalesce({read[c]}, '')" if c in _OPTIONAL else read[c] for c in columns}
    year = f"{landed[_FIRST_DAY]}[:4]"
    is_too_early = f"{year} < {quote(dataset.first_period[:4])}"
    widths = widths_of(dataset)
    required = columns[: widths[0]]
    days = [column for column in columns if column in DAYS]
    rules = (
        (f"len(fields) not in ({', '.join(str(width) for width in widths)})", "malformed_line"),
        (" or ".join(f"{(text if c in DAYS else read)[c]} is null" for c in required), "missing_key"),
        (" or ".join(f"({text[c]} is not null and {read[c]} is null)" for c in days), "not_a_date"),
        (is_too_early, "unknown_period"),
    )
    (measure,) = dataset.measure_codes
    expressions = {
        **landed,
        "period": year,
        "measure": quote(measure),
        "value": "1.0::double",
        "status": "null::varchar",
        "confidentiality": "null::varchar",
    }
    last = part.last_month[:4] or "9999"
    is_asked = f"coalesce({is_too_early} or {year} between {quote(part.first_month[:4])} and {quote(last)}, true)"
    # A blank line is not an entry; text after the last line end is.
    has_text = "trim(array_to_string(fields, '')) != ''"
    # Lists are small: the first pass applies all rules to every line.
    return Rows(ready(query), expressions, (), "false", in_slice=f"{has_text} and {is_asked}", refused=rules), []


def widths_of(dataset: Dataset) -> tuple[int, ...]:
    """Return the permitted numbers of columns of a line, in ascending order."""
    columns = _file_columns(dataset)
    return tuple(sorted({len(columns), sum(column not in _OPTIONAL for column in columns)}))


def layout_problem(dataset: Dataset, path: Path) -> str:
    """Return how the first line of a list differs from the declaration; empty if it does not."""
    first = head_of(path, 1 << 16).decode("utf-8-sig", errors="replace").split("\n", 1)[0].rstrip("\r")
    fields = first.split("\t")
    if len(fields) in (widths := widths_of(dataset)):
        return ""
    return f"the first line has {len(fields)} columns, not {' or '.join(str(width) for width in widths)}: {fields}"


def inspect_list(file: ListedFile, path: Path, content_type: str) -> Verdict | None:
    """Accept a tab-separated text that is complete according to the listed size and its last line."""
    if fault := read_fault(path):
        return fault
    # Before decoding: a truncation may split a character.
    size = path.stat().st_size
    if size < file.size:
        return Verdict(f"the list is cut off: {size:,} of {file.size:,} bytes", retryable=True)
    if size != file.size and tail_of(path, 1) != b"\n":
        return Verdict("the list is cut off in its last line", retryable=True)
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return Verdict(f"the list is not UTF-8 (at byte {error.start:,})", retryable=False, next_step=_LOOK)
    if b"\t" not in head_of(path).split(b"\n", 1)[0]:
        reason = f"not a list with tabs (content type {content_type!r}): {head_of(path, 120)!r}"
        return Verdict(reason, retryable=False, next_step=_LOOK)
    return None


def _file_columns(dataset: Dataset) -> tuple[str, ...]:
    """Return the landing columns in the order of the file's columns."""
    return tuple(column for column in dataset.columns if column != "period")


def _expression(column: str, text: str) -> str:
    """Return the SQL expression of a landing column, null where the text has the wrong type."""
    if column in DAYS:
        day = f"strftime(try_strptime({text}, '%d/%m/%Y'), '%Y-%m-%d')"
        return f"case when regexp_full_match({text}, '\\d{{2}}/\\d{{2}}/\\d{{4}}') then {day} end"
    if column in TEXTS:
        return text
    # Non-breaking spaces are blanks too.
    return f"nullif(regexp_replace({text}, '[\\s\\x{{00A0}}]', '', 'g'), '')"
