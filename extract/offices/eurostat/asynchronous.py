"""Eurostat's asynchronous answers: three forms, each possible with HTTP 200 for any request.

1. An SDMX request gets an XML envelope with a job key. The job is polled until its data are available. The key is
stored first, so that after a crash the next run resumes the same job instead of starting another.
2. The statistics API answers with a warning and no key: the request can only be repeated (`faults.read_fault`).
3. Until 2023 an SDMX-ML footer named the URL of a zip. It is still supported, in case a host reverts to it.
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
# The recorded URL has no file extension.
_FOOTER_URL = re.compile(rb"<[\w:]*Footer>.*?(https?://[^\s<]+)", re.DOTALL)
_NOT_YET = "DATA_NOT_YET_AVAILABLE"
_GONE = ("EXPIRED", "UNKNOWN_REQUEST")
# Consecutive expired jobs after which the request fails.
_JOBS = 3
_BLOCK = 1 << 20


@dataclass(frozen=True)
class PollPolicy:
    """Polling of a job.

    Attributes
    ----------
    first_seconds, longest_seconds : float
        First and longest pause; each is 1.5 times the previous one.
    total_seconds : float
        Limit on the sum of a job's pauses.
    """

    first_seconds: float = 10.0
    longest_seconds: float = 60.0
    total_seconds: float = 3600.0


class Jobs:
    """Data requests that may become jobs.

    Parameters
    ----------
    session : OfficeSession
        Session for the requests.
    host : str
        Base URL of the host.
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
        """Fetch a URL, waiting for a job if the office answers asynchronously.

        Raises
        ------
        TransientOfficeError
            If the job did not end in time (the next run resumes it), or if the office discarded several jobs in a row.
        """
        for _ in range(_JOBS):
            reply = self._ask(url, purpose, inspect)
            if reply is not None:
                return reply
        raise TransientOfficeError(
            f"Eurostat discarded {_JOBS} jobs in a row before their data could be fetched",
            dataset=self._session.dataset,
            where=url,
            next_step="run it again later, or request fewer codes or months in one request",
        )

    def _ask(self, url: str, purpose: str, inspect: Inspector) -> Reply | None:
        """Resume the job of a URL or start one; return None if the office discarded it."""
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
                    next_step="request fewer codes or months in one request",
                )
            write_atomically(note, json.dumps(key))
        return self._wait(key, url, note, purpose, inspect)

    def _wait(self, key: str, url: str, note: Path, purpose: str, inspect: Inspector) -> Reply | None:
        pause, waited, status = self._policy.first_seconds, 0.0, "SUBMITTED"
        while waited < self._policy.total_seconds:
            status = self._status(key)
            if status in _GONE:
                # The dataset was updated or the job expired.
                note.unlink()
                self._session.progress(f"job {key} is {status}; requesting it again")
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
        """Fetch a job's data; return None if the office reports available but does not have them yet."""
        url = f"{self._host}/1.0/async/data/{key}"
        try:
            return self._session.get(url, purpose=purpose, inspect=inspect)
        except OfficeRefusedError as error:
            if _NOT_YET in error.problem:
                return None
            raise

    def _fetch_zip(self, zip_url: str, url: str, purpose: str, inspect: Inspector) -> Reply:
        """Fetch the zip of the old form and store its only member as the reply."""
        pause, waited = self._policy.first_seconds, 0.0
        while waited < self._policy.total_seconds:
            try:
                reply = self._session.get(zip_url, purpose="async zip", inspect=_inspect_zip)
            except OfficeRefusedError:
                # The URL does not exist until the zip is ready.
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
            f"the zip that Eurostat announced is not available after {waited:.0f} s",
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
    """Return the asynchronous answer in a body, if any. Namespaces vary; only local names are matched."""
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
    """Return the key of a job started by an earlier run; empty if there is none or its note is damaged."""
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))) if note.exists() else ""
    except ValueError:
        return ""
