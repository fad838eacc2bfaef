"""Bounded and polite HTTP to an office, with every reply kept.

Only retryable failures are retried (no connection, a truncated body, 429, 5xx, a maintenance page). Each attempt,
successful or not, ends as bytes in the raw store and as a request record. Requests slow down when an office reports
overload, and speed up again after each good reply.

Redirects and links must stay at the office's own hosts (`OfficeSession.lead`). Size limits are in `extract.limits`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from extract.bodies import read_body
from extract.errors import BadReplyError, NoWayThroughError, OfficeRefusedError, TransientOfficeError, writing
from extract.limits import MOST_REDIRECTS
from extract.network import PROXY_STEP, PROXY_WANTS_PASSWORD, host_and_port, way_out, way_through
from extract.politeness import RequestBudget
from extract.raw import RawStore, RequestRecord
from extract.replies import LOOK, UNREADABLE, UnreadableError, reading
from extract.retries import (
    OVERLOADED_STATUSES,
    RETRY_STATUSES,
    RetryableError,
    RetryPolicy,
    failed_attempt,
    retry_after_of,
)
from extract.transport import PatientAdapter
from extract.verdicts import Inspector, Reply, Verdict, head_of, looks_like_html

USER_AGENT = "metaalexport/0.1 (warehouse of export statistics; requests one extraction at a time)"
_NO_REPLY = "no complete reply"
# Longest pause between two requests to an overloaded office.
_SLOWEST_PACE_SECONDS = 60.0


class _Session(requests.Session):
    """Session without redirects: the library would read each redirect's body to its end and follow it to any host."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None; `OfficeSession._open` follows redirects."""


