"""CBS (Statistics Netherlands): OData v4 and bulk files on datasets.cbs.nl, OData v3 where v4 has no data.

Quirks handled here: identifiers are case-sensitive; keys and titles can carry blanks; a page holds up to 100,000
cells and names the next one in ``@odata.nextLink``; a table can change while it is read (its ``Version`` is compared
before and after); suppressed cells are absent rows in v4 and null in v3; bulk files have a decimal comma and may be
split over several members; some discontinued tables have metadata on v4 and observations on v3 only; the columns of
v3 are named by title and position, and only their ``ID`` leads to the measure (it is the ``Index`` of v4); a measure
can get another code or place in a new edition of a table, and is then found by its title, group and unit.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote as url_quote
from zoneinfo import ZoneInfo

import duckdb

from common.sql import identifier, number, quote, sql_tuple, text_list
from extract.errors import BadReplyError, NoWayThroughError, OfficeRefusedError, TornReadError, TransientOfficeError
from extract.http import OfficeSession, Reply, Verdict, head_of, tail_of
from extract.offices.base import (
    CatalogueEntry,
    Fetched,
    Files,
    Metadata,
    OfficeVersion,
    as_payload,
    in_slice,
    reads_replies,
    request_number,
)
from extract.parsing import Finding, Rows
from extract.registry import Dataset, Measure, same_unit
from extract.replies import (
    UnreadableError,
    is_flat,
    is_nested_deeply,
    member,
    of_kind,
    read_json,
    read_object,
    read_rows,
)
from extract.slices import Slice
from extract.streams import (
    ArchiveContentError,
    ArchiveError,
    check_zip,
    opened_zip,
    piped,
    read_header,
    write_zip_members,
    zip_members,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
OBSERVATION_FIELDS = ("Id", "Measure", "ValueAttribute", "Value", "StringValue")
# By dimension, each code without blanks and as the office writes it.
Keys = dict[str, dict[str, str]]
# The status of a table that goes on.
_REGULAR = "Regulier"
V4, ZIP, V3 = "odata_v4", "csv_zip", "odata_v3"
_LOOK = "look at the reply in the raw store; if CBS changed its API, adapt extract/offices/cbs.py"
_REDESIGNED = "CBS redesigned the table: adapt its registry file and staging model"
_PAGE_END = re.compile(rb'(\]|"(?:@odata|odata)\.nextLink"\s*:\s*"(?:[^"\\]|\\.)*")\s*\}$')
# What stands before the rows of a page, and after them.
_VALUE = re.compile(rb'"value"\s*:\s*\[')
_PAGE_REST = re.compile(rb'\](?:\s*,\s*"(?:@odata|odata)\.nextLink"\s*:\s*"(?:[^"\\]|\\.)*")?\s*\}\s*$')
_NEXT_LINK = re.compile(rb'"(?:@odata|odata)\.nextLink"\s*:\s*"((?:[^"\\]|\\.)*)"')
_BOM = b"\xef\xbb\xbf"


class CbsOffice:
    """The protocols of CBS."""

    def hosts(self) -> dict[str, str]:
        """Return the public addresses."""
        return {
            "v4": "https://datasets.cbs.nl/odata/v1/CBS",
            "bulk": "https://datasets.cbs.nl/csv/CBS/nl",
            "v3": "https://opendata.cbs.nl",
            "website": "https://www.cbs.nl/odata/v1",
        }

    def greeting(self, hosts: dict[str, str]) -> str:
        """Return the address of one table's properties, some 10 kB."""
        return f"{hosts['v4']}/85429NED/Properties"

    @reads_replies
    def probe(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> OfficeVersion:
        """Read version and status: of ``Properties``, or of ``TableInfos`` of v3 where v4 does not answer."""
        try:
            return self.version(self._properties(session, hosts, dataset), dataset)
        except TransientOfficeError:
            if dataset.fallback != V3:
                raise
            return self._v3_version(self._v3(session, hosts, dataset, "TableInfos", "properties"), dataset)

    @reads_replies
    def fetch(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
        """Fetch metadata and all observations of a slice.

        Raises
        ------
        TornReadError
            If ``Version`` changed while the table was read, or rows were lost or repeated between its pages.
        BadReplyError
            If the table is not the one that the registry declares.
        """
        try:
            return self._fetch_v4(session, hosts, dataset, part)
        except (TransientOfficeError, OfficeRefusedError) as error:
            if dataset.fallback != V3 or isinstance(error, TornReadError) or not _is_v4_data(error):
                raise
            session.progress(f"OData v4 gives no data ({error.problem[:120]}); reading OData v3")
            return self._fetch_v3(session, hosts, dataset, part, reason=error.problem)

    # -- OData v4 and the bulk zip --------------------------------------------------------------------------

    def _fetch_v4(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
        table = f"{hosts['v4']}/{dataset.identifier}"
        before = self._properties(session, hosts, dataset)
        version = self.version(before, dataset)
        replies = [before]
        replies.append(session.get(f"{table}/Dimensions", purpose="dimensions", inspect=inspect_json))
        self._check_dimensions(replies[-1], dataset)
        replies.append(session.get(f"{table}/MeasureCodes", purpose="measures", inspect=inspect_json))
        measures = v4_measures(replies[-1].path, dataset, replies[-1].record.url)
        keys: Keys = {}
        for dimension in dataset.dimensions:
            codes_url = f"{table}/{dimension}Codes"
            replies.append(session.get(codes_url, purpose=f"codes:{dimension}", inspect=inspect_json))
            identifiers = (row["Identifier"] for row in read_rows(replies[-1].path, "Identifier"))
            keys[dimension] = {key.strip(): key for key in identifiers}
        protocol = ZIP if dataset.bulk and is_whole(dataset, part) else V4
        findings: tuple[Finding, ...] = ()
        if protocol == ZIP:
            archive, difference = self._fetch_zip(session, hosts, dataset, before)
            if difference:
                # CBS writes the file apart from the table; the pages are the table itself, and are counted.
                session.progress(f"{difference}; reading pages instead")
                protocol, findings = V4, (Finding("fallback_used", dataset.identifier, difference, "warn"),)
            else:
                replies.append(archive)
        if protocol == V4:
            replies += self._fetch_pages(session, table, dataset, part, keys, measures)
        after = self.version(self._properties(session, hosts, dataset), dataset)
        if after != version:
            raise TornReadError(
                f"CBS published version {after.version} while version {version.version} was being read",
                dataset=dataset.code,
                where=table,
                next_step="load it again; nothing of this attempt is kept in the landing area",
            )
        findings += found_by_title(dataset, measures)
        if not part.recorded_urls:
            findings += not_offered(dataset, part, keys)
        return Fetched(version, tuple(as_payload(reply) for reply in replies), protocol, findings)

    def _fetch_pages(
        self,
        session: OfficeSession,
        table: str,
        dataset: Dataset,
        part: Slice,
        keys: Keys,
        measures: Mapping[str, str],
    ) -> list[Reply]:
        query = observation_filter(dataset, part, keys, measures)
        suffix = f"?$filter={url_quote(query)}" if query else ""
        first_url = part.recorded_urls[0] if part.recorded_urls else f"{table}/Observations{suffix}"
        count_url = first_url.replace("/Observations", "/Observations/$count", 1)
        expected = read_count(session.get(count_url, purpose="count", inspect=inspect_count))
        pages = self._follow(session, first_url, dataset, expected)
        found, identities = count_observations([reply.path for reply in pages])
        if (found, identities) != (expected, expected):
            raise TornReadError(
                f"CBS counts {expected:,} observations and sent {found:,}, {identities:,} of them different:"
                " a page was lost, repeated or cut",
                dataset=dataset.code,
                where=first_url,
                next_step="load it again; report it to infoservice@cbs.nl if it stays",
            )
        return pages

    def _follow(self, session: OfficeSession, first_url: str, dataset: Dataset, expected: int) -> list[Reply]:
        """Read a page and all pages after it."""
        pages: list[Reply] = []
        asked: set[str] = set()
        url: str | None = first_url
        while url is not None:
            page = session.get(url, purpose="observations", inspect=inspect_json)
            pages.append(page)
            size = f"{page.record.bytes / 1e6:.1f} MB"
            session.progress(f"observations: page {len(pages)}, {size} ({expected:,} rows in all)")
            link = next_link(page.path)
            following = None if link is None else session.lead(url, link)
            asked.add(url)
            if following in asked:
                raise TornReadError(
                    "a page names itself as the next page, or one before it",
                    dataset=dataset.code,
                    where=url,
                    next_step="try again later; report it to infoservice@cbs.nl if it stays",
                )
            url = following
        return pages

    def _fetch_zip(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, properties: Reply
    ) -> tuple[Reply, str]:
        """Fetch the whole table as a zip; also what is wrong with its number of rows, empty if nothing is."""
        url = f"{hosts['bulk']}/{dataset.identifier}"
        reply = session.get(url, purpose="observations", inspect=inspect_zip)
        session.progress(f"observations: the whole table as zip, {reply.record.bytes / 1e6:.1f} MB")
        expected = read_object(properties.path).get("ObservationCount")
        found = count_zip_rows(reply.path)
        if expected is not None and found != of_kind(expected, int, "ObservationCount", properties.path):
            return reply, f"CBS counts {expected:,} observations, and its zip holds {found:,}"
        return reply, ""

    # -- OData v3 -------------------------------------------------------------------------------------------

    def _fetch_v3(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice, *, reason: str
    ) -> Fetched:
        before = self._v3(session, hosts, dataset, "TableInfos", "properties")
        version = self._v3_version(before, dataset)
        replies = [before, self._v3(session, hosts, dataset, "DataProperties", "measures")]
        topics = v3_topics(replies[-1].path, dataset)
        elsewhere = topics_by_title(replies[-1].path, dataset, topics)
        for dimension in dataset.dimensions:
            replies.append(self._v3(session, hosts, dataset, dimension, f"codes:{dimension}"))
        query = v3_filter(dataset, part, {d: r.path for d, r in zip(dataset.dimensions, replies[2:], strict=True)})
        columns = ",".join((*dataset.dimensions, *topics))
        feed = f"{hosts['v3']}/ODataFeed/odata/{dataset.identifier}/TypedDataSet"
        suffix = f"&$filter={url_quote(query)}" if query else ""
        counted = f"{feed}/$count" + (f"?$filter={url_quote(query)}" if query else "")
        expected = read_count(session.get(counted, purpose="count", inspect=inspect_count))
        pages = self._follow(
            session, f"{feed}?$format=json&$select={url_quote(f'ID,{columns}', safe=',')}{suffix}", dataset, expected
        )
        found, identities = count_observations([reply.path for reply in pages], identity="ID")
        if (found, identities) != (expected, expected):
            raise TornReadError(
                f"CBS counts {expected:,} rows and sent {found:,}, {identities:,} of them different",
                dataset=dataset.code,
                where=feed,
                next_step="load it again; a page was lost, repeated or cut",
            )
        after = self._v3_version(self._v3(session, hosts, dataset, "TableInfos", "properties"), dataset)
        if after != version:
            raise TornReadError(
                f"CBS published version {after.version} while version {version.version} was being read",
                dataset=dataset.code,
                where=feed,
                next_step="load it again; nothing of this attempt is kept in the landing area",
            )
        detail = f"OData v4 gave no data ({reason[:200]}); read from OData v3"
        findings = (Finding("fallback_used", dataset.identifier, detail, "warn"), *elsewhere)
        return Fetched(version, tuple(as_payload(reply) for reply in (*replies, *pages)), V3, findings)

    def _v3(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, entity_set: str, purpose: str
    ) -> Reply:
        # Without $format the feed answers in Atom.
        url = f"{hosts['v3']}/ODataFeed/odata/{dataset.identifier}/{entity_set}?$format=json"
        return session.get(url, purpose=purpose, inspect=inspect_json)

    def _v3_version(self, reply: Reply, dataset: Dataset) -> OfficeVersion:
        info = next(iter(read_rows(reply.path)), {})
        modified = str(info.get("Modified", ""))
        try:
            # No offset is given; the hour is that of the Dutch release.
            moment = datetime.fromisoformat(modified).replace(tzinfo=AMSTERDAM)
            stamp = _utc(moment)
        except (ValueError, OverflowError) as error:
            raise BadReplyError(
                f"TableInfos.Modified is {modified!r}, not a time",
                dataset=dataset.code,
                where=reply.record.url,
                next_step=_LOOK,
            ) from error
        return OfficeVersion(modified, stamp, _notice(info, "OutputStatus", "ReasonDelivery"))

    # -- reading stored replies -----------------------------------------------------------------------------

    def metadata(self, dataset: Dataset, fetched: Fetched, files: Files) -> Metadata:
        """Read units and code lists."""
        units: dict[str, str] = {}
        codes: list[tuple[str, str, str, str, str, str]] = []
        is_v3 = fetched.protocol == V3
        for payload, path in files:
            if payload.purpose == "measures" and is_v3:
                topics = v3_topics(path, dataset)
                rows = [row for row in read_rows(path, "Key") if row["Key"] in topics]
                units = {topics[row["Key"]]: _text(row, "Unit") for row in rows}
            elif payload.purpose == "measures":
                declared = {office: code for code, office in v4_measures(path, dataset).items()}
                for row in read_rows(path, "Identifier"):
                    code = _text(row, "Identifier")
                    units[declared.get(code, code)] = _text(row, "Unit")
            elif payload.purpose.startswith("codes:"):
                dimension = payload.purpose.removeprefix("codes:")
                names = (
                    ("Key", "Title", "Description", "CategoryGroupID", "Status")
                    if is_v3
                    else ("Identifier", "Title", "Description", "DimensionGroupId", "Status")
                )
                for row in read_rows(path, names[0]):
                    code, title, description, group, status = (_text(row, name) for name in names)
                    codes.append((dimension, code, title, description, group, status))
        return Metadata(units, codes)

    def rows(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, part: Slice, fetched: Fetched, files: Files
    ) -> tuple[Rows, list[Finding]]:
        """Say how stored replies read as rows: pages of JSON, the bulk zip, or pages of v3."""
        pages = [(no, path) for no, (payload, path) in enumerate(files) if payload.purpose == "observations"]
        measures = next(path for payload, path in files if payload.purpose == "measures")
        if fetched.protocol == V3:
            return self._v3_rows(dataset, pages, v3_topics(measures, dataset)), []
        codes = v4_measures(measures, dataset)
        if fetched.protocol == ZIP:
            return self._zip_rows(dataset, part, pages[0], codes)
        findings = [
            Finding("new_column", name, "a field of observations that is not declared", dataset.contract.new_column)
            for name in sorted({name for _, path in pages for name in check_observation_fields(path, dataset)})
        ]
        read = ("Measure", "ValueAttribute", "Value", *dataset.dimensions)
        columns = {column: _unpadded(dimension) for dimension, column in dataset.dimensions.items()}
        measure = _declared(_unpadded("Measure"), codes)
        expressions = _expressions(dataset, columns, measure, '"Value"', '"ValueAttribute"')
        # A recorded reply can hold more measures than the slice; a live request cannot return them.
        asked = f"{expressions['measure']} in {sql_tuple(dataset.measure_codes)}" if part.recorded_urls else "true"
        flat = _are_flat(pages)
        rules = _rules(dataset, expressions, '"Value"', '"ValueAttribute"', is_flat=flat)
        doubt = _doubt(dataset, is_flat=flat)
        return Rows(_rows_of(pages, read), expressions, rules, doubt, in_slice=asked), findings

    def _zip_rows(
        self, dataset: Dataset, part: Slice, page: tuple[int, Path], codes: Mapping[str, str]
    ) -> tuple[Rows, list[Finding]]:
        number, path = page
        members = zip_members(path, "Observations")
        header = zip_header(path, members, dataset)
        expected = (*OBSERVATION_FIELDS, *dataset.dimensions)
        missing = sorted({*expected} - {*header})
        if missing:
            raise BadReplyError(
                f"{members[0]} lacks the columns {missing}; it has {header}",
                dataset=dataset.code,
                where=str(path),
                next_step=_REDESIGNED,
            )
        findings = [
            Finding("new_column", name, f"a column of {members[0]}", dataset.contract.new_column)
            for name in header
            if name not in expected
        ]
        types = "{" + ", ".join(f"{quote(name)}: 'VARCHAR'" for name in header) + "}"

        @contextmanager
        def unpack() -> Iterator[str]:
            with piped(lambda output: write_zip_members(path, members, output)) as (pipe,):
                yield f"""
                    select {number} as request_no, o.*
                    from read_csv({quote(str(pipe))}, header = true, auto_detect = false, columns = {types},
                        delim = ';', quote = '"', store_rejects = true, rejects_limit = 0) as o
                """

        columns = {column: f'trim("{dimension}")' for dimension, column in dataset.dimensions.items()}
        # The bulk files have a decimal comma, and no mark between thousands.
        measure = _declared('trim("Measure")', codes)
        expressions = _expressions(dataset, columns, measure, "replace(\"Value\", ',', '.')", '"ValueAttribute"')
        slice_rows = _substitute(in_slice(dataset, part), expressions)
        rules = _rules(dataset, expressions, "replace(\"Value\", ',', '.')", '"ValueAttribute"', is_flat=True)
        doubt = _doubt(dataset, is_flat=True)
        malformed = f"select {number}, min(csv_line) from reject_errors group by scan_id, file_id, line order by line"
        return Rows(unpack, expressions, rules, doubt, in_slice=slice_rows, malformed=malformed), findings

    def _v3_rows(self, dataset: Dataset, pages: list[tuple[int, Path]], topics: dict[str, str]) -> Rows:
        cells = ", ".join(f"{{'code': {quote(code)}, 'text': {identifier(topic)}}}" for topic, code in topics.items())
        keys = ", ".join(f'"{name}"' for name in dataset.dimensions)
        rows_of = _rows_of(pages, (*dataset.dimensions, *topics))

        @contextmanager
        def cells_of() -> Iterator[str]:
            with rows_of() as source:
                # v3 shows a cell that is not published as null; in v4 it is absent, and so it is here.
                yield f"""
                    select * exclude (cell), cell.code as measure_code, trim(cell.text) as value_text
                    from (select request_no, {keys}, unnest([{cells}]) as cell from ({source}))
                    where cell.text is not null
                """

        columns = {column: f'trim("{dimension}")' for dimension, column in dataset.dimensions.items()}
        expressions = _expressions(dataset, columns, "measure_code", "value_text", "null::varchar")
        flat = _are_flat(pages)
        rules = _rules(dataset, expressions, "value_text", "null::varchar", is_flat=flat)
        return Rows(cells_of, expressions, rules, _doubt(dataset, is_flat=flat))

    # -- catalogue and calendar -----------------------------------------------------------------------------

    @reads_replies
    def discover(self, session: OfficeSession, hosts: dict[str, str], words: tuple[str, ...]) -> list[CatalogueEntry]:
        """Search the v4 catalogue by words of the title or id.

        ``$search`` is accepted and ignored by the office, so the whole list is read and searched here.
        """
        url = f"{hosts['v4']}/Datasets?$select=Identifier,Title,Status,Modified"
        reply = session.get(url, purpose="catalogue", inspect=inspect_json)
        return [
            CatalogueEntry(
                row["Identifier"].strip(),
                str(row.get("Title") or "").strip(),
                str(row.get("Modified") or ""),
                str(row.get("Status") or ""),
            )
            for row in read_rows(reply.path, "Identifier")
            if all(word.lower() in f"{row['Identifier']} {row.get('Title')}".lower() for word in words)
        ]

    @reads_replies
    def calendar(
        self, session: OfficeSession, hosts: dict[str, str], first: str, last: str, words: tuple[str, ...]
    ) -> list[tuple[str, str, str]]:
        """Return planned publications whose title has all the words: time (UTC, ISO 8601), title, reporting period.

        Parameters
        ----------
        first, last : str
            Days, ``YYYY-MM-DD``, inclusive.
        """
        span = f"PlannedPublicationTime ge {first}T00:00:00Z and PlannedPublicationTime le {last}T23:59:59Z"
        query = url_quote(f"Language eq 'nl-NL' and {span}", safe="")
        url = (
            f"{hosts['website']}/Events?$filter={query}&$orderby=PlannedPublicationTime&$top=500"
            "&$select=UniqueId,Title,Url,PlannedPublicationTime,ReportingPeriod,PublishTimeUnknown,Language"
        )
        reply = session.get(url, purpose="calendar", inspect=inspect_json)
        return [
            (row["PlannedPublicationTime"], row["Title"], str(row.get("ReportingPeriod") or ""))
            for row in read_rows(reply.path, "PlannedPublicationTime", "Title")
            if all(word.lower() in row["Title"].lower() for word in words)
        ]

    def _properties(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset) -> Reply:
        url = f"{hosts['v4']}/{dataset.identifier}/Properties"
        return session.get(url, purpose="properties", inspect=inspect_json)

    def version(self, reply: Reply, dataset: Dataset) -> OfficeVersion:
        """Read ``Properties.Version``, which is Dutch time, and ``Status``.

        Raises
        ------
        BadReplyError
            If the version is not ``YYYYMMDDhhmm``.
        """
        properties = read_object(reply.path)
        version = str(properties.get("Version", ""))
        try:
            if not re.fullmatch(r"\d{12}", version):
                raise ValueError(version)
            stamp = _utc(datetime.strptime(version, "%Y%m%d%H%M").replace(tzinfo=AMSTERDAM))
        except (ValueError, OverflowError) as error:
            raise BadReplyError(
                f"Properties.Version is {version!r}, not YYYYMMDDhhmm",
                dataset=dataset.code,
                where=reply.record.url,
                next_step=_LOOK,
            ) from error
        return OfficeVersion(version, stamp, _notice(properties, "Status", "VersionNotes", "VersionReason"))

    def _check_dimensions(self, reply: Reply, dataset: Dataset) -> None:
        found = tuple(row["Identifier"] for row in read_rows(reply.path, "Identifier"))
        if set(found) != set(dataset.dimensions):
            raise BadReplyError(
                f"the table's dimensions are {list(found)}, the registry says {list(dataset.dimensions)}",
                dataset=dataset.code,
                where=reply.record.url,
                next_step=_REDESIGNED,
            )


def _notice(properties: Mapping[str, Any], status: str, *reasons: str) -> str:
    """Return what CBS says of a table that does not go on; its fields have other names in v4 and v3."""
    found = str(properties.get(status) or _REGULAR)
    words = " ".join(text for name in reasons if (text := _text(properties, name)))
    return "" if found == _REGULAR else f"CBS calls the table {found}: {words or 'it gives no reason'}"


def is_whole(dataset: Dataset, part: Slice) -> bool:
    """Whether a slice asks for all periods and partners of a table."""
    return part.first_month <= dataset.first_period and not (part.last_month or part.partners or part.recorded_urls)


def _is_v4_data(error: TransientOfficeError | OfficeRefusedError) -> bool:
    """Whether v4 failed altogether, or has no observations of the table (404 while its metadata are there)."""
    return isinstance(error, (TransientOfficeError, NoWayThroughError)) or (
        "HTTP 404" in error.problem and "/Observations" in error.where
    )


def _expressions(dataset: Dataset, columns: dict[str, str], measure: str, value: str, status: str) -> dict[str, str]:
    return {
        **columns,
        "measure": measure,
        "value": number(value, dataset.value_limit),
        "status": f"nullif({status}, 'None')",
        "confidentiality": "cast(null as varchar)",
    }


def _rules(
    dataset: Dataset, expressions: dict[str, str], value: str, status: str, *, is_flat: bool
) -> tuple[tuple[str, str], ...]:
    keys = " or ".join(f"{expressions[column]} is null" for column in (*dataset.columns, "measure"))
    period = expressions["period"]
    has_value = f"nullif({value}, '') is not null"
    texts = [expressions[column] for column in (*dataset.columns, "measure")]
    return (
        (keys, "missing_key"),
        *(() if is_flat else ((_is_no_text(*texts, status), "malformed_line"),)),
        (f"not regexp_full_match({period}, {quote(dataset.period_pattern)})", "unknown_period"),
        (f"{expressions['measure']} not in {sql_tuple(dataset.measure_codes)}", "unknown_measure"),
        (f"{has_value} and {expressions['value']} is null", "not_a_number"),
        (f"not ({has_value}) and coalesce({status}, 'None') = 'None'", "value_missing_without_reason"),
    )


def _are_flat(pages: list[tuple[int, Path]]) -> bool:
    """Whether no row can hold a list or an object; it is told in milliseconds, and asking each row costs more."""
    return all(is_flat(path.read_bytes()) for _, path in pages)


def _is_no_text(*expressions: str) -> str:
    """Return the condition of a row with a list or an object in the place of a text; DuckDB writes it as JSON."""
    return " or ".join(f"starts_with({one}, '[') or starts_with({one}, '{{')" for one in expressions)


def _doubt(dataset: Dataset, *, is_flat: bool) -> str:
    keys = " or ".join(f"{column} is null" for column in (*dataset.columns, "measure"))
    nested = "" if is_flat else f" or {_is_no_text(*dataset.columns, 'measure', 'status')}"
    return (
        f"{keys} or value is null or measure not in {sql_tuple(dataset.measure_codes)}"
        f" or not regexp_full_match(period, {quote(dataset.period_pattern)}){nested}"
    )


def _substitute(condition: str, expressions: dict[str, str]) -> str:
    """Write a condition on landing columns in terms of the reply's own."""
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, expressions)) + r")\b(?= in | = |,)")
    return pattern.sub(lambda match: expressions[match[1]], condition)


