"""Eurostat: SDMX 2.1 on two hosts, and the monthly bulk files and lists of codes of Comext.

Quirks handled here: ``DS-*`` codes live on the Comext host only, all others on the main host only; a reply's format is
told from its first byte, whatever was asked for and whatever the content type says (a SOAP fault or an asynchronous
envelope comes as XML, maintenance as HTML); the cost of a request is the product of matched positions, so a slice is
split until each request is answered at once; one code that the dataset does not have fails the whole request, so
codes are intersected with its constraint first; all chunks of a load must carry one ``LAST UPDATE``, which is
Brussels time with a two-digit year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote as url_quote
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

import duckdb

from common.months import Month, months_between
from extract.errors import BadReplyError, ExtractError, OfficeRefusedError, TornReadError
from extract.http import OfficeSession, Reply, Verdict, head_of
from extract.offices import comext_bulk, comext_lists, eurostat_async, eurostat_formats
from extract.offices.base import CatalogueEntry, Fetched, Files, Metadata, OfficeVersion, as_payload, reads_replies
from extract.offices.eurostat_faults import read_fault
from extract.offices.eurostat_formats import BRUSSELS, last_update_text
from extract.parsing import Finding, Rows
from extract.registry import Dataset
from extract.replies import UnreadableError, member, of_kind, read_object, read_xml
from extract.slices import Slice

# Below 500,000 positions a request is answered at once; a margin is kept for codes we do not know of.
COST_LIMIT = 400_000
# Longest list of codes in one URL: network appliances refuse long ones (400 or 414).
CODES_PER_REQUEST = 100
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
SDMX, BULK, LIST = "sdmx", "comext_bulk", "comext_list"


class EurostatOffice:
    """The protocols of Eurostat."""

    def hosts(self) -> dict[str, str]:
        """Return the public addresses."""
        return {
            "comext": "https://ec.europa.eu/eurostat/api/comext/dissemination",
            "main": "https://ec.europa.eu/eurostat/api/dissemination",
        }

    def greeting(self, hosts: dict[str, str]) -> str:
        """Return the address of one dataflow without its structure, some kB."""
        return f"{hosts['comext']}/sdmx/2.1/dataflow/ESTAT/DS-045409/1.0?detail=allstubs"

    @reads_replies
    def probe(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> OfficeVersion:
        """Read when the data were last updated: from a listing of some kB, or a one-period reply on the main host."""
        if dataset.protocol == BULK:
            return comext_bulk.probe(session, hosts, dataset, part)
        if dataset.protocol == LIST:
            return comext_lists.probe(session, hosts, dataset)
        return self._stamps(session, hosts, dataset, part)[0]

    @reads_replies
    def fetch(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
        """Fetch a slice, chunk by chunk.

        Raises
        ------
        TornReadError
            If the chunks do not all carry the same ``LAST UPDATE``, or a file is replaced meanwhile.
        """
        if dataset.protocol == BULK:
            return comext_bulk.fetch(session, hosts, dataset, part)
        if dataset.protocol == LIST:
            return comext_lists.fetch(session, hosts, dataset)
        findings: tuple[Finding, ...] = ()
        if part.recorded_urls:
            urls = list(part.recorded_urls)
        else:
            version, structure = self._stamps(session, hosts, dataset, part)
            offered = self._constraint(session, hosts, dataset, structure)
            urls, findings = data_urls(self._host(hosts, dataset), dataset, part, offered, version.vintage_at[:7])
        replies = self._fetch_chunks(session, self._host(hosts, dataset), urls)
        stamps = {eurostat_formats.first_stamp(reply.path) for reply in replies}
        # JSON-stat writes the same moment in another way.
        stated = {parse_last_update(stamp, dataset).version for stamp in stamps if stamp}
        if len(stated) > 1:
            raise TornReadError(
                f"the parts of this load carry {len(stated)} values of LAST UPDATE: {sorted(stated)}",
                dataset=dataset.code,
                where=urls[-1],
                next_step="Eurostat published during the load: load it again",
            )
        if stated:
            found = parse_last_update(stated.pop(), dataset)
            if not part.recorded_urls and found.vintage_at != version.vintage_at:
                raise TornReadError(
                    f"the data are of {found.version}, the listing said {version.version}",
                    dataset=dataset.code,
                    where=urls[-1],
                    next_step="Eurostat is publishing just now: load it again",
                )
        elif part.recorded_urls:
            raise BadReplyError(
                "the recorded replies do not say when the data were last updated",
                dataset=dataset.code,
                where=urls[0],
                next_step="record SDMX-CSV or JSON-stat: a TSV file has no stamp",
            )
        else:
            # TSV has no stamp of its own: the listing is asked once more instead.
            found = self._stamps(session, hosts, dataset, part)[0]
            if found != version:
                raise TornReadError(
                    f"Eurostat published {found.version} while {version.version} was being read",
                    dataset=dataset.code,
                    where=urls[-1],
                    next_step="load it again",
                )
        return Fetched(found, tuple(as_payload(reply) for reply in replies), SDMX, findings)

    def _fetch_chunks(self, session: OfficeSession, host: str, urls: list[str]) -> list[Reply]:
        replies: list[Reply] = []
        empty: list[OfficeRefusedError] = []
        jobs = eurostat_async.Jobs(session, host)
        for number, url in enumerate(urls, start=1):
            try:
                replies.append(jobs.get(url, purpose="observations", inspect=eurostat_formats.inspect_data))
                size = f"{replies[-1].record.bytes / 1e6:.1f} MB"
            except OfficeRefusedError as error:
                # Valid codes without an observation are an empty reply on one day and fault 100 on another.
                if "fault 100" not in error.problem or "ERR_NOT_FOUND" in error.problem:
                    raise
                empty.append(error)
                size = "empty"
            session.progress(f"observations: part {number} of {len(urls)}, {size}")
        if not replies:
            raise empty[0]
        return replies

    def metadata(self, dataset: Dataset, fetched: Fetched, files: Files) -> Metadata:
        """Return the units: the code of an indicator states its unit, so a declared indicator has the declared one."""
        return Metadata({measure.code: measure.unit for measure in dataset.measures})

    def rows(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, part: Slice, fetched: Fetched, files: Files
    ) -> tuple[Rows, list[Finding]]:
        """Say how the stored replies read as rows."""
        if fetched.protocol == BULK:
            return comext_bulk.rows(dataset, part, files)
        if fetched.protocol == LIST:
            return comext_lists.rows(dataset, part, files)
        return eurostat_formats.rows(dataset, part, fetched.version.version, files)

    @reads_replies
    def discover(self, session: OfficeSession, hosts: dict[str, str], words: tuple[str, ...]) -> list[CatalogueEntry]:
        """Search the Comext host's listing and the main host's table of contents by words of title or code."""
        entries = [
            CatalogueEntry(flow.get("id", ""), _name(flow), _annotation(flow, "UPDATE_DATA") or "", "Comext host")
            for flow in self._dataflows(session, hosts)
        ]
        url = f"{hosts['main']}/catalogue/toc/txt?lang=en"
        reply = session.get(url, purpose="catalogue", inspect=inspect_toc)
        for line in reply.text().splitlines()[1:]:
            fields = [field.strip().strip('"').strip() for field in line.split("\t")]
            # Folders stand between the datasets, with a column fewer.
            if len(fields) >= 4 and fields[2] in ("dataset", "table"):
                entries.append(CatalogueEntry(fields[1], fields[0], fields[3], "main host"))
        found = [
            entry
            for entry in entries
            if all(word.lower() in f"{entry.identifier} {entry.title}".lower() for word in words)
        ]
        # A dataset hangs in several folders.
        return list({entry.identifier: entry for entry in found}.values())

    def _host(self, hosts: dict[str, str], dataset: Dataset) -> str:
        return hosts["comext" if dataset.is_comext else "main"]

    def _dataflows(self, session: OfficeSession, hosts: dict[str, str]) -> list[Element]:
        url = f"{hosts['comext']}/sdmx/2.1/dataflow/ESTAT"
        reply = session.get(url, purpose="dataflows", inspect=inspect_structure)
        return [element for element in read_xml(reply.path).iter() if _local(element.tag) == "Dataflow"]

    def _stamps(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice
    ) -> tuple[OfficeVersion, str]:
        """Return the version of the data, and the stamp of the structure."""
        if dataset.is_comext:
            return self._comext_stamps(session, hosts, dataset)
        query = "&".join(
            f"{name}={url_quote(codes[0])}" for name, codes in key_codes(dataset, part).items() if len(codes) >= 1
        )
        url = f"{hosts['main']}/statistics/1.0/data/{dataset.identifier}?format=JSON&lang=EN&{query}&lastTimePeriod=1"
        reply = session.get(url, purpose="version", inspect=eurostat_formats.inspect_data)
        content = read_object(reply.path)
        extension = member(content, "extension", dict, reply.path, {})
        structure = ""
        for annotation in member(extension, "annotation", list, reply.path, []):
            if of_kind(annotation, dict, "an annotation", reply.path).get("type") == "UPDATE_STRUCTURE":
                structure = member(annotation, "date", str, reply.path, "")
        return _read_moment(str(content.get("updated", "")), dataset, url), structure

    def _comext_stamps(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset
    ) -> tuple[OfficeVersion, str]:
        for flow in self._dataflows(session, hosts):
            stamp = _annotation(flow, "UPDATE_DATA")
            if flow.get("id") == dataset.identifier and stamp:
                structure = _annotation(flow, "UPDATE_STRUCTURE") or ""
                return _read_moment(stamp, dataset, hosts["comext"]), structure
        raise BadReplyError(
            f"the dataflow listing does not hold {dataset.identifier} with an UPDATE_DATA annotation",
            dataset=dataset.code,
            where=f"{hosts['comext']}/sdmx/2.1/dataflow/ESTAT",
            next_step="DS-* codes are on the Comext host only, and were renamed before: metaalexport discover eurostat",
        )

    def _constraint(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, structure: str
    ) -> dict[str, frozenset[str]]:
        """Return the codes that a dataset offers in each dimension; asked once for each stamp of its structure."""
        url = f"{self._host(hosts, dataset)}/sdmx/2.1/contentconstraint/ESTAT/{dataset.identifier}"
        name = f"{structure} {url}"
        path, sha256 = session.raw.recall(dataset.code, name) if structure else None, ""
        if path is None:
            reply = session.get(url, purpose="constraint", inspect=inspect_structure)
            path, sha256 = reply.path, reply.record.sha256
        offered: dict[str, frozenset[str]] = {}
        for element in read_xml(path).iter():
            if _local(element.tag) == "KeyValue":
                values = (value.text or "" for value in element.iter() if _local(value.tag) == "Value")
                # A dimension may be listed in several regions.
                dimension = element.get("id", "")
                offered[dimension] = offered.get(dimension, frozenset()) | frozenset(values)
        if not offered:
            raise BadReplyError(
                "the constraint lists no codes",
                dataset=dataset.code,
                where=url,
                next_step="look at the reply in the raw store and adapt extract/offices/eurostat.py",
            )
        if sha256:
            # Not before it was read: one that cannot be is asked for again.
            session.raw.remember(dataset.code, name, sha256)
        return offered


def key_codes(dataset: Dataset, part: Slice) -> dict[str, tuple[str, ...]]:
    """Return the codes asked for in each dimension of the key, in its order; none means all."""
    by_column = {
        "reporter": () if part.reporter == "*" or dataset.slice_by != "reporter" else (part.reporter,),
        "partner": part.partners,
        "product": part.products,
        "measure": dataset.measure_codes,
    }
    return {
        dimension: dataset.select.get(dimension) or by_column.get(column, ())
        for dimension, column in dataset.dimensions.items()
        if column != "period"
    }


def data_urls(
    host: str,
    dataset: Dataset,
    part: Slice,
    offered: dict[str, frozenset[str]],
    newest: str,
) -> tuple[list[str], tuple[Finding, ...]]:
    """Return the data requests of a slice, each below `COST_LIMIT` positions, and what is not offered.

    Parameters
    ----------
    host : str
        Base URL.
    offered : dict of str to frozenset of str
        Codes of each dimension, from the dataset's constraint.
    newest : str
        Month of the office's stamp, ``YYYY-MM``: no later month can be there.

    Raises
    ------
    ExtractError
        If nothing is left to ask for.
    """
    if dataset.is_comext and not part.products:
        raise ExtractError(
            "no product is asked for, and Comext refuses a request of all",
            dataset=dataset.code,
            where=part.describe(),
            next_step="add products to a scope",
        )
    asked: dict[str, tuple[str, ...]] = {}
    findings = []
    for dimension, codes in key_codes(dataset, part).items():
        known = offered.get(dimension, frozenset())
        # A code that the dataset does not have would fail the whole request (fault 150).
        kept = tuple(code for code in codes if not known or code in known)
        if dropped := sorted({*codes} - {*kept}):
            findings.append(Finding("code_not_offered", dimension, ", ".join(dropped), "warn"))
        if codes and not kept:
            raise ExtractError(
                f"the dataset offers none of the codes asked for in {dimension}: {', '.join(dropped)}",
                dataset=dataset.code,
                where=part.describe(),
                next_step="compare the registry file and the scopes with the dataset's constraint",
            )
        asked[dimension] = kept
    wanted = _periods(dataset, part.first_month, part.last_month or newest)
    # The constraint lists periods of all frequencies, and months to come.
    offers = sorted(
        period
        for period in offered.get(dataset.period_dimension, ())
        if wanted and len(period) == len(wanted[0]) and period.startswith(("19", "20"))
    )
    periods = [period for period in wanted if not offers or offers[0] <= period <= offers[-1]]
    if not periods:
        offer = f", and the dataset offers {offers[0]} to {offers[-1]}" if offers else ""
        raise ExtractError(
            f"nothing lies between the first month and the last one, {part.last_month or newest}{offer}",
            dataset=dataset.code,
            where=part.describe(),
            next_step="ask for other months",
        )
    # Of a slice without an end the last period is only the latest that can be there.
    if periods[0] != wanted[0]:
        detail = f"asked for from {wanted[0]} on, offered from {offers[0]} on"
        findings.append(Finding("period_not_offered", dataset.period_dimension, detail, "warn"))
    if part.last_month and periods[-1] != wanted[-1]:
        detail = f"asked for up to {wanted[-1]}, offered up to {offers[-1]}"
        findings.append(Finding("period_not_offered", dataset.period_dimension, detail, "warn"))
    split = dataset.dimension_of("product")
    # The cost of one product in one period; first as many products as fit, then as many periods.
    cost = 1
    for dimension, codes in asked.items():
        if dimension != split:
            cost *= len(codes) or len(offered.get(dimension, ())) or 1
    groups: list[Sequence[str]] = [()]
    if split and asked[split]:
        groups = _chunks(asked[split], min(max(1, COST_LIMIT // cost), CODES_PER_REQUEST))
    urls = []
    for group in groups:
        key = ".".join("+".join(group if dimension == split else codes) for dimension, codes in asked.items())
        width = len(group) or len(offered.get(split, ())) or 1
        urls += [
            f"{host}/sdmx/2.1/data/{dataset.identifier}/{key}"
            f"?startPeriod={chunk[0]}&endPeriod={chunk[-1]}&format=SDMX-CSV&compressed=true"
            for chunk in _chunks(periods, COST_LIMIT // (cost * width))
        ]
    return urls, tuple(findings)


def inspect_structure(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete SDMX-ML structure message."""
    if fault := read_fault(path):
        return fault
    try:
        read_xml(path)
    except UnreadableError as error:
        return Verdict.of(error)
    if b"Structure" not in head_of(path, 400):
        return Verdict(f"not an SDMX structure (content type {content_type!r})", retryable=False)
    return None


