"""Asynchronous extractions: a job for a request that is too large to answer at once."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from simulator.eurostat.model import Dataset, Query
from simulator.eurostat.replies import NAMESPACE, XML_START, RefusalError, xml
from simulator.release import Release
from simulator.reply import Reply

#: Folder of the asynchronous replies in use before 2023.
LEGACY_FILES = "/eurostat/SDMX/diss-web/file"


@dataclass
class _Job:
    make: Callable[[], Reply]
    dataset: Dataset
    stamp: str
    polls: int = 0
    is_stuck: bool = False
    misses: int = 0


class Jobs:
    """The jobs of one host.

    Parameters
    ----------
    polls_until_available
        Number of status requests before the data of a job are available.
    """

    def __init__(self, polls_until_available: int) -> None:
        self.polls_until_available = polls_until_available
        self._jobs: dict[str, _Job] = {}

    def is_prepared(self, query: Query, release: Release) -> bool:
        """True if a job has prepared the same request: the reply then follows at once, whatever its cost."""
        job = self._jobs.get(_job_identity(query, release))
        return job is not None and not job.is_stuck and job.polls >= self.polls_until_available

    def add(
        self, dataset: Dataset, make: Callable[[], Reply], query: Query, release: Release, *, is_stuck: bool = False
    ) -> str:
        """Return the identity of the job of a request; a repeated request gets its existing job."""
        identity = _job_identity(query, release)
        if identity not in self._jobs or self._jobs[identity].is_stuck != is_stuck:
            self._jobs[identity] = _Job(make, dataset, dataset.stamp(release), is_stuck=is_stuck)
        return identity

    def queue(
        self, dataset: Dataset, make: Callable[[], Reply], query: Query, release: Release, *, is_stuck: bool
    ) -> Reply:
        """Add a job and return the reply with its key."""
        identity = self.add(dataset, make, query, release, is_stuck=is_stuck)
        return xml(
            # Recorded with and without prefixes on the inner elements; the public client reads those without.
            f'{XML_START}<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header/><S:Body>'
            '<ns0:syncResponse xmlns:ns0="http://estat.ec.europa.eu/disschain/soap/extraction">'
            f"<queued><id>{identity}</id><status>SUBMITTED</status></queued>"
            "</ns0:syncResponse></S:Body></S:Envelope>"
        )

    def queue_legacy(
        self, dataset: Dataset, make: Callable[[], Reply], query: Query, release: Release, misses: int
    ) -> Reply:
        """Add a job and return the reply in use before 2023: a footer with the URL of a zip.

        Parameters
        ----------
        misses
            Number of requests for the zip that get 404.
        """
        identity = self.add(dataset, make, query, release)
        self._jobs[identity].misses = misses
        url = f"{query.base_url}{LEGACY_FILES}/{identity}"
        texts = (
            f"Due to the large query the response will be written to a file which will be located under URL: {url}",
            url,
            "Please check the location periodic every 5 minutes or at your preference.",
        )
        lines = "".join(f'<common:Text xml:lang="en">{text}</common:Text>' for text in texts)
        version = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1"
        return xml(
            f'{XML_START}<message:GenericData xmlns:footer="{version}/message/footer" '
            f'xmlns:generic="{version}/data/generic" xmlns:common="{version}/common" '
            f'xmlns:message="{version}/message" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
            f"<message:Header><message:ID>{uuid.uuid5(NAMESPACE, url).hex}</message:ID>"
            f"<message:Test>false</message:Test><message:Prepared>{release.eurostat_stamp[:19]}</message:Prepared>"
            '<message:Sender id="ESTAT"><common:Name xml:lang="en">Eurostat</common:Name>'
            "<message:Timezone>+01:00</message:Timezone></message:Sender>"
            '<message:Receiver id="RECEIVER"/><message:DataSetAction>Append</message:DataSetAction>'
            f"<message:DataSetID>{dataset.code}</message:DataSetID></message:Header>"
            # The word is misspelt in the recorded reply.
            f'<footer:Footer><footer:Message code="413" severity="Infomation">{lines}</footer:Message>'
            "</footer:Footer></message:GenericData>"
        )

    def answer(self, what: str, identity: str, release: Release) -> Reply:
        """Return the status of a job, or its data; each request for the status brings a job nearer to its data.

        Raises
        ------
        RefusalError
            The job is unknown or expired, or its data are not available yet.
        """
        job = self._jobs.get(identity)
        if job is None:
            raise RefusalError(400, 100, f"UNKNOWN_REQUEST: {identity}")
        # A job expires with the data it was requested from.
        is_expired = job.stamp != job.dataset.stamp(release)
        is_ready = job.polls >= self.polls_until_available and not job.is_stuck
        if what == "data":
            if is_expired:
                raise RefusalError(400, 100, f"UNKNOWN_REQUEST: {identity}")
            if not is_ready:
                raise RefusalError(400, 100, f"DATA_NOT_YET_AVAILABLE: {identity}")
            return job.make()
        job.polls += 1
        is_ready = job.polls >= self.polls_until_available and not job.is_stuck
        status = "EXPIRED" if is_expired else "AVAILABLE" if is_ready else "PROCESSING"
        return xml(
            f'{XML_START}<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Header/><S:Body>'
            '<ns0:asyncResponse xmlns:ns0="http://estat.ec.europa.eu/disschain/soap/asynchronous" '
            'xmlns:ns1="http://estat.ec.europa.eu/disschain/asynchronous">'
            f"<ns1:status><ns1:key>{identity}</ns1:key><ns1:status>{status}</ns1:status></ns1:status>"
            "</ns0:asyncResponse></S:Body></S:Envelope>"
        )

    def poll(self, identity: str) -> None:
        """Count a request for the status of a job."""
        self._jobs[identity].polls += 1

    def answer_file(self, path: str) -> Reply:
        """Return the zip of an asynchronous reply in use before 2023: one SDMX-ML file."""
        job = self._jobs.get(path.removeprefix(f"{LEGACY_FILES}/"))
        if job is None or job.is_stuck:
            return Reply(b"Not Found", "text/html", 404)
        if job.misses:
            job.misses -= 1
            return Reply(b"Not Found", "text/html", 404)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            # A fixed date, so that the same request gives the same bytes.
            file.writestr(zipfile.ZipInfo(f"{job.dataset.code}.sdmx.xml"), job.make().body)
        return Reply(archive.getvalue(), "application/octet-stream")

    def knows_file(self, path: str) -> bool:
        """True if the path is that of the zip of a job of this host."""
        return path.removeprefix(f"{LEGACY_FILES}/") in self._jobs


def _job_identity(query: Query, release: Release) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{release.number} {query.url}"))
