"""Offices that answer slowly or never, over the loopback interface: every exchange ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from extract.errors import NoWayThroughError, TransientOfficeError
from extract.http import OfficeSession
from extract.raw import RawStore
from extract.retries import RetryPolicy
from metaalexport import simulation
from metaalexport.settings import Settings
from simulator.server import run_simulator

Talk = Callable[[socket.socket], None]
UNKNOWN_LENGTH = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """A server that handles each connection with the given function until closed."""

    def __init__(self, talk: Talk) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/x"
        self.connections = 0
        self._talk = talk
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            try:
                self._talk(connection)
            except OSError:
                # The client hung up, as expected.
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], Server]]:
    servers: list[Server] = []

    def start(talk: Talk) -> Server:
        servers.append(Server(talk))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def session(folder: Path, attempts: int = 1, **policy: float) -> OfficeSession:
    options = {"connect_seconds": 2.0, "read_seconds": 5.0, "deadline_seconds": 1.0, "base_seconds": 0.0, **policy}
    return OfficeSession("d", RawStore(folder), "live", policy=RetryPolicy(attempts=attempts, **options))


def drip(connection: socket.socket) -> None:
    connection.sendall(UNKNOWN_LENGTH)
    for _ in range(300):
        connection.sendall(b"1,2\n")
        time.sleep(0.05)


def drip_chunks(connection: socket.socket) -> None:
    connection.sendall(CHUNKED)
    for _ in range(300):
        connection.sendall(b"4\r\n1,2\n\r\n")
        time.sleep(0.05)


def say_nothing(connection: socket.socket) -> None:
    time.sleep(15)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(90):
        connection.sendall(f"X-{number}: y\r\n".encode())
        time.sleep(0.1)


TALKS = [drip, drip_chunks, say_nothing, drip_headers]


def ask_until_the_deadline(folder: Path, url: str) -> None:
    office = session(folder)
    start = time.monotonic()
    with pytest.raises(TransientOfficeError, match="no complete reply"):
        office.get(url, purpose="observations", inspect=lambda path, kind: None)
    assert time.monotonic() - start < 4
    assert [record.status for record in office.records] == [0]


@pytest.mark.parametrize("talk", TALKS)
def test_exchange_ends_at_its_deadline_and_leaves_no_bytes(
    tmp_path: Path, serve: Callable[[Talk], Server], talk: Talk
) -> None:
    ask_until_the_deadline(tmp_path, serve(talk).url)


# For an https address, the proxy drips its answer to CONNECT, or stays silent.
@pytest.mark.parametrize(
    ("scheme", "talk"), [*(("http", talk) for talk in TALKS), ("https", say_nothing), ("https", drip_headers)]
)
def test_exchange_through_a_proxy_ends_at_its_deadline(
    tmp_path: Path, serve: Callable[[Talk], Server], monkeypatch: pytest.MonkeyPatch, scheme: str, talk: Talk
) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", serve(talk).url)
    ask_until_the_deadline(tmp_path, f"{scheme}://office.example/x")


def say(status: str) -> Talk:
    text = f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno".encode()
    return lambda connection: connection.sendall(text)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_authentication_error_is_not_retried(
    tmp_path: Path, serve: Callable[[Talk], Server], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    proxy = serve(say("407 Proxy Authentication Required"))
    monkeypatch.setenv(f"{scheme}_proxy", proxy.url)
    office = session(tmp_path, attempts=8)
    with pytest.raises(NoWayThroughError, match="in HTTPS_PROXY"):
        office.get(f"{scheme}://office.example/x", purpose="observations", inspect=lambda path, kind: None)
    assert proxy.connections == 1


def test_unavailable_proxy_is_retried(
    tmp_path: Path, serve: Callable[[Talk], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(say("503 Service Unavailable"))
    monkeypatch.setenv("https_proxy", proxy.url)
    office = session(tmp_path, attempts=3, deadline_seconds=20.0)
    with pytest.raises(TransientOfficeError, match="3 attempts failed"):
        office.get("https://office.example/x", purpose="observations", inspect=lambda path, kind: None)
    assert proxy.connections == 3


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_loopback_requests_bypass_the_proxy(
    tmp_path: Path, serve: Callable[[Talk], Server], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    proxy, server = serve(say("502 Bad Gateway")), serve(say("200 OK"))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    url = server.url.replace("127.0.0.1", name)
    reply = session(tmp_path).get(url, purpose="observations", inspect=lambda path, kind: None)
    assert reply.path.read_bytes() == b"no"
    assert proxy.connections == 0


def test_simulator_requests_bypass_the_proxy(
    tmp_path: Path, serve: Callable[[Talk], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(say("502 Bad Gateway"))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with run_simulator(release=3) as url:
        settings = Settings("simulator", tmp_path, simulator_url=url)
        with simulation.ensure_simulator(settings) as found:
            assert found is settings
        with simulation.release_before(settings), requests.Session() as session_of_ours:
            session_of_ours.trust_env = False
            assert session_of_ours.get(f"{url}/_simulator/health", timeout=5).json()["release"] == 2
    assert proxy.connections == 0


def test_body_of_unknown_length_cut_at_the_deadline_is_incomplete(
    tmp_path: Path, serve: Callable[[Talk], Server]
) -> None:
    office = session(tmp_path)
    with pytest.raises(TransientOfficeError, match="was not complete after 1 s"):
        office.get(serve(drip).url, purpose="observations", inspect=lambda path, kind: None)
    assert {record.outcome[:17] for record in office.records} == {"no complete reply"}


def test_slow_reply_within_its_deadline_is_complete(tmp_path: Path, serve: Callable[[Talk], Server]) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(UNKNOWN_LENGTH)
        for _ in range(5):
            connection.sendall(b"1,2\n")
            time.sleep(0.05)

    reply = session(tmp_path, deadline_seconds=20.0).get(
        serve(talk).url, purpose="observations", inspect=lambda path, kind: None
    )
    assert reply.path.read_bytes() == b"1,2\n" * 5


def test_silence_ends_at_the_read_timeout(tmp_path: Path, serve: Callable[[Talk], Server]) -> None:
    office = session(tmp_path, read_seconds=0.3, deadline_seconds=60.0)
    start = time.monotonic()
    with pytest.raises(TransientOfficeError, match="ReadTimeout"):
        office.get(serve(say_nothing).url, purpose="observations", inspect=lambda path, kind: None)
    assert time.monotonic() - start < 4


def test_attempt_after_a_deadline_opens_a_new_connection(tmp_path: Path, serve: Callable[[Talk], Server]) -> None:
    asked: list[int] = []

    def talk(connection: socket.socket) -> None:
        asked.append(1)
        if len(asked) == 1:
            drip(connection)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    server = serve(talk)
    office = session(tmp_path, attempts=2)
    reply = office.get(server.url, purpose="observations", inspect=lambda path, kind: None)
    assert reply.path.read_bytes() == b"ok"
    assert server.connections == 2


def test_body_shorter_than_announced_is_retried(tmp_path: Path, serve: Callable[[Talk], Server]) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\nshort")

    server = serve(talk)
    with pytest.raises(TransientOfficeError, match="IncompleteRead"):
        session(tmp_path, attempts=3, deadline_seconds=20.0).get(
            server.url, purpose="observations", inspect=lambda path, kind: None
        )
    assert server.connections == 3
