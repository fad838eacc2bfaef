"""HTTP to an office: bounded, polite, and every reply kept.

A request is tried again only for what time can heal (no connection, a cut body, 429, 5xx, a maintenance
page). Each attempt, good or bad, ends as bytes in the raw store and as a request record. An office that says it is
overloaded is asked more slowly from then on, and faster again after each good reply.
"""

from __future__ import annotations

import gzip
import random
import time
import urllib.request
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
import urllib3
from requests.adapters import BaseAdapter

from extract.errors import BadReplyError, OfficeRefusedError, TransientOfficeError, writing
from extract.politeness import RequestBudget
from extract.raw import RawStore, RequestRecord
from extract.transport import PatientAdapter

USER_AGENT = "metaalexport/0.1 (warehouse of export statistics; requests one extraction at a time)"
RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})
OVERLOADED_STATUSES = frozenset({429, 503})
_BLOCK = 1 << 18
_NO_REPLY = "no complete reply"
# Longest pause between two requests to an office that said it is overloaded.
_SLOWEST_PACE_SECONDS = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a request is repeated.

    Attributes
    ----------
    attempts : int
        Tries in all.
    base_seconds, max_seconds : float
        First wait and longest wait; each wait doubles and is jittered by half.
    max_retry_after : float
        Longest ``Retry-After`` that is waited for, seconds; an office that asks for more is left alone.
    connect_seconds, read_seconds : float
        Bounds of one connection and of the wait for the next bytes.
    deadline_seconds : float
        Bound of one whole exchange, however slowly its bytes come.
    """

    attempts: int = 4
    base_seconds: float = 2.0
    max_seconds: float = 120.0
    max_retry_after: float = 600.0
    connect_seconds: float = 15.0
    read_seconds: float = 240.0
    deadline_seconds: float = 3600.0

    def wait(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after this attempt (1-based); an office's ``Retry-After`` is honoured."""
        if retry_after is not None:
            return retry_after
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


