"""Validation of CBS's replies, and readers of pages, archives and counts."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import duckdb

from common.sql import quote, text_list
from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.offices.base import (
    request_number,
)
from extract.replies import (
    UnreadableError,
    is_nested_deeply,
    read_json,
)
from extract.streams import (
    ArchiveContentError,
    ArchiveError,
    check_zip,
    opened_zip,
    piped,
    read_header,
    zip_members,
)
from extract.verdicts import Reply, Verdict, head_of, tail_of

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
OBSERVATION_FIELDS = ("Id", "Measure", "ValueAttribute", "Value", "StringValue")
V4, ZIP, V3 = "odata_v4", "csv_zip", "odata_v3"
LOOK = "look at the reply in the raw store; if CBS changed its API, adapt extract/offices/cbs/"
REDESIGNED = "CBS redesigned the table: adapt its registry file and staging model"
_PAGE_END = re.compile(rb'(\]|"(?:@odata|odata)\.nextLink"\s*:\s*"(?:[^"\\]|\\.)*")\s*\}$')
# The text before and after the rows of a page.
_VALUE = re.compile(rb'"value"\s*:\s*\[')
_PAGE_REST = re.compile(rb'\](?:\s*,\s*"(?:@odata|odata)\.nextLink"\s*:\s*"(?:[^"\\]|\\.)*")?\s*\}\s*$')
_NEXT_LINK = re.compile(rb'"(?:@odata|odata)\.nextLink"\s*:\s*"((?:[^"\\]|\\.)*)"')
_BOM = b"\xef\xbb\xbf"


def text_of(row: Mapping[str, Any], name: str) -> str:
    """Return a field as trimmed text; empty if it is absent or null."""
    return str(row.get(name) or "").strip()


def inspect_json(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete JSON object; quote an OData error."""
    head = head_of(path).removeprefix(_BOM).lstrip()
    if not head.startswith(b"{"):
        return Verdict(f"not JSON (content type {content_type!r}): {head[:120]!r}", retryable=False, next_step=LOOK)
    if not _PAGE_END.search(tail_of(path).rstrip()):
        # Not the end of a page: a small single object, or a body truncated after a row. Parse it to find out.
        try:
            read_json(path)
        except UnreadableError as error:
            return Verdict.of(error, LOOK)
    if b'"error"' in head[:200] or b'"odata.error"' in head[:200]:
        return Verdict(
            f"CBS refused: {head[:300].decode('utf-8', 'replace')}",
            retryable=False,
            next_step="identifiers are case-sensitive: compare the registry file with the office's catalogue",
        )
    return None


def inspect_count(path: Path, content_type: str) -> Verdict | None:
    """Accept a bare integer, with or without a byte order mark."""
    # A longer number is not a count.
    text = head_of(path, 64).removeprefix(_BOM).strip()
    return (
        None
        if text.isdigit() and len(text) < 20
        else Verdict(f"not a count: {text[:120]!r}", retryable=True, next_step=LOOK)
    )


def inspect_zip(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete zip with observations; every member's checksum is verified."""
    head = head_of(path, 256)
    if not head.startswith(b"PK"):
        return Verdict(f"not a zip (content type {content_type!r}): {head[:120]!r}", retryable=False, next_step=LOOK)
    try:
        if not zip_members(path, "Observations"):
            return Verdict("the zip holds no Observations", retryable=False, next_step=LOOK)
        check_zip(path)
    except ArchiveError as error:
        return Verdict(str(error), retryable=not isinstance(error, ArchiveContentError), next_step=LOOK)
    return None


def next_link(path: Path) -> str | None:
    """Return the page's ``nextLink``, which may precede or follow the rows."""
    for part in (head_of(path), tail_of(path)):
        if match := _NEXT_LINK.search(part):
            return str(json.loads(b'"' + match[1] + b'"'))
    return None


def read_count(reply: Reply) -> int:
    """Return the number that `inspect_count` accepted."""
    return int(reply.text().strip())


def check_observation_fields(path: Path, dataset: Dataset) -> set[str]:
    """Check the fields of the first observation against the registry; return the undeclared ones.

    Raises
    ------
    BadReplyError
        If a field is missing or was renamed.
    """
    text = head_of(path, 65536).decode("utf-8-sig", errors="replace")
    start = text.find("{", text.find('"value"'))
    if start < 0:
        return set()
    try:
        first, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"the first row cannot be read ({error})", path) from error
    expected = {*OBSERVATION_FIELDS, *dataset.dimensions}
    missing = expected - set(first)
    if missing:
        raise BadReplyError(
            f"observations lack the fields {sorted(missing)}; they have {sorted(first)}",
            dataset=dataset.code,
            where=str(path),
            next_step="CBS changed the table: adapt its registry file",
        )
    return set(first) - expected


