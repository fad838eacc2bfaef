"""Requests to an office: retries, waits, and the record of every attempt.

The replies are made up; the adapter replaces the network.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from pytest_socket import SocketBlockedError
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from extract.errors import BadReplyError, NoWayThroughError, OfficeRefusedError, StorageError, TransientOfficeError
from extract.http import OfficeSession
from extract.offices.cbs.replies import inspect_json
from extract.politeness import BudgetSpentError, RequestBudget
from extract.raw import RawStore, RequestRecord
from extract.retries import RetryPolicy
from extract.verdicts import Reply, head_of, is_gzip, is_whole_gzip, looks_like_html

URL = "https://office.example/Observations"
GOOD = b'{"value": []}'
HTML = b"<!DOCTYPE html><html><body>Onderhoud</body></html>"


@dataclass(frozen=True)
class Answer:
    """One made-up reply; `cut` announces more bytes than it sends."""

    body: bytes = GOOD
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


class FakeAdapter(BaseAdapter):
    """Adapter that returns replies or raises exceptions in order, and records the requests."""

    def __init__(self, *answers: Answer | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.urls: list[str] = []
        self.timeouts: list[Any] = []
        self.user_agents: list[str] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.urls.append(str(request.url))
        self.timeouts.append(options.get("timeout"))
        self.user_agents.append(request.headers["User-Agent"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        length = len(answer.body) + (1000 if answer.cut else 0)
        response = requests.Response()
        response.request, response.url, response.status_code = request, str(request.url), answer.status
        response.headers.update(answer.headers)
        response.raw = HTTPResponse(
            body=io.BytesIO(answer.body),
            headers={"Content-Length": str(length)},
            status=answer.status,
            preload_content=False,
        )
        return response

    def close(self) -> None:
        """Do nothing: no connection is open."""


@dataclass
class Office:
    """A session with its waits, messages and stored replies."""

    adapter: FakeAdapter
    raw: RawStore
    waits: list[float]
    messages: list[str]
    session: OfficeSession

    def get(self) -> Reply:
        return self.session.get(URL, purpose="observations", inspect=inspect_json)

    def outcomes(self) -> list[tuple[int, int, str]]:
        return [(record.attempt, record.status, record.outcome) for record in self.session.records]

    def stored(self) -> dict[str, bytes]:
        return {name: self.raw.path(name).read_bytes() for name in self.raw.hashes()}


MakeOffice = Callable[..., Office]


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.retries.random.random", lambda: 1.0)


@pytest.fixture
def make_office(tmp_path: Path) -> MakeOffice:
    def make(*answers: Answer | Exception, **options: Any) -> Office:
        adapter, raw = FakeAdapter(*answers), RawStore(tmp_path / "raw")
        waits: list[float] = []
        messages: list[str] = []
        session = OfficeSession(
            "cbs_85429ned", raw, "live", adapter, sleep=waits.append, progress=messages.append, **options
        )
        return Office(adapter, raw, waits, messages, session)

    return make


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_get_good_reply_is_stored_and_recorded_once(make_office: MakeOffice) -> None:
    office = make_office(Answer(headers={"Content-Type": "application/json"}))
    reply = office.get()
    assert reply.path.read_bytes() == GOOD
    assert office.waits == []
    record = reply.record
    assert (record.url, record.status, record.content_type) == (URL, 200, "application/json")
    assert (record.sha256, record.bytes, record.attempt, record.outcome) == (sha(GOOD), len(GOOD), 1, "ok")
    assert (record.dataset, record.purpose, record.transport) == ("cbs_85429ned", "observations", "live")
    assert list(office.raw.records()) == [record] == office.session.records


def test_get_request_ids_sort_by_time(make_office: MakeOffice) -> None:
    office = make_office(Answer(), Answer())
    ids = [office.get().record.request_id, office.get().record.request_id]
    assert ids == sorted(set(ids))
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (
            requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            "REQUESTS_CA_BUNDLE",
        ),
        (requests.exceptions.ProxyError("OSError('Tunnel connection failed: 407 …')"), "HTTPS_PROXY"),
        (requests.exceptions.ProxyError("OSError('Tunnel connection failed: 403 …')"), "HTTPS_PROXY"),
    ],
)
def test_get_permanent_network_error_is_not_retried(make_office: MakeOffice, error: Exception, step: str) -> None:
    office = make_office(error, Answer())
    with pytest.raises(NoWayThroughError, match=step):
        office.get()
    assert office.waits == []
    assert [record.status for record in office.raw.records()] == [0]


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.SSLError("SSLEOFError(8, '[SSL: UNEXPECTED_EOF_WHILE_READING] …')"),
        requests.exceptions.ProxyError("OSError('Tunnel connection failed: 503 …')"),
        requests.exceptions.ProxyError("ConnectionRefusedError(111, 'Connection refused')"),
    ],
)
def test_get_dropped_connection_is_retried(make_office: MakeOffice, error: Exception) -> None:
    office = make_office(error, Answer())
    assert office.get().record.attempt == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_get_transient_status_then_success_waits_once(make_office: MakeOffice, status: int) -> None:
    office = make_office(Answer(b"busy", status), Answer())
    assert office.get().record.attempt == 2
    # Requests to an overloaded office also slow down: half the first wait before the next request.
    assert office.waits == ([2.0, 1.0] if status in (429, 503) else [2.0])
    assert office.outcomes() == [(1, status, f"HTTP {status}: busy"), (2, 200, "ok")]


def test_get_stops_after_four_attempts_with_doubling_waits(make_office: MakeOffice) -> None:
    office = make_office(*[Answer(b"broken", 500)] * 4)
    with pytest.raises(TransientOfficeError) as caught:
        office.get()
    assert office.adapter.urls == [URL] * 4
    assert office.waits == [2.0, 4.0, 8.0]
    assert [attempt for attempt, _, _ in office.outcomes()] == [1, 2, 3, 4]
    for part in ("cbs_85429ned", "4 attempts", "HTTP 500: broken", URL, "try again later"):
        assert part in str(caught.value)


def test_get_minimum_jitter_halves_the_waits(make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.retries.random.random", lambda: 0.0)
    office = make_office(Answer(b"x", 500), Answer(b"x", 500), Answer())
    office.get()
    assert office.waits == [1.0, 2.0]


def test_get_429_with_seconds_waits_that_long(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"slow", 429, {"Retry-After": "37"}), Answer())
    office.get()
    assert office.waits == [37.0, 1.0]


def test_get_429_with_date_waits_until_then(make_office: MakeOffice) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=90)
    office = make_office(Answer(b"slow", 429, {"Retry-After": format_datetime(moment, usegmt=True)}), Answer())
    office.get()
    assert office.waits == [pytest.approx(90, abs=5), 1.0]


def test_get_429_with_past_date_waits_zero_seconds(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"slow", 429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), Answer())
    office.get()
    assert office.waits == [0.0, 1.0]


def test_get_429_with_unreadable_retry_after_uses_the_default_wait(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"slow", 429, {"Retry-After": "soon"}), Answer())
    office.get()
    assert office.waits == [2.0, 1.0]


def test_get_retry_after_above_the_limit_fails_at_once(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"slow", 429, {"Retry-After": "3600"}), Answer())
    with pytest.raises(
        TransientOfficeError, match=r"Retry-After \(3600 s\) exceeds the 600 s limit: HTTP 429: slow"
    ) as caught:
        office.get()
    assert office.waits == []
    assert len(office.adapter.urls) == 1
    assert "60 minutes" in caught.value.next_step


def test_get_retry_after_at_the_limit_is_honoured(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"slow", 429, {"Retry-After": "600"}), Answer())
    office.get()
    assert office.waits[0] == 600.0


def test_get_retry_after_of_the_last_attempt_is_reported(make_office: MakeOffice) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    office = make_office(Answer(b"busy", 503), Answer(b"busy", 503, {"Retry-After": moment}))
    with pytest.raises(TransientOfficeError, match=r"Retry-After \(7[12]"):
        office.get()


def test_get_retry_after_of_one_attempt_does_not_affect_the_next(make_office: MakeOffice) -> None:
    office = make_office(
        Answer(b"slow", 500, {"Retry-After": "60"}), requests.ConnectionError("no route"), Answer(b"x", 500), Answer()
    )
    office.get()
    assert office.waits == [60.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("no route"), requests.ReadTimeout("silence"), requests.ConnectTimeout("late")]
)
def test_get_failed_connection_is_recorded_without_bytes(make_office: MakeOffice, error: Exception) -> None:
    office = make_office(error, Answer())
    office.get()
    failed = office.session.records[0]
    assert (failed.status, failed.sha256, failed.bytes) == (0, "", 0)
    assert type(error).__name__ in failed.outcome
    assert str(error) in failed.outcome
    assert office.waits == [2.0]


def test_get_truncated_body_is_retried_and_leaves_no_partial_file(make_office: MakeOffice) -> None:
    office = make_office(Answer(GOOD, cut=True), Answer())
    office.get()
    assert "IncompleteRead" in office.session.records[0].outcome
    assert office.waits == [2.0]
    assert office.stored() == {sha(GOOD): GOOD}
    assert list((office.raw.root / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "problem"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the state folder cannot be written")]
)
def test_get_unwritable_disk_is_reported_and_not_retried(
    make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch, number: int, problem: str
) -> None:
    office = make_office(Answer(), Answer())

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=problem) as caught:
        office.get()
    assert caught.value.next_step
    assert str(office.session.raw.root) in caught.value.where
    assert len(office.adapter.urls) == 1
    assert list(office.session.raw.hashes()) == []


def test_get_html_with_200_is_retried_and_kept(make_office: MakeOffice) -> None:
    office = make_office(Answer(HTML, 200, {"Content-Type": "application/json"}), Answer())
    assert office.get().path.read_bytes() == GOOD
    assert office.waits == [2.0]
    assert "HTML page instead of data" in office.session.records[0].outcome
    assert "Onderhoud" in office.session.records[0].outcome
    assert office.stored() == {sha(HTML): HTML, sha(GOOD): GOOD}


def test_get_empty_200_is_retried(make_office: MakeOffice) -> None:
    office = make_office(Answer(b""), Answer())
    office.get()
    assert office.waits == [2.0]
    assert office.outcomes() == [(1, 200, "HTTP 200 with an empty body"), (2, 200, "ok")]


def test_get_404_fails_at_once_with_the_office_message(make_office: MakeOffice) -> None:
    body = b'{"error": {"message": "Table 85429ned does not exist"}}'
    office = make_office(Answer(body, 404))
    with pytest.raises(OfficeRefusedError, match="Table 85429ned does not exist") as caught:
        office.get()
    assert caught.value.where == URL
    assert caught.value.next_step != ""
    assert office.waits == []
    assert office.adapter.urls == [URL]
    assert office.stored() == {sha(body): body}


def test_get_403_that_looks_like_data_is_refused(make_office: MakeOffice) -> None:
    office = make_office(Answer(GOOD, 403))
    with pytest.raises(OfficeRefusedError, match="HTTP 403"):
        office.get()
    assert office.waits == []


@pytest.mark.parametrize("body", [b"<html>404 - File or directory not found.</html>", b""])
def test_get_404_without_the_office_format_fails_at_once(make_office: MakeOffice, body: bytes) -> None:
    office = make_office(*[Answer(body, 404)] * 4)
    with pytest.raises(OfficeRefusedError):
        office.get()


def test_get_invalid_url_is_not_retried(make_office: MakeOffice) -> None:
    office = make_office()
    with pytest.raises(OfficeRefusedError, match="invalid request URL"):
        office.session.get("office.example/without-scheme", purpose="observations", inspect=inspect_json)
    assert office.waits == []


def test_get_wrong_format_with_200_is_a_bad_reply_and_not_retried(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"Measure;Value\n"))
    with pytest.raises(BadReplyError, match="not JSON"):
        office.get()
    assert office.waits == []


def test_get_retryable_verdict_is_retried(make_office: MakeOffice) -> None:
    office = make_office(Answer(b'{"value": [{"Id"'), Answer())
    office.get()
    (_, _, first), last = office.outcomes()
    assert first.startswith("the JSON is cut off")
    assert last == (2, 200, "ok")


def test_get_stores_record_and_bytes_of_every_attempt(make_office: MakeOffice) -> None:
    bodies = [b"one", HTML, b"", b'{"cut']
    office = make_office(Answer(bodies[0], 503), Answer(bodies[1]), Answer(bodies[2]), Answer(bodies[3]))
    with pytest.raises(TransientOfficeError):
        office.get()
    folder = office.raw.root / "requests" / "cbs_85429ned"
    kept = [RequestRecord(**json.loads(path.read_text("utf-8"))) for path in sorted(folder.iterdir())]
    assert kept == office.session.records
    assert [record.sha256 for record in kept] == [sha(body) for body in bodies]
    assert [record.bytes for record in kept] == [len(body) for body in bodies]
    assert office.stored() == {sha(body): body for body in bodies}
    assert "ok" not in {record.outcome for record in kept}


def test_get_timeouts_and_user_agent_reach_requests(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"x", 503), Answer(), policy=RetryPolicy(connect_seconds=3.0, read_seconds=7.0))
    office.get()
    assert office.adapter.timeouts == [(3.0, 7.0)] * 2
    assert all("metaalexport/" in agent for agent in office.adapter.user_agents)


def test_get_failed_attempts_are_reported_to_the_user(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"busy", 503), Answer())
    office.get()
    assert office.messages == ["attempt 1 failed: HTTP 503: busy; next in 2 s"]


def test_get_single_attempt_does_not_wait(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"busy", 503), policy=RetryPolicy(attempts=1))
    with pytest.raises(TransientOfficeError, match="1 attempts failed"):
        office.get()
    assert office.waits == []


def test_get_recorded_headers_of_a_replay_override_url_and_clock(make_office: MakeOffice) -> None:
    headers = {"X-Recorded-Url": "https://office.example/as recorded", "X-Recorded-At": "2026-07-17T16:27:09Z"}
    office = make_office(Answer(headers=headers), Answer(headers=headers))
    record = office.get().record
    # The headers of a live reply do not set the URL or the time of its record.
    assert record.url == URL
    assert record.retrieved_at != headers["X-Recorded-At"]
    office.session.transport = "replay"
    record = office.get().record
    assert (record.url, record.retrieved_at) == (headers["X-Recorded-Url"], headers["X-Recorded-At"])


def test_reply_text_with_byte_order_mark_drops_it(make_office: MakeOffice) -> None:
    assert make_office(Answer(b"\xef\xbb\xbf" + GOOD)).get().text() == GOOD.decode()


@pytest.mark.parametrize(("attempt", "expected"), [(1, 2.0), (2, 4.0), (3, 8.0), (6, 64.0), (7, 120.0), (40, 120.0)])
def test_wait_backoff_doubles_up_to_the_cap(attempt: int, expected: float) -> None:
    assert RetryPolicy().wait(attempt, None) == expected


@pytest.mark.parametrize("asked", [0.0, 5.0, 120.0, 599.0])
def test_wait_retry_after_is_honoured_exactly(asked: float) -> None:
    assert RetryPolicy().wait(1, asked) == asked


# --- pace ---------------------------------------------------------------------------------------------------------


def test_pace_grows_while_the_office_is_overloaded_and_shrinks_with_each_good_reply(make_office: MakeOffice) -> None:
    office = make_office(*[Answer(b"x", 503)] * 3, *[Answer()] * 5)
    for _ in range(5):
        office.get()
    # Retry wait, pace, wait, pace, … until the first good reply; then each request waits half as long as the last.
    assert office.waits == [2.0, 1.0, 4.0, 2.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25]


def test_pace_ends_after_enough_good_replies(make_office: MakeOffice) -> None:
    office = make_office(Answer(b"x", 429), *[Answer()] * 6)
    for _ in range(6):
        office.get()
    assert office.waits == [2.0, 1.0, 0.5, 0.25]


def test_pace_has_an_upper_bound(make_office: MakeOffice) -> None:
    office = make_office(*[Answer(b"x", 503)] * 12, policy=RetryPolicy(attempts=12))
    with pytest.raises(TransientOfficeError):
        office.get()
    assert max(office.waits[1::2]) == 60.0


@pytest.mark.parametrize("status", [500, 502, 504])
def test_pace_is_unchanged_by_errors_other_than_overload(make_office: MakeOffice, status: int) -> None:
    office = make_office(Answer(b"x", status), Answer(), Answer())
    office.get()
    office.get()
    assert office.waits == [2.0]


# --- content encoding ---------------------------------------------------------------------------------------------

GZIP = {"Content-Encoding": "gzip"}


def test_gzip_body_is_stored_decoded(make_office: MakeOffice) -> None:
    record = make_office(Answer(gzip.compress(GOOD), headers=GZIP)).get().record
    assert (record.sha256, record.bytes) == (sha(GOOD), len(GOOD))


def test_gzip_body_of_several_members_is_decoded_completely(make_office: MakeOffice) -> None:
    packed = gzip.compress(GOOD[:5]) + gzip.compress(GOOD[5:9]) + gzip.compress(GOOD[9:])
    assert make_office(Answer(packed, headers=GZIP)).get().path.read_bytes() == GOOD


@pytest.mark.parametrize("cut", [1, 9, 10, -9, -8, -1])
def test_gzip_truncated_body_is_retried_and_never_kept(make_office: MakeOffice, cut: int) -> None:
    office = make_office(Answer(gzip.compress(GOOD)[:cut], headers=GZIP), Answer())
    assert office.get().record.attempt == 2
    assert "ContentDecodingError" in office.session.records[0].outcome
    assert office.stored() == {sha(GOOD): GOOD}


def test_gzip_body_truncated_in_its_second_member_is_retried(make_office: MakeOffice) -> None:
    packed = gzip.compress(GOOD) + gzip.compress(GOOD)[:-4]
    office = make_office(Answer(packed, headers=GZIP), Answer())
    assert office.get().record.attempt == 2


def test_gzip_body_with_a_changed_byte_is_retried(make_office: MakeOffice) -> None:
    packed = bytearray(gzip.compress(GOOD))
    packed[-6] ^= 0xFF
    office = make_office(Answer(bytes(packed), headers=GZIP), Answer())
    office.get()
    assert "ContentDecodingError" in office.session.records[0].outcome


def test_gzip_announced_but_not_sent_is_retried(make_office: MakeOffice) -> None:
    office = make_office(Answer(GOOD, headers=GZIP), Answer())
    office.get()
    assert office.waits == [2.0]


def test_gzip_file_as_content_stays_compressed(make_office: MakeOffice, tmp_path: Path) -> None:
    packed = gzip.compress(b"DATAFLOW,LAST UPDATE\n")
    office = make_office(Answer(packed))
    reply = office.session.get(URL, purpose="observations", inspect=lambda path, kind: None)
    assert reply.path.read_bytes() == packed
    assert is_gzip(reply.path)
    assert is_whole_gzip(reply.path)
    assert head_of(reply.path) == b"DATAFLOW,LAST UPDATE\n"
    cut = tmp_path / "cut"
    cut.write_bytes(packed[:-3])
    assert not is_whole_gzip(cut)


# --- budget -------------------------------------------------------------------------------------------------------


def test_budget_counts_every_attempt_and_ends_the_run(make_office: MakeOffice, tmp_path: Path) -> None:
    budget = RequestBudget.of_run(tmp_path, "cbs", "run 1", 3)
    office = make_office(Answer(b"x", 500), Answer(), Answer(), budget=budget)
    office.get()
    office.get()
    assert budget.spent == 3
    with pytest.raises(BudgetSpentError, match="has made 3 requests") as caught:
        office.get()
    assert caught.value.where == URL
    assert "METAALEXPORT_REQUEST_BUDGET" in caught.value.next_step
    assert len(office.adapter.urls) == 3


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<!doctype html>", True),
        (b"\xef\xbb\xbf\r\n  <HTML lang=nl>", True),
        (b'<?xml version="1.0"?><html xmlns="x">', True),
        (b'<?xml version="1.0"?><m:Structure>', False),
        (b'{"Description": "a text"}', False),
        (b"", False),
    ],
)
def test_looks_like_html_checks_the_first_bytes(head: bytes, *, expected: bool) -> None:
    assert looks_like_html(head) is expected


def test_unit_tests_cannot_open_internet_sockets() -> None:
    with pytest.warns(UserWarning, match="tried to use socket"), pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET)


def test_get_simulator_answering_for_a_real_office_is_refused(make_office: MakeOffice) -> None:
    office = make_office(Answer(headers={"X-Simulated": "true"}))
    with pytest.raises(BadReplyError, match="a simulator answered"):
        office.get()
    assert office.waits == []
