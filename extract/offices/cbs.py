"""CBS (Statistics Netherlands): OData v4 on datasets.cbs.nl.

Quirks handled here: identifiers are case-sensitive; keys and titles can carry blanks; a page holds up to
100,000 cells and names the next one in ``@odata.nextLink``; a table can change while it is read (its
``Version`` is compared before and after); suppressed cells are absent rows.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote as url_quote
from zoneinfo import ZoneInfo

import duckdb

from extract.errors import BadReplyError, TornReadError
from extract.http import OfficeSession, Reply, Verdict, head_of, tail_of
from extract.offices.base import Counts, Fetched, OfficeVersion, Payload, file_list, request_number
from extract.registry import Dataset
from extract.slices import Slice
from extract.sql import quote

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
OBSERVATION_FIELDS = ("Id", "Measure", "ValueAttribute", "Value", "StringValue")
_LOOK = "look at the reply in the raw store; if CBS changed its API, adapt extract/offices/cbs.py"
_PAGE_END = re.compile(rb'(\]|"@odata\.nextLink"\s*:\s*"(?:[^"\\]|\\.)*")\s*\}$')
_NEXT_LINK = re.compile(rb'"@odata\.nextLink"\s*:\s*"((?:[^"\\]|\\.)*)"')


class CbsOffice:
    """The OData v4 protocol of CBS."""

    def base_url(self) -> str:
        """Return the public address."""
        return "https://datasets.cbs.nl/odata/v1/CBS"

    def probe(self, session: OfficeSession, base_url: str, dataset: Dataset) -> OfficeVersion:
        """Read ``Properties.Version``."""
        return self._version(session, self._properties(session, base_url, dataset), dataset)

    def fetch(self, session: OfficeSession, base_url: str, dataset: Dataset, part: Slice) -> Fetched:
        """Fetch properties, code lists, measures and all pages of observations.

        Raises
        ------
        TornReadError
            If ``Version`` changed while the table was read.
        BadReplyError
            If the number of observations differs from the office's own ``$count``.
        """
        table = f"{base_url}/{dataset.identifier}"
        before = self._properties(session, base_url, dataset)
        version = self._version(session, before, dataset)
        replies = [before]
        replies.append(session.get(f"{table}/Dimensions", purpose="dimensions", inspect=inspect_json))
        self._check_dimensions(replies[-1], dataset)
        replies.append(session.get(f"{table}/MeasureCodes", purpose="measures", inspect=inspect_json))
        for dimension in dataset.dimensions:
            codes_url = f"{table}/{dimension}Codes"
            replies.append(session.get(codes_url, purpose=f"codes:{dimension}", inspect=inspect_json))

        query = observation_filter(dataset, part)
        suffix = f"?$filter={url_quote(query)}" if query else ""
        first_url = part.recorded_urls[0] if part.recorded_urls else f"{table}/Observations{suffix}"
        count_url = first_url.replace("/Observations", "/Observations/$count", 1)
        expected = int(session.get(count_url, purpose="count", inspect=inspect_count).text().strip())
        pages = 0
        asked: set[str] = set()
        url: str | None = first_url
        while url is not None:
            page = session.get(url, purpose="observations", inspect=inspect_json)
            replies.append(page)
            pages += 1
            session.progress(f"observations: page {pages}, {page.record.bytes / 1e6:.1f} MB ({expected:,} rows in all)")
            following = next_link(page.path)
            asked.add(url)
            if following in asked:
                raise BadReplyError(
                    "a page names itself as the next page, or one before it",
                    dataset=dataset.code,
                    where=url,
                    next_step="try again later; report it to infoservice@cbs.nl if it stays",
                )
            url = following
        after = self._version(session, self._properties(session, base_url, dataset), dataset)
        if after != version:
            raise TornReadError(
                f"CBS published version {after.version} while version {version.version} was being read",
                dataset=dataset.code,
                where=table,
                next_step="load it again; nothing of this attempt is kept in the landing area",
            )
        payloads = tuple(
            Payload(r.record.request_id, r.record.purpose, r.record.sha256, r.record.url, r.record.retrieved_at)
            for r in replies
        )
        found, identities = count_observations([r.path for r in replies if r.record.purpose == "observations"])
        if (found, identities) != (expected, expected):
            raise BadReplyError(
                f"CBS counts {expected:,} observations and sent {found:,}, {identities:,} of them different",
                dataset=dataset.code,
                where=f"{table}/Observations{suffix}",
                next_step="load it again; a page was lost, repeated or cut",
            )
        return Fetched(version, payloads)

    def parse(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        part: Slice,
        files: list[tuple[Payload, Path]],
        load_id: str,
    ) -> Counts:
        """Turn stored replies into landing tables, in DuckDB."""
        pages = [(no, path) for no, (payload, path) in enumerate(files) if payload.purpose == "observations"]
        for _, path in pages:
            check_observation_fields(path, dataset)
        partner, product, period = (
            dataset.partner_dimension,
            dataset.product_dimension,
            dataset.period_dimension,
        )
        measures = ", ".join(quote(code) for code in dataset.measure_codes)
        # A recorded reply can hold more measures than the slice; a live request cannot return them.
        in_slice = f"measure in ({measures})" if part.recorded_urls else "true"
        names = file_list([path for _, path in pages])
        # Numbers are read as text first: one that does not parse is a rejected row, not a failed file.
        connection.execute(
            f"""
            create or replace temp table parsed as
            with page as (
                select
                    {request_number(pages, "json_page.filename")} as request_no,
                    unnest(json_page.value) as o
                from read_json(
                    {names}, format = 'unstructured', filename = true,
                    maximum_object_size = {object_size([path for _, path in pages])},
                    columns = {{value: 'STRUCT("Id" BIGINT, "Measure" VARCHAR, "ValueAttribute" VARCHAR,
                        "Value" VARCHAR, "StringValue" VARCHAR, "{partner}" VARCHAR, "{product}" VARCHAR,
                        "{period}" VARCHAR)[]'}}
                ) as json_page
            ),
            typed as (
                select
                    request_no,
                    o."Id" as observation_no,
                    trim(o."Measure") as measure,
                    o."ValueAttribute" as value_attribute,
                    o."Value" as value_text,
                    try_cast(o."Value" as double) as value,
                    trim(o."{partner}") as partner,
                    trim(o."{product}") as product,
                    trim(o."{period}") as period,
                    to_json(o)::varchar as row_content
                from page
            )
            select
                *,
                case
                    when partner is null or product is null or period is null or measure is null then 'missing_key'
                    when not regexp_full_match(period, {quote(dataset.period_pattern)}) then 'unknown_period'
                    when measure not in ({measures}) then 'unknown_measure'
                    when value_text is not null and value is null then 'not_a_number'
                    when value is null and value_attribute = 'None' then 'value_missing_without_reason'
                end as rule
            from typed
            where {in_slice}
            """
        )
        load = quote(load_id)
        connection.execute(
            f"""
            create or replace table observations as
            select {load} as load_id, request_no::integer as request_no, observation_no, measure, value_attribute,
                value, partner, product, period
            from parsed where rule is null;
            create or replace table rejects as
            select {load} as load_id, request_no::integer as request_no, rule, row_content
            from parsed where rule is not null;
            """
        )
        self._land_metadata(connection, dataset, files, load)
        read = connection.sql("select count(*) from parsed").fetchall()[0][0]
        loaded = connection.sql("select count(*) from observations").fetchall()[0][0]
        rejected = connection.sql("select count(*) from rejects").fetchall()[0][0]
        connection.execute("drop table parsed")
        return Counts(read, loaded, rejected)

    def _land_metadata(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        files: list[tuple[Payload, Path]],
        load: str,
    ) -> None:
        stated: dict[str, str] = {}
        codes: list[tuple[str, ...]] = []
        for payload, path in files:
            if payload.purpose == "measures":
                stated = {row["Identifier"].strip(): row.get("Unit") or "" for row in read_values(path)}
            elif payload.purpose.startswith("codes:"):
                dimension = payload.purpose.removeprefix("codes:")
                for row in read_values(path):
                    fields = (row.get(name) or "" for name in ("Title", "Description", "DimensionGroupId", "Status"))
                    codes.append((dimension, row["Identifier"].strip(), *(str(field).strip() for field in fields)))
        connection.execute(
            "create or replace temp table code_rows (d varchar, c varchar, t varchar, e varchar, g varchar, s varchar)"
        )
        if codes:
            connection.executemany("insert into code_rows values (?, ?, ?, ?, ?, ?)", codes)
        connection.execute(
            f"""
            create or replace table codes as
            select {load} as load_id, d as dimension, c as code, t as title, e as description, g as group_id,
                s as status
            from code_rows order by d, c;
            create or replace table measures as select * from (values
            {
                ", ".join(
                    f"({load}, {quote(m.code)}, {quote(stated.get(m.code, ''))}, {quote(m.unit)},"
                    f" {quote(m.canonical_unit)}, {m.factor}::double)"
                    for m in dataset.measures
                )
            }
            ) as m(load_id, measure_code, stated_unit, declared_unit, canonical_unit, factor);
            """
        )

    def _properties(self, session: OfficeSession, base_url: str, dataset: Dataset) -> Reply:
        return session.get(f"{base_url}/{dataset.identifier}/Properties", purpose="properties", inspect=inspect_json)

    def _version(self, session: OfficeSession, reply: Reply, dataset: Dataset) -> OfficeVersion:
        version = str(json.loads(reply.text()).get("Version", ""))
        try:
            if not re.fullmatch(r"\d{12}", version):
                raise ValueError(version)
            moment = datetime.strptime(version, "%Y%m%d%H%M").replace(tzinfo=AMSTERDAM)
        except ValueError as error:
            raise BadReplyError(
                f"Properties.Version is {version!r}, not YYYYMMDDhhmm",
                dataset=dataset.code,
                where=reply.record.url,
                next_step=_LOOK,
            ) from error
        return OfficeVersion(version, moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def _check_dimensions(self, reply: Reply, dataset: Dataset) -> None:
        found = tuple(row["Identifier"] for row in read_values(reply.path))
        if set(found) != set(dataset.dimensions):
            raise BadReplyError(
                f"the table's dimensions are {list(found)}, the registry says {list(dataset.dimensions)}",
                dataset=dataset.code,
                where=reply.record.url,
                next_step="CBS redesigned the table: adapt its registry file and staging model",
            )


def observation_filter(dataset: Dataset, part: Slice) -> str:
    """Return the ``$filter`` of a slice.

    Years (``JJ00``) sort before months (``MMnn``) of the same year, so one ``ge`` keeps both.
    """
    clauses = [f"Measure in ({_in_list(dataset.measure_codes)})"]
    if part.partners:
        clauses.append(f"{dataset.partner_dimension} in ({_in_list(part.partners)})")
    if part.products:
        clauses.append(f"{dataset.product_dimension} in ({_in_list(part.products)})")
    if part.first_month > dataset.first_period:
        clauses.append(f"{dataset.period_dimension} ge '{part.first_month[:4]}JJ00'")
    if part.last_month:
        clauses.append(f"{dataset.period_dimension} le '{part.last_month[:4]}MM{part.last_month[5:]}'")
    return " and ".join(clauses)


def _in_list(codes: tuple[str, ...]) -> str:
    return ",".join(f"'{code}'" for code in codes)


def inspect_json(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete JSON object; name an OData error in its own words."""
    head = head_of(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(b"{"):
        return Verdict(f"not JSON (content type {content_type!r}): {head[:120]!r}", can_heal=False, next_step=_LOOK)
    if not _PAGE_END.search(tail_of(path).rstrip()):
        # Not the end of a page: a small single object, or a body cut behind a row. Only reading it all tells.
        try:
            json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError:
            return Verdict("the JSON is cut off", can_heal=True, next_step=_LOOK)
    if b'"error"' in head[:200] or b'"odata.error"' in head[:200]:
        return Verdict(
            f"CBS refused: {head[:300].decode('utf-8', 'replace')}",
            can_heal=False,
            next_step="identifiers are case-sensitive: compare the registry file with the office's catalogue",
        )
    return None


def inspect_count(path: Path, content_type: str) -> Verdict | None:
    """Accept a bare integer, with or without a byte order mark."""
    text = head_of(path, 64).removeprefix(b"\xef\xbb\xbf").strip()
    return None if text.isdigit() else Verdict(f"not a count: {text!r}", can_heal=False, next_step=_LOOK)


def next_link(path: Path) -> str | None:
    """Return the page's ``@odata.nextLink``; it stands before or after the rows."""
    for part in (head_of(path), tail_of(path)):
        if match := _NEXT_LINK.search(part):
            return str(json.loads(b'"' + match[1] + b'"'))
    return None


def read_values(path: Path) -> list[dict[str, Any]]:
    """Return the ``value`` rows of a small metadata reply."""
    rows = json.loads(path.read_text(encoding="utf-8-sig"))["value"]
    return list(rows)


def check_observation_fields(path: Path, dataset: Dataset) -> None:
    """Compare the fields of the first observation with those the registry expects.

    Raises
    ------
    BadReplyError
        If a field is missing or was renamed.
    """
    text = head_of(path, 65536).decode("utf-8-sig", errors="replace")
    start = text.find("{", text.find('"value"'))
    if start < 0:
        return
    first, _ = json.JSONDecoder().raw_decode(text, start)
    missing = {*OBSERVATION_FIELDS, *dataset.dimensions} - set(first)
    if missing:
        raise BadReplyError(
            f"observations lack the fields {sorted(missing)}; they have {sorted(first)}",
            dataset=dataset.code,
            where=str(path),
            next_step="CBS changed the table: adapt its registry file",
        )


def count_observations(paths: list[Path]) -> tuple[int, int]:
    """Count the rows of observation pages, and their distinct ``Id``.

    Both must equal the office's count: a page sent twice is too many rows, or stands in for one that is lost.
    """
    with duckdb.connect() as connection:
        query = f"""
            select count(*), count(distinct o."Id") from (
                select unnest(value) as o
                from read_json({file_list(paths)}, format = 'unstructured',
                    maximum_object_size = {object_size(paths)}, columns = {{value: 'STRUCT("Id" BIGINT)[]'}})
            )
        """
        rows, identities = connection.sql(query).fetchall()[0]
        return int(rows), int(identities)


def object_size(paths: list[Path]) -> int:
    """Return the largest JSON object DuckDB must expect: a page is one object, and buffers are twice this size."""
    return max(path.stat().st_size for path in paths) + (1 << 20)