def wanted_codes(dataset: Dataset, part: Slice) -> dict[str, tuple[str, ...]]:
    """Return the codes that a slice asks for, by dimension; a dimension that is absent is asked for whole."""
    by_column = {"partner": part.partners, "product": part.products}
    named = {dataset.dimension_of(column): codes for column, codes in by_column.items() if codes}
    return {dimension: codes for dimension, codes in {**named, **dataset.select}.items() if dimension}


def not_offered(dataset: Dataset, part: Slice, keys: Keys) -> tuple[Finding, ...]:
    """Return which codes of a slice the table does not have; the office answers them with silence."""
    findings = []
    for dimension, codes in wanted_codes(dataset, part).items():
        if absent := [code for code in codes if not any(_fits(key, code) for key in keys[dimension])]:
            findings.append(Finding("code_not_offered", dimension, ", ".join(absent), "warn"))
    return tuple(findings)


def _fits(key: str, code: str) -> bool:
    return key.startswith(code[:-1]) if code.endswith("*") else key == code


def observation_filter(
    dataset: Dataset, part: Slice, keys: Keys | None = None, measures: Mapping[str, str] | None = None
) -> str:
    """Return the ``$filter`` of a slice.

    Years (``JJ00``) sort before months (``MMnn``) of the same year, so one ``ge`` keeps both.

    Parameters
    ----------
    keys : dict of str to dict of str to str
        The office's own spelling of each code, by dimension: some tables pad their keys with blanks.
    measures : mapping of str to str
        The office's code of each declared measure, as `v4_measures` finds them.
    """
    own_codes = tuple((measures or {}).get(code, code) for code in dataset.measure_codes)
    clauses = [f"Measure in ({_in_list(own_codes)})"]
    for dimension, codes in wanted_codes(dataset, part).items():
        own = (keys or {}).get(dimension, {})
        clauses.append(_code_filter(dimension, tuple(own.get(code, code) for code in codes)))
    if part.first_month > dataset.first_period:
        clauses.append(f"{dataset.period_dimension} ge '{part.first_month[:4]}JJ00'")
    if part.last_month:
        clauses.append(f"{dataset.period_dimension} le '{part.last_month[:4]}MM{part.last_month[5:]}'")
    return " and ".join(clauses)