def inspect_toc(path: Path, content_type: str) -> Verdict | None:
    """Accept the table of contents as text."""
    if fault := read_fault(path):
        return fault
    if b"\t" not in head_of(path, 400):
        return Verdict(f"not a table of contents (content type {content_type!r})", retryable=False)
    return None


def parse_last_update(text: str, dataset: Dataset) -> OfficeVersion:
    """Read ``DD/MM/YY HH:MM:SS``, Brussels time, or ISO 8601 with an offset (JSON-stat).

    Raises
    ------
    BadReplyError
        If it is anything else.
    """
    try:
        if "T" in text:
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, "%d/%m/%y %H:%M:%S").replace(tzinfo=BRUSSELS)
        return _version(moment)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadReplyError(
            f"LAST UPDATE is {text!r}, not DD/MM/YY HH:MM:SS",
            dataset=dataset.code,
            next_step="look at the reply in the raw store and adapt extract/offices/eurostat.py",
        ) from error


def _read_moment(text: str, dataset: Dataset, where: str) -> OfficeVersion:
    try:
        return _version(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z"))
    except (ValueError, OverflowError) as error:
        raise BadReplyError(
            f"the stamp of the last update is {text!r}, not ISO 8601 with an offset",
            dataset=dataset.code,
            where=where,
            next_step="look at the reply in the raw store and adapt extract/offices/eurostat.py",
        ) from error


def _version(moment: datetime) -> OfficeVersion:
    """Return a moment as a version; one without an offset is none, as it would be read in the machine's own zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no offset")
    return OfficeVersion(last_update_text(moment), _utc(moment))


def _utc(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _name(flow: Element) -> str:
    """Return the English name: the listing gives one in each language, in any order."""
    names = {child.get(_LANGUAGE, ""): child.text or "" for child in flow.iter() if _local(child.tag) == "Name"}
    return names.get("en", next(iter(names.values()), ""))


def _annotation(flow: Element, kind: str) -> str | None:
    for annotation in flow.iter():
        if _local(annotation.tag) != "Annotation":
            continue
        texts = {_local(child.tag): (child.text or "") for child in annotation}
        if texts.get("AnnotationType") == kind:
            return texts.get("AnnotationTitle")
    return None


def _chunks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    step = max(1, size)
    return [items[start : start + step] for start in range(0, len(items), step)]


def _periods(dataset: Dataset, first: str, last: str) -> list[str]:
    """Return the periods from month to month that a dataset may have: months, or years for annual data."""
    if dataset.is_annual:
        return [str(year) for year in range(int(first[:4]), int(last[:4]) + 1)]
    return [str(month) for month in months_between(Month.parse(first), Month.parse(last))]