def is_gzip(path: Path) -> bool:
    """Tell a gzip file, which Eurostat sends on request whatever the content type says."""
    with path.open("rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def is_whole_gzip(path: Path) -> bool:
    """Read a gzip file to its end, where its length and checksum stand."""
    try:
        with gzip.open(path) as handle:
            while handle.read(_BLOCK):
                continue
    except (EOFError, OSError, zlib.error):
        return False
    return True


def head_of(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a body, of a gzip file those of its content."""
    if not is_gzip(path):
        with path.open("rb") as handle:
            return handle.read(size)
    with path.open("rb") as handle:
        try:
            return zlib.decompressobj(wbits=31).decompress(handle.read(size), size)
        except zlib.error:
            return b""


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
    """One office's connection for one load: a requests session, a raw store, a retry policy and a budget."""

    dataset: str
    raw: RawStore
    transport: str
    adapter: BaseAdapter | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    budget: RequestBudget | None = None
    run_id: str = ""
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[str], None] = lambda message: None
    records: list[RequestRecord] = field(default_factory=list)
    # Requests in a row of which all attempts failed.
    failures: int = 0

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        # What is decoded here is known to be whole; other encodings are not asked for.
        self._session.headers["Accept-Encoding"] = "gzip"
        self._pace = 0.0
        self._adapter = self.adapter or PatientAdapter()
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)

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
        StorageError
            If the reply cannot be kept.
        """
        problem = ""
        for attempt in range(1, self.policy.attempts + 1):
            retry_after: float | None = None
            if self._pace:
                self.sleep(self._pace)
            if self.budget is not None:
                self.budget.spend(dataset=self.dataset, where=url)
            try:
                record, retry_after = self._exchange(url, purpose, attempt)
                path = self.raw.path(record.sha256)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if isinstance(error, ValueError):
                    # An impossible URL or header: no time heals it.
                    raise OfficeRefusedError(
                        f"this cannot be asked of any office ({type(error).__name__}: {error})",
                        dataset=self.dataset,
                        where=url,
                        next_step="check the office's base URL in the settings",
                    ) from error
                problem = f"{_NO_REPLY} ({type(error).__name__}: {error})"
                self._keep_failure(url, purpose, attempt, problem)
            else:
                self._adapt_pace(record.status)
                verdict = self._judge(record, path, inspect)
                if verdict is None:
                    self._keep(record)
                    self.failures = 0
                    return Reply(record, path)
                self._keep(replace(record, outcome=verdict.reason))
                if not verdict.can_heal:
                    kind = BadReplyError if record.status < 400 else OfficeRefusedError
                    raise kind(verdict.reason, dataset=self.dataset, where=url, next_step=verdict.next_step)
                problem = verdict.reason
            if retry_after is not None and retry_after > self.policy.max_retry_after:
                raise TransientOfficeError(
                    f"the office asks to be left alone for {retry_after:.0f} s: {problem}",
                    dataset=self.dataset,
                    where=url,
                    next_step=f"try again in {retry_after / 60:.0f} minutes; what was published stays as it is",
                )
            if attempt < self.policy.attempts:
                seconds = self.policy.wait(attempt, retry_after)
                self.progress(f"attempt {attempt} failed: {problem}; next in {seconds:.0f} s")
                self.sleep(seconds)
        self.failures += 1
        raise TransientOfficeError(
            f"{self.policy.attempts} attempts failed, the last one with: {problem}",
            dataset=self.dataset,
            where=url,
            next_step=(_way_out() if problem.startswith(_NO_REPLY) else "")
            + "try again later; what was published stays as it is",
        )

    def _exchange(self, url: str, purpose: str, attempt: int) -> tuple[RequestRecord, float | None]:
        """Ask once and store the body; also what the office says of when to ask again."""
        limit = self.policy.deadline_seconds
        is_bounded = isinstance(self._adapter, PatientAdapter)
        with self._adapter.deadline(limit) if is_bounded else nullcontext() as is_over:  # type: ignore[attr-defined]
            timeout = (self.policy.connect_seconds, self.policy.read_seconds)
            with self._session.get(url, timeout=timeout, stream=True) as response:
                with writing(self.dataset, self.raw.root):
                    sha256, size = self.raw.put(_body(response))
                if is_over is not None and is_over.is_set():
                    raise requests.Timeout(f"the reply was not complete after {limit:.0f} s")
                self._refuse_simulated(url, response)
                return self._record(url, purpose, response, sha256, size, attempt), _retry_after(response)

    def _adapt_pace(self, status: int) -> None:
        """Ask an overloaded office more slowly, and a well one faster again."""
        if status in OVERLOADED_STATUSES:
            self._pace = min(max(self.policy.base_seconds / 2, 2 * self._pace), _SLOWEST_PACE_SECONDS)
        else:
            self._pace = self._pace / 2 if self._pace > self.policy.base_seconds / 8 else 0.0

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
            run_id=self.run_id,
        )

    def keep_derived(self, record: RequestRecord) -> RequestRecord:
        """Record bytes that were taken out of another reply, such as the member of an archive."""
        derived = replace(record, request_id=_request_id(), outcome="ok")
        self._keep(derived)
        return derived

    def _keep(self, record: RequestRecord) -> None:
        with writing(self.dataset, self.raw.root):
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
                run_id=self.run_id,
            )
        )


def _body(response: requests.Response) -> Iterator[bytes]:
    """Yield the body with its transfer encoding undone.

    Raises
    ------
    requests.exceptions.ContentDecodingError
        If the gzip stream is broken or ends too early; the libraries below give a short body without a word.
    """
    blocks = response.raw.stream(_BLOCK, decode_content=False)
    if "gzip" not in response.headers.get("Content-Encoding", "").lower():
        yield from blocks
        return
    decoder = zlib.decompressobj(wbits=31)
    try:
        for block in blocks:
            while block:
                yield decoder.decompress(block)
                # A stream may have several members, one behind the other.
                block = decoder.unused_data
                if decoder.eof and block:
                    decoder = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError(f"the gzip stream is broken: {error}") from error
    if not decoder.eof:
        raise requests.exceptions.ContentDecodingError("the gzip stream is cut off")


def _way_out() -> str:
    """Say through which proxies was asked, which is what fails on most closed networks."""
    if proxies := urllib.request.getproxies():
        # Their addresses may hold a password.
        return f"see whether the proxy of this machine ({', '.join(sorted(proxies))}) lets it through; "
    return "see whether this machine reaches the office (behind a proxy, set HTTPS_PROXY); "


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
