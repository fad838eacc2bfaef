"""Eurostat: SDMX 2.1 on the Comext host.

Quirks handled here: ``DS-*`` codes live on the Comext host only; a reply's format is told from its first byte,
whatever was asked for and whatever the content type says (a SOAP fault or an asynchronous envelope comes as XML,
maintenance as HTML); the cost of a request is the product of matched positions, so a slice is split by months;
all chunks of a load must carry one ``LAST UPDATE``, which is Brussels time with a two-digit year.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import duckdb

from extract.errors import BadReplyError, ExtractError, TornReadError
from extract.http import OfficeSession, Verdict, head_of, tail_of
from extract.offices.base import Counts, Fetched, OfficeVersion, Payload, file_list, request_number
from extract.registry import Dataset
from extract.slices import Slice
from extract.sql import quote

BRUSSELS = ZoneInfo("Europe/Brussels")
# Below 500,000 positions a request is answered at once; a margin is kept for codes we do not know of.
COST_LIMIT = 400_000
PARTNER_POSITIONS = 300


class EurostatOffice:
    """The SDMX 2.1 protocol of Eurostat's Comext host."""

    def base_url(self) -> str:
        """Return the public address of the Comext host."""
        return "https://ec.europa.eu/eurostat/api/comext/dissemination"

    def probe(self, session: OfficeSession, base_url: str, dataset: Dataset) -> OfficeVersion:
        """Read annotation ``UPDATE_DATA`` from the 23 KB dataflow listing."""
        url = f"{base_url}/sdmx/2.1/dataflow/ESTAT"
        reply = session.get(url, purpose="dataflows", inspect=inspect_structure)
        for flow in ElementTree.parse(reply.path).getroot().iter():  # noqa: S314 - the office's own listing
            if _local(flow.tag) == "Dataflow" and flow.get("id") == dataset.identifier:
                stamp = _annotation(flow, "UPDATE_DATA")
                if stamp:
                    moment = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S%z")
                    return OfficeVersion(_last_update(moment), _utc(moment))
        raise BadReplyError(
            f"the dataflow listing does not hold {dataset.identifier} with an UPDATE_DATA annotation",
            dataset=dataset.code,
            where=url,
            next_step="DS-* codes exist on the Comext host only, and were renamed before: check the listing",
        )

    def fetch(self, session: OfficeSession, base_url: str, dataset: Dataset, part: Slice) -> Fetched:
        """Fetch a slice as SDMX-CSV, chunk by chunk.

        Raises
        ------
        TornReadError
            If the chunks do not all carry the same ``LAST UPDATE``.
        """
        urls = list(part.recorded_urls) or self.data_urls(session, base_url, dataset, part)
        replies = []
        for number, url in enumerate(urls, start=1):
            replies.append(session.get(url, purpose="observations", inspect=inspect_csv))
            session.progress(f"observations: part {number} of {len(urls)}, {replies[-1].record.bytes / 1e6:.1f} MB")
        for reply in replies:
            check_header(reply.path, reply.record.url, dataset)
        stamps = {stamp for reply in replies for stamp in last_updates(reply.path)}
        if len(stamps) != 1:
            raise TornReadError(
                f"the parts of this load carry {len(stamps)} values of LAST UPDATE: {sorted(stamps)}",
                dataset=dataset.code,
                where=urls[-1],
                next_step="Eurostat published during the load, or sent no rows at all: load it again",
            )
        payloads = tuple(
            Payload(r.record.request_id, r.record.purpose, r.record.sha256, r.record.url, r.record.retrieved_at)
            for r in replies
        )
        return Fetched(parse_last_update(stamps.pop(), dataset), payloads)

    def data_urls(self, session: OfficeSession, base_url: str, dataset: Dataset, part: Slice) -> list[str]:
        """Return the data requests of a slice, each below `COST_LIMIT` positions."""
        if not part.products:
            raise ExtractError(
                "no product is asked for, and Comext refuses a request of all",
                dataset=dataset.code,
                where=part.describe(),
                next_step="add products to a scope",
            )
        last = part.last_month or self.probe(session, base_url, dataset).vintage_at[:7]
        months = list(_months(part.first_month, last))
        if not months:
            raise ExtractError(
                f"the first month lies after the last one, {last}",
                dataset=dataset.code,
                where=part.describe(),
                next_step="ask for an earlier first month",
            )
        # The cost of one product in one month; first as many products as fit, then as many months.
        cost = (len(part.partners) or PARTNER_POSITIONS) * len(dataset.measures)
        urls = []
        for products in _chunks(part.products, COST_LIMIT // cost):
            positions = {
                "freq": dataset.fixed["freq"],
                "reporter": part.reporter,
                "partner": "+".join(part.partners),
                "product": "+".join(products),
                "flow": dataset.fixed["flow"],
                "indicators": "+".join(dataset.measure_codes),
            }
            key = ".".join(positions[d] for d in dataset.dimensions if d != dataset.period_dimension)
            urls += [
                f"{base_url}/sdmx/2.1/data/{dataset.identifier}/{key}"
                f"?startPeriod={chunk[0]}&endPeriod={chunk[-1]}&format=SDMX-CSV&compressed=false"
                for chunk in _chunks(months, COST_LIMIT // (cost * len(products)))
            ]
        return urls

    def parse(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        part: Slice,
        files: list[tuple[Payload, Path]],
        load_id: str,
    ) -> Counts:
        """Turn stored SDMX-CSV replies into landing tables, in DuckDB."""
        header = check_header(files[0][1], files[0][0].url, dataset)
        for payload, path in files[1:]:
            if check_header(path, payload.url, dataset) != header:
                raise BadReplyError(
                    f"the reply has other columns than the load's first one: {csv_header(path)}, not {header}",
                    dataset=dataset.code,
                    where=payload.url,
                    next_step="load it again; Eurostat changed the layout in between",
                )
        numbered = [(no, path) for no, (_, path) in enumerate(files)]
        names = file_list([path for _, path in numbered])
        measures = ", ".join(quote(code) for code in dataset.measure_codes)
        # A recorded reply can hold more than the slice (imports, other reporters); a live request cannot return it.
        # What is left to the slice that asks for it counts neither as read nor as rejected.
        in_slice = (
            f"freq = {quote(dataset.fixed['freq'])} and flow = {quote(dataset.fixed['flow'])}"
            f" and reporter = {quote(part.reporter)}"
            if part.recorded_urls
            else "true"
        )
        columns = "{" + ", ".join(f"{quote(name)}: 'VARCHAR'" for name in header) + "}"
        # Text first: `01` is a product code, and a value that does not parse is a rejected row, not a failed file.
        connection.execute(
            f"""
            create or replace temp table parsed as
            with line as (
                select {request_number(numbered, "data.filename")} as request_no, data.*
                from read_csv({names}, header = true, auto_detect = false, columns = {columns}, delim = ',',
                    quote = '"', filename = true, store_rejects = true, rejects_limit = 0) as data
            ),
            typed as (
                select
                    request_no,
                    "LAST UPDATE" as last_update,
                    freq,
                    reporter,
                    partner,
                    product,
                    flow,
                    indicators,
                    "TIME_PERIOD" as period,
                    "OBS_VALUE" as value_text,
                    try_cast("OBS_VALUE" as double) as value
                from line
            )
            select
                *,
                case
                    when reporter is null or partner is null or product is null or period is null then 'missing_key'
                    when not regexp_full_match(period, {quote(dataset.period_pattern)}) then 'unknown_period'
                    when indicators not in ({measures}) then 'unknown_measure'
                    when value is null then 'not_a_number'
                end as rule
            from typed
            where {in_slice}
            """
        )
        load = quote(load_id)
        connection.execute(
            f"""
            create or replace table observations as
            select {load} as load_id, request_no::integer as request_no, last_update, freq, reporter, partner,
                product, flow, indicators as measure, period, value
            from parsed where rule is null;
            create or replace table rejects as
            select {load} as load_id, request_no::integer as request_no, rule,
                to_json({{reporter: reporter, partner: partner, product: product, flow: flow,
                    indicators: indicators, period: period, value: value_text}})::varchar as row_content
            from parsed where rule is not null
            union all
            from (
                select {load}, {request_number(numbered, "scans.file_path")}::integer as request_no, 'malformed_line',
                    min(errors.csv_line)
                from reject_errors as errors
                join reject_scans as scans on scans.scan_id = errors.scan_id and scans.file_id = errors.file_id
                group by scans.file_path, errors.line
                order by request_no, errors.line
            );
            create or replace table codes as
            select {load} as load_id, ''::varchar as dimension, ''::varchar as code, ''::varchar as title,
                ''::varchar as description, ''::varchar as group_id, ''::varchar as status
            where false;
            create or replace table measures as
            select
                {load} as load_id, declared.code as measure_code,
                case when seen.measure is not null then declared.unit else '' end as stated_unit,
                declared.unit as declared_unit, declared.canonical_unit, declared.factor
            from (values {
                ", ".join(
                    f"({quote(m.code)}, {quote(m.unit)}, {quote(m.canonical_unit)}, {m.factor}::double)"
                    for m in dataset.measures
                )
            }) as declared(code, unit, canonical_unit, factor)
            left join (select distinct measure from observations) as seen on seen.measure = declared.code
            order by declared.code;
            """
        )
        loaded = connection.sql("select count(*) from observations").fetchall()[0][0]
        rejected = connection.sql("select count(*) from rejects").fetchall()[0][0]
        malformed = connection.sql("select count(*) from rejects where rule = 'malformed_line'").fetchall()[0][0]
        read = connection.sql("select count(*) from parsed").fetchall()[0][0] + malformed
        connection.execute("drop table parsed")
        return Counts(read, loaded, rejected)


def inspect_structure(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete SDMX-ML structure message."""
    if fault := read_fault(path):
        return fault
    try:
        ElementTree.parse(path)  # noqa: S314 - the office's own listing
    except ElementTree.ParseError as error:
        return Verdict(f"the XML is cut off or broken ({error})", can_heal=True)
    if b"Structure" not in head_of(path, 400):
        return Verdict(f"not an SDMX structure (content type {content_type!r})", can_heal=False)
    return None


def inspect_csv(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete SDMX-CSV body; tell faults and asynchronous envelopes from it."""
    head = head_of(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        return read_fault(path) or Verdict(f"XML where SDMX-CSV was asked for: {head[:200]!r}", can_heal=False)
    if head.startswith(b"{"):
        return Verdict(f"JSON where SDMX-CSV was asked for: {head[:200]!r}", can_heal=False)
    if not head.startswith((b"DATAFLOW", b'"DATAFLOW"')):
        return Verdict(f"not SDMX-CSV (content type {content_type!r}): {head[:120]!r}", can_heal=False)
    if not tail_of(path, 2).endswith(b"\n"):
        return Verdict("the CSV is cut off in its last line", can_heal=True)
    return None


def read_fault(path: Path) -> Verdict | None:
    """Return the verdict for a SOAP fault or an asynchronous envelope, told from the body alone."""
    head = head_of(path, 8192)
    if b"Fault" in head[:600]:
        code = _between(head, b"<faultcode>", b"</faultcode>")
        text = _between(head, b"<faultstring>", b"</faultstring>")
        steps = {
            "100": "the dataset or the slice is not available: check the code and the host",
            "150": "a code is not in the dataset: remove it from the scope, or correct it",
            "413": "ask for fewer codes or months",
        }
        return Verdict(f"Eurostat fault {code}: {text}", code in {"500", "503"}, steps.get(code, ""))
    if re.search(rb"<[\w:]*(queued|asyncResponse)\b", head):
        return Verdict(
            "Eurostat put the request in its asynchronous queue",
            can_heal=False,
            next_step="ask for fewer codes or months in one request",
        )
    return None


def csv_header(path: Path) -> list[str]:
    """Return the column names of a CSV body, without byte order mark and carriage return."""
    first_line = head_of(path).decode("utf-8-sig", errors="replace").splitlines()[0]
    return next(csv.reader([first_line]))


def check_header(path: Path, url: str, dataset: Dataset) -> list[str]:
    """Return the column names of a body that has all those the registry expects.

    Raises
    ------
    BadReplyError
        Naming the columns that are missing.
    """
    header = csv_header(path)
    missing = [name for name in ("DATAFLOW", "LAST UPDATE", *dataset.dimensions, "OBS_VALUE") if name not in header]
    if missing:
        raise BadReplyError(
            f"the reply lacks the columns {missing}; it has {header}",
            dataset=dataset.code,
            where=url,
            next_step="Eurostat changed the layout: compare with the registry file's dimensions",
        )
    return header


def last_updates(path: Path) -> set[str]:
    """Return the distinct values of ``LAST UPDATE`` in a body."""
    with duckdb.connect() as connection:
        query = f"""
            select distinct "LAST UPDATE"
            from read_csv({quote(str(path))}, header = true, all_varchar = true, delim = ',', ignore_errors = true)
        """
        return {row[0] or "" for row in connection.sql(query).fetchall()}


def parse_last_update(text: str, dataset: Dataset) -> OfficeVersion:
    """Read ``DD/MM/YY HH:MM:SS``, Brussels time.

    Raises
    ------
    BadReplyError
        If it is anything else.
    """
    try:
        moment = datetime.strptime(text, "%d/%m/%y %H:%M:%S").replace(tzinfo=BRUSSELS)
    except (ValueError, TypeError) as error:
        raise BadReplyError(
            f"LAST UPDATE is {text!r}, not DD/MM/YY HH:MM:SS",
            dataset=dataset.code,
            next_step="look at the reply in the raw store and adapt extract/offices/eurostat.py",
        ) from error
    return OfficeVersion(text, _utc(moment))


def _last_update(moment: datetime) -> str:
    return moment.astimezone(BRUSSELS).strftime("%d/%m/%y %H:%M:%S")


def _utc(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _annotation(flow: ElementTree.Element, kind: str) -> str | None:
    for annotation in flow.iter():
        if _local(annotation.tag) != "Annotation":
            continue
        texts = {_local(child.tag): (child.text or "") for child in annotation}
        if texts.get("AnnotationType") == kind:
            return texts.get("AnnotationTitle")
    return None


def _between(body: bytes, start: bytes, end: bytes) -> str:
    return body.partition(start)[2].partition(end)[0].decode("utf-8", errors="replace").strip()


def _chunks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    step = max(1, size)
    return [items[start : start + step] for start in range(0, len(items), step)]


def _months(first: str, last: str) -> list[str]:
    begin, end = (int(m[:4]) * 12 + int(m[5:]) - 1 for m in (first, last))
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(begin, end + 1)]
