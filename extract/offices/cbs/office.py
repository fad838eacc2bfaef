"""The protocols of CBS: OData v4, bulk files, and v3 where v4 has no data."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote as url_quote

import duckdb

from extract.dataset import Dataset
from extract.errors import NoWayThroughError, OfficeRefusedError, TornReadError, TransientOfficeError
from extract.http import OfficeSession
from extract.offices.base import (
    CatalogueEntry,
    Fetched,
    Files,
    Metadata,
    OfficeVersion,
    as_payload,
    reads_replies,
)
from extract.offices.cbs.measures import found_by_title, topics_by_title, v3_topics, v4_measures
from extract.offices.cbs.metadata import check_dimensions, read_metadata, read_v3_version, read_version
from extract.offices.cbs.observations import read_observations
from extract.offices.cbs.replies import (
    V3,
    V4,
    ZIP,
    count_observations,
    count_zip_rows,
    inspect_count,
    inspect_json,
    inspect_zip,
    next_link,
    read_count,
)
from extract.offices.cbs.selection import Keys, is_whole, not_offered, observation_filter, v3_filter
from extract.parsing import Finding, Rows
from extract.replies import (
    of_kind,
    read_object,
    read_rows,
)
from extract.slices import Slice
from extract.verdicts import Reply


class CbsOffice:
    """The protocols of CBS."""

    def hosts(self) -> dict[str, str]:
        """Return the public base URLs."""
        return {
            "v4": "https://datasets.cbs.nl/odata/v1/CBS",
            "bulk": "https://datasets.cbs.nl/csv/CBS/nl",
            "v3": "https://opendata.cbs.nl",
            "website": "https://www.cbs.nl/odata/v1",
        }

    def greeting(self, hosts: dict[str, str]) -> str:
        """Return the URL of one table's properties, some 10 kB."""
        return f"{hosts['v4']}/85429NED/Properties"

    @reads_replies
    def probe(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> OfficeVersion:
        """Read version and status from ``Properties``, or from ``TableInfos`` of v3 where v4 does not answer."""
        try:
            return read_version(self._properties(session, hosts, dataset), dataset)
        except TransientOfficeError:
            if dataset.fallback != V3:
                raise
            return read_v3_version(self._v3(session, hosts, dataset, "TableInfos", "properties"), dataset)

    @reads_replies
    def fetch(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
        """Fetch metadata and all observations of a slice.

        Raises
        ------
        TornReadError
            If ``Version`` changed during the read, or rows were lost or repeated between pages.
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
        version = read_version(before, dataset)
        replies = [before]
        replies.append(session.get(f"{table}/Dimensions", purpose="dimensions", inspect=inspect_json))
        check_dimensions(replies[-1], dataset)
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
                # CBS generates the zip separately; the pages come from the table itself, and their rows are counted.
                session.progress(f"{difference}; reading pages instead")
                protocol, findings = V4, (Finding("fallback_used", dataset.identifier, difference, "warn"),)
            else:
                replies.append(archive)
        if protocol == V4:
            replies += self._fetch_pages(session, table, dataset, part, keys, measures)
        after = read_version(self._properties(session, hosts, dataset), dataset)
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
        """Fetch the whole table as a zip; also return a description of a wrong row count, empty if it is right."""
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
        version = read_v3_version(before, dataset)
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
        after = read_v3_version(self._v3(session, hosts, dataset, "TableInfos", "properties"), dataset)
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
        # Without $format the feed returns Atom.
        url = f"{hosts['v3']}/ODataFeed/odata/{dataset.identifier}/{entity_set}?$format=json"
        return session.get(url, purpose=purpose, inspect=inspect_json)

    # -- reading stored replies -----------------------------------------------------------------------------

    def metadata(self, dataset: Dataset, fetched: Fetched, files: Files) -> Metadata:
        """Read units and code lists."""
        return read_metadata(dataset, fetched, files)

    def rows(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, part: Slice, fetched: Fetched, files: Files
    ) -> tuple[Rows, list[Finding]]:
        """Return the SQL that reads stored replies as rows: pages of JSON, the bulk zip, or pages of v3."""
        return read_observations(dataset, part, fetched, files)

    # -- catalogue and calendar -----------------------------------------------------------------------------

    @reads_replies
    def discover(self, session: OfficeSession, hosts: dict[str, str], words: tuple[str, ...]) -> list[CatalogueEntry]:
        """Search the v4 catalogue by words of the title or id.

        The office accepts and ignores ``$search``, so the whole list is read and searched here.
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


def _is_v4_data(error: TransientOfficeError | OfficeRefusedError) -> bool:
    """True if v4 failed altogether, or has no observations of the table (404 although its metadata exist)."""
    return isinstance(error, (TransientOfficeError, NoWayThroughError)) or (
        "HTTP 404" in error.problem and "/Observations" in error.where
    )