def _code_filter(dimension: str, codes: tuple[str, ...]) -> str:
    exact = tuple(code for code in codes if not code.endswith("*"))
    some = [f"{dimension} in ({_in_list(exact)})"] if exact else []
    some += [f"startswith({dimension},'{code[:-1]}')" for code in codes if code.endswith("*")]
    return some[0] if len(some) == 1 else f"({' or '.join(some)})"


def _in_list(codes: tuple[str, ...]) -> str:
    return ",".join(f"'{code}'" for code in codes)


def v3_filter(dataset: Dataset, part: Slice, code_lists: dict[str, Path]) -> str:
    """Return the ``$filter`` of a slice in the grammar of v3: no ``in``, and keys padded as they are stored."""
    clauses = []
    for dimension, codes in wanted_codes(dataset, part).items():
        keys = [row["Key"] for row in read_rows(code_lists[dimension], "Key")]
        padded = [key for key in keys if any(_fits(key.strip(), code) for code in codes)]
        clauses.append("(" + " or ".join(f"{dimension} eq '{key}'" for key in padded) + ")")
    if part.first_month > dataset.first_period:
        clauses.append(f"{dataset.period_dimension} ge '{part.first_month[:4]}JJ00'")
    if part.last_month:
        clauses.append(f"{dataset.period_dimension} le '{part.last_month[:4]}MM{part.last_month[5:]}'")
    return " and ".join(clauses)