@dataclass
class OfficeSession:
    """One office's connection for one load: a requests session, a raw store, a retry policy and a budget.

    `hosts` are the office's base URLs; a reply may link to these and to the host that sent it.
    """

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
    hosts: Collection[str] = ()
    # Consecutive requests whose attempts all failed.
    failures: int = 0

    def __post_init__(self) -> None:
        self._session = _Session()
        self._session.headers["User-Agent"] = USER_AGENT
        # Only gzip is requested: `read_body` verifies that it is complete.
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
            Purpose of the reply (``observations``, ``properties``…); stored with the request.
        inspect : callable
            Validates the body; see `Inspector`.

        Returns
        -------
        Reply
            The stored body and its record.

        Raises
        ------
        TransientOfficeError
            If all attempts failed for retryable reasons.
        OfficeRefusedError
            On another 4xx, with the office's message; `NoWayThroughError` where a certificate or a proxy, not the
            office, is the cause.
        BadReplyError
            If the body is not the requested data and a retry cannot help, if it exceeds a size limit, or if the office
            redirects to a foreign host.
        StorageError
            If the reply cannot be stored.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(RetryableError),
            stop=stop_after_attempt(self.policy.attempts),
            wait=lambda state: self.policy.wait(state.attempt_number, failed_attempt(state).retry_after),
            before_sleep=self._say_wait,
            sleep=self.sleep,
            reraise=True,
        )
        try:
            for attempt in retrying:
                with attempt:
                    return self._attempt(url, purpose, attempt.retry_state.attempt_number, inspect)
        except RetryableError as error:
            problem = error.problem
        self.failures += 1
        raise TransientOfficeError(
            f"{self.policy.attempts} attempts failed, the last one with: {problem}",
            dataset=self.dataset,
            where=url,
            next_step=(way_out() if problem.startswith(_NO_REPLY) else "")
            + "try again later; what was published stays as it is",
        )

    def _say_wait(self, state: RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        self.progress(
            f"attempt {state.attempt_number} failed: {failed_attempt(state).problem}; next in {seconds:.0f} s"
        )

    def _attempt(self, url: str, purpose: str, attempt: int, inspect: Inspector) -> Reply:
        """Send one request and store the outcome; raise `RetryableError` if the next attempt may succeed."""
        if self._pace:
            self.sleep(self._pace)
        if self.budget is not None:
            self.budget.spend(dataset=self.dataset, where=url)
        try:
            record, retry_after = self._exchange(url, purpose, attempt)
            path = self.raw.path(record.sha256)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, ValueError):
                raise OfficeRefusedError(
                    f"invalid request URL ({type(error).__name__}: {error})",
                    dataset=self.dataset,
                    where=url,
                    next_step="check the office's base URL in the settings",
                ) from error
            problem = f"{_NO_REPLY} ({type(error).__name__}: {error})"
            self._keep_failure(url, purpose, attempt, problem)
            if next_step := way_through(error):
                raise NoWayThroughError(problem, dataset=self.dataset, where=url, next_step=next_step) from error
            raise RetryableError(problem) from error
        except (UnreadableError, BadReplyError) as error:
            self._keep_failure(url, purpose, attempt, error.problem)
            if isinstance(error, BadReplyError):
                raise
            raise BadReplyError(error.problem, dataset=self.dataset, where=url, next_step=LOOK) from error
        self._adapt_pace(record.status)
        try:
            verdict = self._judge(record, path, inspect)
        except UNREADABLE as error:
            verdict = Verdict.of(error)
        if verdict is None:
            self._keep(record)
            self.failures = 0
            return Reply(record, path)
        self._keep(replace(record, outcome=verdict.reason))
        if not verdict.retryable:
            kind = BadReplyError if record.status < 400 else OfficeRefusedError
            kind = NoWayThroughError if record.status == PROXY_WANTS_PASSWORD else kind
            step = verdict.next_step or LOOK
            raise kind(verdict.reason, dataset=self.dataset, where=url, next_step=step) from verdict.cause
        if retry_after is not None and retry_after > self.policy.max_retry_after:
            raise TransientOfficeError(
                f"the server's Retry-After ({retry_after:.0f} s) exceeds the {self.policy.max_retry_after:.0f} s"
                f" limit: {verdict.reason}",
                dataset=self.dataset,
                where=url,
                next_step=f"try again in {retry_after / 60:.0f} minutes; what was published stays as it is",
            )
        raise RetryableError(verdict.reason, retry_after)

    def reading(self) -> AbstractContextManager[None]:
        """Return a context for reading replies of this session; see `extract.replies.reading`."""
        return reading(self.dataset, lambda: [(record.url, record.sha256) for record in self.records])

    def lead(self, source: str, target: str) -> str:
        """Resolve a link in a reply, such as the next page, and check its host.

        Parameters
        ----------
        source : str
            The requested URL.
        target : str
            The link in the reply. Old links of both offices are plain HTTP; they get the scheme of `source`.

        Raises
        ------
        BadReplyError
            If it is not at one of the office's hosts.
        """
        if (
            source.startswith("https:")
            and target.startswith("http:")
            and host_and_port(source) == host_and_port(target)
        ):
            target = f"https{target.removeprefix('http')}"
        return self._stay(source, target)

    def _stay(self, source: str, target: str) -> str:
        try:
            target = urljoin(source, target)
        except ValueError:
            # Not a valid URL.
            place = None
        else:
            place = host_and_port(target)
        is_plain = source.startswith("https:") and not target.startswith("https:")
        if is_plain or place is None or place not in {host_and_port(url) for url in (source, *self.hosts)}:
            why = "is not encrypted" if is_plain and place == host_and_port(source) else "is not at the office"
            raise BadReplyError(
                f"{urlsplit(source).netloc} leads to {target[:200]}, which {why}",
                dataset=self.dataset,
                where=source,
                next_step="if the office moved there, set METAALEXPORT_CBS_URL or METAALEXPORT_EUROSTAT_URL",
            )
        return target

    def _open(self, url: str) -> requests.Response:
        """Send the request and follow redirects within the office; their bodies, possibly endless, are not read."""
        timeout = (self.policy.connect_seconds, self.policy.read_seconds)
        for _ in range(1 + MOST_REDIRECTS):
            response = self._session.get(url, timeout=timeout, stream=True)
            if not response.is_redirect:
                return response
            response.close()
            # Headers have no declared encoding; a non-ASCII URL in one is UTF-8.
            url = self._stay(url, response.headers["Location"].encode("latin-1", "replace").decode("utf-8", "replace"))
        raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects, the last one to {url}")

    def _exchange(self, url: str, purpose: str, attempt: int) -> tuple[RequestRecord, float | None]:
        """Send one request and store the body; also return the server's Retry-After in seconds."""
        limit = self.policy.deadline_seconds
        is_bounded = isinstance(self._adapter, PatientAdapter)
        bound = self._adapter.deadline(limit) if is_bounded else nullcontext()  # type: ignore[attr-defined]
        with bound as is_over, self._open(url) as response:
            with writing(self.dataset, self.raw.root):
                sha256, size = self.raw.put(read_body(response))
            if is_over is not None and is_over.is_set():
                raise requests.Timeout(f"the reply was not complete after {limit:.0f} s")
            self._refuse_simulated(url, response)
            return self._record(url, purpose, response, sha256, size, attempt), retry_after_of(response)

    def _adapt_pace(self, status: int) -> None:
        """Slow down for an overloaded office, and speed up again once it recovers."""
        if status in OVERLOADED_STATUSES:
            self._pace = min(max(self.policy.base_seconds / 2, 2 * self._pace), _SLOWEST_PACE_SECONDS)
        else:
            self._pace = self._pace / 2 if self._pace > self.policy.base_seconds / 8 else 0.0

    def _refuse_simulated(self, url: str, response: requests.Response) -> None:
        """Reject a simulator's reply where a real office is expected, however the URL came to point there."""
        if self.transport != "simulator" and "X-Simulated" in response.headers:
            raise BadReplyError(
                f"a simulator answered where transport {self.transport!r} expects a real office",
                dataset=self.dataset,
                where=url,
                next_step="check METAALEXPORT_CBS_URL and METAALEXPORT_EUROSTAT_URL, or use SOURCE=simulator",
            )

    def _judge(self, record: RequestRecord, path: Path, inspect: Inspector) -> Verdict | None:
        if record.status in RETRY_STATUSES:
            return Verdict(f"HTTP {record.status}: {_excerpt(path)}", retryable=True)
        if record.status == PROXY_WANTS_PASSWORD:
            return Verdict(f"HTTP {record.status}: {_excerpt(path)}", retryable=False, next_step=PROXY_STEP)
        if record.status >= 400:
            verdict = inspect(path, record.content_type)
            reason = verdict.reason if verdict and not looks_like_html(head_of(path)) else _excerpt(path)
            step = verdict.next_step if verdict else ""
            return Verdict(f"HTTP {record.status}: {reason}", retryable=False, next_step=step or "check the request")
        if record.bytes == 0:
            return Verdict(f"HTTP {record.status} with an empty body", retryable=True)
        if looks_like_html(head_of(path)):
            return Verdict(f"HTTP {record.status} with an HTML page instead of data: {_excerpt(path)}", retryable=True)
        return inspect(path, record.content_type)

    def _record(
        self, url: str, purpose: str, response: requests.Response, sha256: str, size: int, attempt: int
    ) -> RequestRecord:
        # Only a replay may set the recorded URL and time; a header of an office cannot.
        is_replay = self.transport == "replay"
        return RequestRecord(
            request_id=_request_id(),
            dataset=self.dataset,
            purpose=purpose,
            url=response.headers.get("X-Recorded-Url", url) if is_replay else url,
            status=response.status_code,
            content_type=response.headers.get("Content-Type", ""),
            sha256=sha256,
            bytes=size,
            retrieved_at=response.headers.get("X-Recorded-At", _now()) if is_replay else _now(),
            transport=self.transport,
            attempt=attempt,
            outcome="ok",
            run_id=self.run_id,
        )

    def keep_derived(self, record: RequestRecord) -> RequestRecord:
        """Record bytes extracted from another reply, such as an archive member."""
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


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _request_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}"


def _excerpt(path: Path) -> str:
    return " ".join(head_of(path, 2048).decode("utf-8", errors="replace").split())[:300]
