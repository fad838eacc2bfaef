"""HTTP to an office: bounded, polite, and every reply kept.

A request is tried again only for what time can heal (no connection, a cut body, 429, 5xx, a maintenance
page). Each attempt, good or bad, ends as bytes in the raw store and as a request record.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
from requests.adapters import BaseAdapter

from extract.errors import BadReplyError, OfficeRefusedError, TransientOfficeError
from extract.raw import RawStore, RequestRecord

USER_AGENT = "metaalexport/0.1 (warehouse of export statistics; requests one extraction at a time)"
RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a request is repeated.

    Attributes
    ----------
    attempts : int
        Tries in all.
    base_seconds, max_seconds : float
        First wait and longest wait; each wait doubles and is jittered by half.
    """

    attempts: int = 4
    base_seconds: float = 2.0
    max_seconds: float = 120.0

    def wait(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after this attempt (1-based); an office's ``Retry-After`` is honoured, capped."""
        if retry_after is not None:
            return min(retry_after, self.max_seconds)
        backoff = min(self.base_seconds * 2.0 ** (attempt - 1), self.max_seconds)
        return backoff * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not cryptography


@dataclass(frozen=True)
class Reply:
    """An accepted reply, on disk."""

    record: RequestRecord
    path: Path

    def text(self) -> str:
        """Return the body as text, without a byte order mark."""
        return self.path.read_text(encoding="utf-8-sig")


# Returns None when the body is what was asked for, else what it is instead.
Inspector = Callable[[Path, str], "Verdict | None"]


@dataclass(frozen=True)
class Verdict:
    """Why a body with a good status is not the data asked for, and whether waiting can heal it."""

    reason: str
    can_heal: bool
    next_step: str = ""


def head_of(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a body."""
    with path.open("rb") as handle:
        return handle.read(size)


def tail_of(path: Path, size: int = 4096) -> bytes:
    """Return the last bytes of a body."""
    with path.open("rb") as handle:
        handle.seek(0, 2)
        handle.seek(max(0, handle.tell() - size))
        return handle.read()


def looks_like_html(head: bytes) -> bool:
    """Tell an HTML page from data, whatever the status or content type say."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:512].lower()
    return start.startswith((b"<!doctype html", b"<html")) or b"<html" in start


@dataclass
class OfficeSession:
    """One office's connection for one load: a requests session, a raw store and a retry policy."""

    dataset: str
    raw: RawStore
    transport: str
    adapter: BaseAdapter | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: tuple[float, float] = (15.0, 240.0)
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[str], None] = lambda message: None
    records: list[RequestRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        if self.adapter is not None:
            self._session.mount("https://", self.adapter)
            self._session.mount("http://", self.adapter)

    def get(self, url: str, *, purpose: str, inspect: Inspector) -> Reply:
        """Fetch a URL into the raw store.

        Parameters
        ----------
        url : str
            Complete URL, query included.
        purpose : str
            What the reply is for (``observations``, ``properties``…); kept with the request.
        inspect : callable
            Judges the body; see `Inspector`.

        Returns
        -------
        Reply
            The stored body and its record.

        Raises
        ------
        TransientOfficeError
            If all attempts failed for reasons that time can heal.
        OfficeRefusedError
            On another 4xx, with the office's own words.
        BadReplyError
            If the body is not what was asked for and waiting cannot heal that.
        """
        problem = ""
        for attempt in range(1, self.policy.attempts + 1):
            retry_after: float | None = None
            try:
                with self._session.get(url, timeout=self.timeout, stream=True) as response:
                    sha256, size = self.raw.put(response.iter_content(1 << 18))
                    self._refuse_simulated(url, response)
                    record = self._record(url, purpose, response, sha256, size, attempt)
                    path = self.raw.path(sha256)
                    retry_after = _retry_after(response)
            except requests.RequestException as error:
                if isinstance(error, ValueError):
                    # An impossible URL or header: no time heals it.
                    raise OfficeRefusedError(
                        f"this cannot be asked of any office ({type(error).__name__}: {error})",
                        dataset=self.dataset,
                        where=url,
                        next_step="check the office's base URL in the settings",
                    ) from error
                problem = f"no complete reply ({type(error).__name__}: {error})"
                self._keep_failure(url, purpose, attempt, problem)
            else:
                verdict = self._judge(record, path, inspect)
                if verdict is None:
                    self._keep(record)
                    return Reply(record, path)
                self._keep(RequestRecord(**{**record.__dict__, "outcome": verdict.reason}))
                if not verdict.can_heal:
                    kind = BadReplyError if record.status < 400 else OfficeRefusedError
                    raise kind(verdict.reason, dataset=self.dataset, where=url, next_step=verdict.next_step)
                problem = verdict.reason
            if attempt < self.policy.attempts:
                seconds = self.policy.wait(attempt, retry_after)
                self.progress(f"attempt {attempt} failed: {problem}; next in {seconds:.0f} s")
                self.sleep(seconds)
        raise TransientOfficeError(
            f"{self.policy.attempts} attempts failed, the last one with: {problem}",
            dataset=self.dataset,
            where=url,
            next_step="try again later; what was published stays as it is",
        )

    def _refuse_simulated(self, url: str, response: requests.Response) -> None:
        """Simulated figures must never pass for an office's own, however the URL came to point here."""
        if self.transport != "simulator" and "X-Simulated" in response.headers:
            raise BadReplyError(
                f"a simulator answered where transport {self.transport!r} asks a real office",
                dataset=self.dataset,
                where=url,
                next_step="check METAALEXPORT_CBS_URL and METAALEXPORT_EUROSTAT_URL, or use SOURCE=simulator",
            )

    def _judge(self, record: RequestRecord, path: Path, inspect: Inspector) -> Verdict | None:
        if record.status in RETRY_STATUSES:
            return Verdict(f"HTTP {record.status}: {_excerpt(path)}", can_heal=True)
        if record.status >= 400:
            verdict = inspect(path, record.content_type)
            reason = verdict.reason if verdict and not looks_like_html(head_of(path)) else _excerpt(path)
            step = verdict.next_step if verdict else ""
            return Verdict(f"HTTP {record.status}: {reason}", can_heal=False, next_step=step or "check the request")
        if record.bytes == 0:
            return Verdict(f"HTTP {record.status} with an empty body", can_heal=True)
        if looks_like_html(head_of(path)):
            return Verdict(f"HTTP {record.status} with an HTML page instead of data: {_excerpt(path)}", can_heal=True)
        return inspect(path, record.content_type)

    def _record(
        self, url: str, purpose: str, response: requests.Response, sha256: str, size: int, attempt: int
    ) -> RequestRecord:
        return RequestRecord(
            request_id=_request_id(),
            dataset=self.dataset,
            purpose=purpose,
            url=response.headers.get("X-Recorded-Url", url),
            status=response.status_code,
            content_type=response.headers.get("Content-Type", ""),
            sha256=sha256,
            bytes=size,
            retrieved_at=response.headers.get("X-Recorded-At", _now()),
            transport=self.transport,
            attempt=attempt,
            outcome="ok",
        )

    def _keep(self, record: RequestRecord) -> None:
        self.raw.record(record)
        self.records.append(record)

    def _keep_failure(self, url: str, purpose: str, attempt: int, problem: str) -> None:
        self._keep(
            RequestRecord(
                request_id=_request_id(),
                dataset=self.dataset,
                purpose=purpose,
                url=url,
                status=0,
                content_type="",
                sha256="",
                bytes=0,
                retrieved_at=_now(),
                transport=self.transport,
                attempt=attempt,
                outcome=problem,
            )
        )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _request_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}"


def _excerpt(path: Path) -> str:
    return " ".join(head_of(path, 2048).decode("utf-8", errors="replace").split())[:300]


def _retry_after(response: requests.Response) -> float | None:
    """Seconds asked for by ``Retry-After``, which may be a number or an HTTP date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(moment.tzinfo)).total_seconds())
