"""Connections without a network: the addresses tried, and their order."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from urllib3.util import connection as urllib3_connection

from extract import transport
from extract.transport import PatientAdapter

V4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))
OTHER_V4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.2", 80))
V6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0))


def resolve_with(monkeypatch: pytest.MonkeyPatch, resolve: Callable[..., Any]) -> None:
    """Give only the transport a resolver; the blocked one of the whole process must stay in place."""
    ours = SimpleNamespace(
        **{name: getattr(socket, name) for name in ("SOCK_STREAM", "AF_INET", "SHUT_RDWR", "gaierror")},
        getaddrinfo=resolve,
    )
    monkeypatch.setattr(transport, "socket", ours)


class Network:
    """Network with the addresses of a host and their failures; records the attempts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: list[Any], **problems: OSError) -> None:
        self.tried: list[tuple[str, Any]] = []
        self.problems = problems
        resolve_with(monkeypatch, lambda *arguments, **options: found)
        monkeypatch.setattr(urllib3_connection, "create_connection", self.connect)

    def connect(self, address: tuple[str, int], timeout: Any, **_: Any) -> socket.socket:
        host = address[0]
        self.tried.append((host, timeout.connect_timeout if hasattr(timeout, "connect_timeout") else timeout))
        kind = "v6" if ":" in host else "v4"
        if problem := self.problems.get(kind):
            raise problem
        ours, theirs = socket.socketpair()
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        theirs.sendall(reply)
        theirs.shutdown(socket.SHUT_WR)
        self.theirs = theirs
        return ours


def get(timeout: float = 3.0) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", PatientAdapter())
        return session.get("http://office.example/x", timeout=(timeout, 5.0))


def test_ipv4_is_tried_first_whatever_the_resolver_order(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [V6, V4])
    assert get().text == "ok"
    assert [host for host, _ in network.tried] == ["192.0.2.1"]


def test_ipv6_that_drops_packets_is_never_tried_if_ipv4_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [V6, V6, V4], v6=TimeoutError("swallowed"))
    assert get().status_code == 200
    assert len(network.tried) == 1


def test_ipv6_is_tried_if_ipv4_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [V6, V4, OTHER_V4], v4=OSError("no route"))
    assert get().text == "ok"
    assert [host for host, _ in network.tried] == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


def test_hanging_address_costs_only_its_own_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [V4, V4, V6], v4=TimeoutError("late"), v6=TimeoutError("late"))
    with pytest.raises(requests.ConnectTimeout, match=r"no connection to office\.example"):
        get(timeout=3.0)
    # Each address is tried once, with the full connect timeout.
    assert network.tried == [("192.0.2.1", 3.0), ("2001:db8::1", 3.0)]


def test_refused_connection_error_names_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch, [V4], v4=ConnectionRefusedError("refused"))
    with pytest.raises(requests.ConnectionError, match=r"no connection to office\.example: refused"):
        get()


def test_host_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch, [])
    with pytest.raises(requests.ConnectionError, match="has no address"):
        get()


def test_unresolvable_host_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    resolve_with(monkeypatch, unknown)
    with pytest.raises(requests.ConnectionError, match="Name or service not known"):
        get()
