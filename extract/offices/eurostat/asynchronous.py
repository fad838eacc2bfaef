"""Eurostat's asynchronous answers: three shapes, each possible with HTTP 200 whatever was asked for.

1. An SDMX request gets an XML envelope with the key of a job. The job is polled until its data are there. Its key is
   written down first, so that a run that was killed goes on with the same job instead of starting another.
2. The statistics API answers with a warning and no key: it can only be asked again (`eurostat_faults.read_fault`).
3. Until 2023 an SDMX-ML footer named the URL of a zip. It is still read, in case a host falls back to it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from common.files import write_atomically
from extract.errors import OfficeRefusedError, TransientOfficeError
from extract.http import OfficeSession
from extract.offices.eurostat.faults import read_fault
from extract.raw import RequestRecord
from extract.replies import LOOK
from extract.streams import ArchiveContentError, ArchiveError, check_zip, opened_zip
from extract.verdicts import Inspector, Reply, Verdict, head_of

_ENVELOPE = re.compile(rb"<[\w:]*(?:queued|asyncResponse|syncResponse)\b")
_KEY = re.compile(rb"<[\w:]*(?:id|key)>\s*([0-9a-fA-F-]{8,})\s*<")
_STATUS = re.compile(rb"<[\w:]*status>\s*([A-Z_]+)\s*<")
# The recorded one has no file extension.
_FOOTER_URL = re.compile(rb"<[\w:]*Footer>.*?(https?://[^\s<]+)", re.DOTALL)
_NOT_YET = "DATA_NOT_YET_AVAILABLE"
_GONE = ("EXPIRED", "UNKNOWN_REQUEST")
# Jobs that may expire one after the other before the data are given up.
_JOBS = 3
_BLOCK = 1 << 20


@dataclass(frozen=True)
class PollPolicy:
    """How patiently a job is waited for.

    Attributes
    ----------
    first_seconds, longest_seconds : float
        First pause, and longest; each is half as long again as the one before.
    total_seconds : float
        Bound of all pauses of one job.
    """

    first_seconds: float = 10.0
    longest_seconds: float = 60.0
    total_seconds: float = 3600.0


class Jobs:
    """Data requests that may become jobs.

    Parameters
    ----------
    session : OfficeSession
        Where requests go through.
    host : str
        Base URL of the host that was asked.
    """

    def __init__(self, session: OfficeSession, host: str) -> None:
        self._session = session
        self._host = host
        self._policy = PollPolicy(
            first_seconds=5 * session.policy.base_seconds,
            longest_seconds=30 * session.policy.base_seconds,
            total_seconds=1800 * session.policy.base_seconds,
        )

    def get(self, url: str, *, purpose: str, inspect: Inspector) -> Reply:
        """Fetch a URL, waiting for a job if that is what the office makes of it.

        Raises
        ------
        TransientOfficeError
            If the job did not end in time; it is taken up again by the next run. Also if one job after the other is
            forgotten by the office before it ends.
        """
        for _ in range(_JOBS):
            reply = self._ask(url, purpose, inspect)
            if reply is not None:
                return reply
        raise TransientOfficeError(
            f"Eurostat forgot {_JOBS} jobs one after the other before their data could be fetched",
            dataset=self._session.dataset,
            where=url,
            next_step="run it again later, or ask for fewer codes or months in one request",
        )

    def _ask(self, url: str, purpose: str, inspect: Inspector) -> Reply | None:
        """Go on with the job of a URL or start one; None if the office forgot it."""
        note = self._note(url)
        key = _read_key(note)
        if not key:
            reply = self._session.get(url, purpose=purpose, inspect=_or_envelope(inspect))
            envelope = read_envelope(reply.path)
            if envelope is None:
                return reply
            if envelope.url:
                return self._fetch_zip(self._session.lead(url, envelope.url), url, purpose, inspect)
            key = envelope.key
            if not key:
                raise OfficeRefusedError(
                    "Eurostat put the request in its asynchronous queue and gave no key",
                    dataset=self._session.dataset,
                    where=url,
                    next_step="ask for fewer codes or months in one request",
                )
            write_atomically(note, json.dumps(key))
        return self._wait(key, url, note, purpose, inspect)

    def _wait(self, key: str, url: str, note: Path, purpose: str, inspect: Inspector) -> Reply | None:
        pause, waited, status = self._policy.first_seconds, 0.0, "SUBMITTED"
        while waited < self._policy.total_seconds:
            status = self._status(key)
            if status in _GONE:
                # The dataset was updated, or days went by: the job is of no use to anybody now.
                note.unlink()
                self._session.progress(f"job {key} is {status}; it has to be asked for again")
                return None
            if status == "AVAILABLE":
                reply = self._data(key, purpose, inspect)
                if reply is not None:
                    note.unlink()
                    return reply
            self._session.progress(f"job {key}: {status}, waited {waited:.0f} s")
            self._session.sleep(pause)
            waited += pause
            pause = min(1.5 * pause, self._policy.longest_seconds)
        raise TransientOfficeError(
            f"Eurostat's job {key} is still {status} after {waited:.0f} s",
            dataset=self._session.dataset,
            where=url,
            next_step="run it again later: the same job is taken up",
        )

    def _status(self, key: str) -> str:
        url = f"{self._host}/1.0/async/status/{key}"
        try:
            reply = self._session.get(url, purpose="async status", inspect=_inspect_status)
        except OfficeRefusedError as error:
            if any(word in error.problem for word in _GONE):
                return _GONE[0]
            raise
        found = _STATUS.findall(head_of(reply.path, 8192))
        return found[-1].decode() if found else "SUBMITTED"

    def _data(self, key: str, purpose: str, inspect: Inspector) -> Reply | None:
        """Fetch a job's data; None if the office says available and then not yet."""
        url = f"{self._host}/1.0/async/data/{key}"
        try:
            return self._session.get(url, purpose=purpose, inspect=inspect)
        except OfficeRefusedError as error:
            if _NOT_YET in error.problem:
                return None
            raise

    def _fetch_zip(self, zip_url: str, url: str, purpose: str, inspect: Inspector) -> Reply:
        """Fetch the zip of the old shape and store its only member as the reply."""
        pause, waited = self._policy.first_seconds, 0.0
        while waited < self._policy.total_seconds:
            try:
                reply = self._session.get(zip_url, purpose="async zip", inspect=_inspect_zip)
            except OfficeRefusedError:
                # Until it is ready the address does not exist.
                self._session.sleep(pause)
                waited += pause
                pause = min(1.5 * pause, self._policy.longest_seconds)
                continue
            with opened_zip(reply.path) as archive:
                names = archive.namelist()
                if len(names) != 1:
                    raise ArchiveContentError(f"the zip holds {names[:20]}, not one member ({reply.path})")
                with archive.open(names[0]) as content:
                    sha256, size = self._session.raw.put(iter(lambda: content.read(_BLOCK), b""))
            record = RequestRecord(
                **{**reply.record.__dict__, "sha256": sha256, "bytes": size, "purpose": purpose, "url": url}
            )
            path = self._session.raw.path(sha256)
            verdict = inspect(path, "")
            if verdict is not None:
                raise OfficeRefusedError(
                    verdict.reason, dataset=self._session.dataset, where=zip_url, next_step=verdict.next_step or LOOK
                )
            return Reply(self._session.keep_derived(record), path)
        raise TransientOfficeError(
            f"the zip that Eurostat promised is not there after {waited:.0f} s",
            dataset=self._session.dataset,
            where=zip_url,
            next_step="run it again later",
        )

    def _note(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()[:24]
        return self._session.raw.root / "jobs" / self._session.dataset / f"{name}.json"


@dataclass(frozen=True)
class Envelope:
    """An asynchronous answer: the key of a job, or the URL of a zip."""

    key: str
    url: str = ""


def read_envelope(path: Path) -> Envelope | None:
    """Return the asynchronous answer in a body, if it is one. Namespaces vary; only local names are looked at."""
    head = head_of(path, 8192).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(b"<"):
        return None
    if _ENVELOPE.search(head):
        key = _KEY.search(head)
        return Envelope(key[1].decode() if key else "")
    if url := _FOOTER_URL.search(head):
        return Envelope("", url[1].decode())
    return None


def _or_envelope(inspect: Inspector) -> Inspector:
    def judge(path: Path, content_type: str) -> Verdict | None:
        return None if read_envelope(path) is not None else inspect(path, content_type)

    return judge


def _inspect_status(path: Path, content_type: str) -> Verdict | None:
    head = head_of(path, 8192)
    if _ENVELOPE.search(head):
        return None
    return read_fault(path) or Verdict(f"not the status of a job: {head[:200]!r}", retryable=True)


def _inspect_zip(path: Path, content_type: str) -> Verdict | None:
    try:
        check_zip(path)
    except ArchiveError as error:
        return read_fault(path) or Verdict(str(error), retryable=not isinstance(error, ArchiveContentError))
    return None


def _read_key(note: Path) -> str:
    """Return the key of a job that an earlier run started; empty if there is none, or a disk damaged its note."""
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))) if note.exists() else ""
    except ValueError:
        return ""