@dataclass(frozen=True)
class _Offered:
    """A measure as a table describes it; `code` is that of v4, or the name of the column in v3."""

    code: str
    title: str
    unit: str
    group: str = ""

    def is_meant_by(self, measure: Measure) -> bool:
        """Whether it has the title, and the group and the unit as far as they are declared; v3 has no group ids."""
        return (
            bool(measure.title)
            and " ".join(self.title.split()) == " ".join(measure.title.split())
            and (not measure.unit or same_unit(self.unit, measure.unit))
            and (not (measure.group and self.group) or self.group == measure.group)
        )


def _matched(
    dataset: Dataset, offered: Iterable[_Offered], known: Mapping[str, str], *, where: str, next_step: str
) -> dict[str, str]:
    """Return the office's code of each declared measure: `known`, or that of the one measure with its title.

    Raises
    ------
    BadReplyError
        If no measure, or more than one, has the title, group and unit of one that is not known.
    """
    by_code = {measure.code: measure for measure in offered}
    free = [measure for code, measure in by_code.items() if code not in known.values()]
    found, doubts = dict(known), []
    for measure in dataset.measures:
        if measure.code in found:
            continue
        meant = [other.code for other in free if other.is_meant_by(measure)]
        if len(meant) == 1 and meant[0] not in found.values():
            found[measure.code] = meant[0]
        else:
            declared = f"title {measure.title!r}, group {measure.group!r}, unit {measure.unit!r}"
            fits = f"{meant} fit" if meant else "nothing fits"
            doubts.append(f"{measure.code} ({declared}; {fits})" if measure.title else measure.code)
    if doubts:
        has = [f"{m.code} {m.title!r}" + f" in {m.group}" * bool(m.group) + f" [{m.unit}]" for m in by_code.values()]
        raise BadReplyError(
            f"the table lacks the measures {', '.join(doubts)}; it has {'; '.join(has)}",
            dataset=dataset.code,
            where=where,
            next_step=next_step,
        )
    return {code: found[code] for code in dataset.measure_codes}