def count_observations(paths: list[Path], identity: str = "Id") -> tuple[int, int]:
    """Count the rows of pages and their distinct row ids.

    Both must equal the office's count: a page sent twice adds rows, or replaces a lost one.
    """
    rows_of = page_rows(list(enumerate(paths)), (identity,))
    with rows_of() as source, duckdb.connect() as connection:
        query = f'select count(*), count(distinct "{identity}") from ({source})'
        rows, identities = connection.execute(query).fetchall()[0]
        return int(rows), int(identities)


def page_rows(pages: list[tuple[int, Path]], fields: tuple[str, ...]) -> Callable[[], AbstractContextManager[str]]:
    """Return a `Rows.open` factory that reads the rows of pages, each with its ``request_no``.

    A page is one JSON object of 15 MB. DuckDB gets only the array in it: it reads the array about twice as fast as the
    object, and streams it.
    """
    columns = "{" + ", ".join(f"{quote(name)}: 'VARCHAR'" for name in fields) + "}"

    @contextmanager
    def rows() -> Iterator[str]:
        with piped(*(partial(write_array, path) for _, path in pages), names=[path.name for _, path in pages]) as pipes:
            numbers = request_number([(no, pipe) for (no, _), pipe in zip(pages, pipes, strict=True)], "page.filename")
            yield f"""
                select {numbers} as request_no, page.* exclude (filename)
                from read_json({text_list(pipes)}, format = 'array', filename = true, columns = {columns}) as page
            """

    return rows


def unpadded(name: str) -> str:
    """Return the SQL of a key without CBS's padding blanks; `trim` of every text would copy each."""
    return f'if(suffix("{name}", \' \'), trim("{name}"), "{name}")'


def write_array(path: Path, output: BinaryIO) -> None:
    """Write the ``value`` array of a page.

    Raises
    ------
    UnreadableError
        If the page has none, or a row is deeply nested, which crashes DuckDB.
    """
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as page:
        start = _VALUE.search(page, 0, 1 << 16)
        end = _PAGE_REST.search(page, max(0, len(page) - (1 << 16)))
        if start is None or end is None:
            raise UnreadableError("this is not a page of rows", path)
        rows = page[start.end() - 1 : end.start() + 1]
    if is_nested_deeply(rows):
        raise UnreadableError("a row is nested deeply", path)
    output.write(rows)


def count_zip_rows(path: Path) -> int:
    """Count the observations in a bulk zip: the lines of its members without headers."""
    rows = 0
    with opened_zip(path) as archive:
        for name in zip_members(path, "Observations"):
            with archive.open(name) as content:
                lines, last = 0, b"\n"
                while block := content.read(1 << 20):
                    lines += block.count(b"\n")
                    last = block[-1:]
                rows += max(0, lines + (last != b"\n") - 1)
    return rows


def zip_header(path: Path, members: list[str], dataset: Dataset) -> list[str]:
    """Return the column names that all members of observations share.

    Raises
    ------
    BadReplyError
        If they differ: rows would land in the wrong columns.
    """
    headers = []
    with opened_zip(path) as archive:
        for name in members:
            with archive.open(name) as content:
                line = read_header(content, path).decode("utf-8-sig").strip()
            headers.append([field.strip('"') for field in line.split(";")])
    if any(header != headers[0] for header in headers):
        raise BadReplyError(
            f"the members {members} have different columns",
            dataset=dataset.code,
            where=str(path),
            next_step=REDESIGNED,
        )
    return headers[0]
