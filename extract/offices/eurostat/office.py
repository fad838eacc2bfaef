"""The protocols of Eurostat."""

from __future__ import annotations

from urllib.parse import quote as url_quote
from xml.etree.ElementTree import Element

import duckdb

from extract.dataset import Dataset
from extract.errors import BadReplyError, OfficeRefusedError, TornReadError
from extract.http import OfficeSession
from extract.offices.base import CatalogueEntry, Fetched, Files, Metadata, OfficeVersion, as_payload, reads_replies
from extract.offices.comext import bulk as comext_bulk
from extract.offices.comext import lists as comext_lists
from extract.offices.eurostat import asynchronous, formats
from extract.offices.eurostat.requests import data_urls, key_codes
from extract.offices.eurostat.structure import inspect_structure, inspect_toc, parse_last_update, read_moment
from extract.parsing import Finding, Rows
from extract.replies import member, of_kind, read_object, read_xml
from extract.slices import Slice
from extract.verdicts import Reply

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
SDMX, BULK, LIST = "sdmx", "comext_bulk", "comext_list"


class EurostatOffice:
    """The protocols of Eurostat."""

    def hosts(self) -> dict[str, str]:
        """Return the public base URLs."""
        return {
            "comext": "https://ec.europa.eu/eurostat/api/comext/dissemination",
            "main": "https://ec.europa.eu/eurostat/api/dissemination",
        }

    def greeting(self, hosts: dict[str, str]) -> str:
        """Return the URL of one dataflow without its structure, a few kB."""
        return f"{hosts['comext']}/sdmx/2.1/dataflow/ESTAT/DS-045409/1.0?detail=allstubs"

    @reads_replies
    def probe(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> OfficeVersion:
        """Read the time of the last update: from a listing of some kB, or a one-period reply on the main host."""
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
        stamps = {formats.first_stamp(reply.path) for reply in replies}
        # JSON-stat formats the same moment differently.
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
                    f"the data are of {found.version}, the listing showed {version.version}",
                    dataset=dataset.code,
                    where=urls[-1],
                    next_step="Eurostat is publishing just now: load it again",
                )
        elif part.recorded_urls:
            raise BadReplyError(
                "the recorded replies do not state when the data were last updated",
                dataset=dataset.code,
                where=urls[0],
                next_step="record SDMX-CSV or JSON-stat: a TSV file has no stamp",
            )
        else:
            # TSV has no stamp: request the listing once more instead.
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
        jobs = asynchronous.Jobs(session, host)
        for number, url in enumerate(urls, start=1):
            try:
                replies.append(jobs.get(url, purpose="observations", inspect=formats.inspect_data))
                size = f"{replies[-1].record.bytes / 1e6:.1f} MB"
            except OfficeRefusedError as error:
                # Valid codes without observations give sometimes an empty reply, sometimes fault 100.
                if "fault 100" not in error.problem or "ERR_NOT_FOUND" in error.problem:
                    raise
                empty.append(error)
                size = "empty"
            session.progress(f"observations: part {number} of {len(urls)}, {size}")
        if not replies:
            raise empty[0]
        return replies

    def metadata(self, dataset: Dataset, fetched: Fetched, files: Files) -> Metadata:
        """Return the declared units: an indicator's code states its unit."""
        return Metadata({measure.code: measure.unit for measure in dataset.measures})

    def rows(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, part: Slice, fetched: Fetched, files: Files
    ) -> tuple[Rows, list[Finding]]:
        """Return the rows of the stored replies."""
        if fetched.protocol == BULK:
            return comext_bulk.rows(dataset, part, files)
        if fetched.protocol == LIST:
            return comext_lists.rows(dataset, part, files)
        return formats.rows(dataset, part, fetched.version.version, files)

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
            # Folders are listed between the datasets, with one column fewer.
            if len(fields) >= 4 and fields[2] in ("dataset", "table"):
                entries.append(CatalogueEntry(fields[1], fields[0], fields[3], "main host"))
        found = [
            entry
            for entry in entries
            if all(word.lower() in f"{entry.identifier} {entry.title}".lower() for word in words)
        ]
        # A dataset can be in several folders.
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
        """Return the version of the data and the stamp of the structure."""
        if dataset.is_comext:
            return self._comext_stamps(session, hosts, dataset)
        query = "&".join(
            f"{name}={url_quote(codes[0])}" for name, codes in key_codes(dataset, part).items() if len(codes) >= 1
        )
        url = f"{hosts['main']}/statistics/1.0/data/{dataset.identifier}?format=JSON&lang=EN&{query}&lastTimePeriod=1"
        reply = session.get(url, purpose="version", inspect=formats.inspect_data)
        content = read_object(reply.path)
        extension = member(content, "extension", dict, reply.path, {})
        structure = ""
        for annotation in member(extension, "annotation", list, reply.path, []):
            if of_kind(annotation, dict, "an annotation", reply.path).get("type") == "UPDATE_STRUCTURE":
                structure = member(annotation, "date", str, reply.path, "")
        return read_moment(str(content.get("updated", "")), dataset, url), structure

    def _comext_stamps(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset
    ) -> tuple[OfficeVersion, str]:
        for flow in self._dataflows(session, hosts):
            stamp = _annotation(flow, "UPDATE_DATA")
            if flow.get("id") == dataset.identifier and stamp:
                structure = _annotation(flow, "UPDATE_STRUCTURE") or ""
                return read_moment(stamp, dataset, hosts["comext"]), structure
        raise BadReplyError(
            f"the dataflow listing does not hold {dataset.identifier} with an UPDATE_DATA annotation",
            dataset=dataset.code,
            where=f"{hosts['comext']}/sdmx/2.1/dataflow/ESTAT",
            next_step="DS-* codes are on the Comext host only, and were renamed before: metaalexport discover eurostat",
        )

    def _constraint(
        self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, structure: str
    ) -> dict[str, frozenset[str]]:
        """Return the codes that a dataset offers in each dimension; requested once per stamp of its structure."""
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
                next_step="look at the reply in the raw store and adapt extract/offices/eurostat/",
            )
        if sha256:
            # Only after it was read: an unreadable reply must be requested again.
            session.raw.remember(dataset.code, name, sha256)
        return offered


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _name(flow: Element) -> str:
    """Return the English name; the listing has one per language, in any order."""
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