def v4_measures(path: Path, dataset: Dataset, where: str = "") -> dict[str, str]:
    """Return the office's code of each declared measure, from ``MeasureCodes`` of v4.

    Raises
    ------
    BadReplyError
        If the table lacks one, under its code and under its title: another table may have taken the id.
    """
    rows = read_rows(path, "Identifier")
    offered = [_Offered(*(_text(row, n) for n in ("Identifier", "Title", "Unit", "MeasureGroupId"))) for row in rows]
    codes = {measure.code for measure in offered}
    known = {code: code for code in dataset.measure_codes if code in codes}
    return _matched(dataset, offered, known, where=where or str(path), next_step=_REDESIGNED)


def v3_topics(path: Path, dataset: Dataset) -> dict[str, str]:
    """Return column name to measure code of a v3 table, by the ``Index`` that the registry declares, or by title.

    A column at the declared place that has another title than the declared one is another measure.

    Raises
    ------
    BadReplyError
        If a declared measure has no column.
    """
    rows = _topic_rows(path)
    offered = [_Offered(*(_text(row, name) for name in ("Key", "Title", "Unit"))) for row in rows]
    places = {member(row, "ID", int, path): other for row, other in zip(rows, offered, strict=True)}
    known = {
        measure.code: places[measure.index].code
        for measure in dataset.measures
        if measure.index in places
        and (not measure.title or replace(places[measure.index], unit="").is_meant_by(replace(measure, unit="")))
    }
    next_step = "compare `index` of the registry file with MeasureCodes.Index of OData v4"
    found = _matched(dataset, offered, known, where=str(path), next_step=next_step)
    return {column: code for code, column in found.items()}


def _topic_rows(path: Path) -> list[dict[str, Any]]:
    return [row for row in read_rows(path) if row.get("Key") and row.get("Type", "Topic") == "Topic"]


def found_by_title(dataset: Dataset, measures: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a finding for each measure of v4 that has another code than the declared one."""
    return tuple(
        Finding("measure_found_by_title", code, _elsewhere(dataset, code, f"code: {own}", own), "warn")
        for code, own in measures.items()
        if own != code
    )


def topics_by_title(path: Path, dataset: Dataset, topics: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a finding for each measure of v3 that stands in another place than the declared one."""
    # A topic can stand twice in the list, under two groups.
    places: dict[str, list[int]] = {}
    for row in _topic_rows(path):
        places.setdefault(_text(row, "Key"), []).append(row["ID"])
    declared = {measure.code: measure.index for measure in dataset.measures}
    return tuple(
        Finding("measure_found_by_title", code, _elsewhere(dataset, code, f"index: {places[key][0]}", key), "warn")
        for key, code in topics.items()
        if declared[code] not in places[key]
    )


def _elsewhere(dataset: Dataset, code: str, line: str, own: str) -> str:
    title = next(measure.title for measure in dataset.measures if measure.code == code)
    return (
        f"the office has {title!r} as {own}, the registry as {code}: its rows are landed as {code};"
        f" change the line of {code} in extract/registry/{dataset.code}.yml to {line}"
    )


def _declared(measure: str, codes: Mapping[str, str]) -> str:
    """Return the SQL expression of the declared code of an office's measure."""
    cases = "".join(f" when {quote(own)} then {quote(code)}" for code, own in codes.items() if own != code)
    return f"case {measure}{cases} else {measure} end" if cases else measure


def _text(row: Mapping[str, Any], name: str) -> str:
    return str(row.get(name) or "").strip()


def inspect_json(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete JSON object; name an OData error in its own words."""
    head = head_of(path).removeprefix(_BOM).lstrip()
    if not head.startswith(b"{"):
        return Verdict(f"not JSON (content type {content_type!r}): {head[:120]!r}", retryable=False, next_step=_LOOK)
    if not _PAGE_END.search(tail_of(path).rstrip()):
        # Not the end of a page: a small single object, or a body cut behind a row. Only reading it all tells.
        try:
            read_json(path)
        except UnreadableError as error:
            return Verdict.of(error, _LOOK)
    if b'"error"' in head[:200] or b'"odata.error"' in head[:200]:
        return Verdict(
            f"CBS refused: {head[:300].decode('utf-8', 'replace')}",
            retryable=False,
            next_step="identifiers are case-sensitive: compare the registry file with the office's catalogue",
        )
    return None


def inspect_count(path: Path, content_type: str) -> Verdict | None:
    """Accept a bare integer, with or without a byte order mark."""
    # More digits than these are no count of anything.
    text = head_of(path, 64).removeprefix(_BOM).strip()
    return (
        None
        if text.isdigit() and len(text) < 20
        else Verdict(f"not a count: {text[:120]!r}", retryable=True, next_step=_LOOK)
    )


def inspect_zip(path: Path, content_type: str) -> Verdict | None:
    """Accept a whole zip with observations in it; every member's checksum is compared."""
    head = head_of(path, 256)
    if not head.startswith(b"PK"):
        return Verdict(f"not a zip (content type {content_type!r}): {head[:120]!r}", retryable=False, next_step=_LOOK)
    try:
        if not zip_members(path, "Observations"):
            return Verdict("the zip holds no Observations", retryable=False, next_step=_LOOK)
        check_zip(path)
    except ArchiveError as error:
        return Verdict(str(error), retryable=not isinstance(error, ArchiveContentError), next_step=_LOOK)
    return None


def next_link(path: Path) -> str | None:
    """Return the page's ``nextLink``; it stands before or after the rows."""
    for part in (head_of(path), tail_of(path)):
        if match := _NEXT_LINK.search(part):
            return str(json.loads(b'"' + match[1] + b'"'))
    return None


def read_count(reply: Reply) -> int:
    """Return the number that `inspect_count` accepted."""
    return int(reply.text().strip())


def check_observation_fields(path: Path, dataset: Dataset) -> set[str]:
    """Compare the fields of the first observation with those the registry expects; return those it does not know.

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
    """Count the rows of pages, and their distinct running numbers.

    Both must equal the office's count: a page sent twice is too many rows, or stands in for one that is lost.
    """
    rows_of = _rows_of(list(enumerate(paths)), (identity,))
    with rows_of() as source, duckdb.connect() as connection:
        query = f'select count(*), count(distinct "{identity}") from ({source})'
        rows, identities = connection.execute(query).fetchall()[0]
        return int(rows), int(identities)


def _rows_of(pages: list[tuple[int, Path]], fields: tuple[str, ...]) -> Callable[[], AbstractContextManager[str]]:
    """Return what `Rows.open` needs to read the rows of pages, with ``request_no`` of each.

    A page is one JSON object of 15 MB. DuckDB reads the array in it about twice as fast as the object as a whole, and
    needs no memory for all of it at once; so it is given the array alone.
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


def _unpadded(name: str) -> str:
    """Return a key without the blanks that CBS pads some with; `trim` of every text would cost a copy of each."""
    return f'if(suffix("{name}", \' \'), trim("{name}"), "{name}")'


def write_array(path: Path, output: BinaryIO) -> None:
    """Write the ``value`` array of a page and nothing around it.

    Raises
    ------
    UnreadableError
        If the page has none, or a row in it is nested deeply: DuckDB crashes on it.
    """
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as page:
        start = _VALUE.search(page, 0, 1 << 16)
        end = _PAGE_REST.search(page, max(0, len(page) - (1 << 16)))
        if start is None or end is None:
            raise UnreadableError("this is no page of rows", path)
        rows = page[start.end() - 1 : end.start() + 1]
    if is_nested_deeply(rows):
        raise UnreadableError("a row is nested deeply", path)
    output.write(rows)


def count_zip_rows(path: Path) -> int:
    """Count the observations in a bulk zip: the lines of its members, without their headers."""
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
        If they differ: their rows would land in each other's columns.
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
            next_step=_REDESIGNED,
        )
    return headers[0]


def _utc(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")
