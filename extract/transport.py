"""Connections with an overall deadline and IPv4 first.

Both offices publish IPv6 addresses, and from several networks that path drops packets: each connection attempt hangs
until its timeout. IPv4 is therefore tried first. A read timeout bounds only the wait for the next byte, so a reply
that trickles in would never end; the whole exchange therefore has its own deadline. Both apply through a proxy too;
requests to this machine bypass proxies.
"""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import connection as urllib3_connection

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class PatientAdapter(HTTPAdapter):
    """A requests transport with IPv4 first and a deadline per exchange; one connection per host at a time."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        super().__init__(pool_connections=4, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Use this module's connections in the pools."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes()

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Use this module's connections in the pools behind a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        # SOCKS pools need their own connections.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pool_classes()
        return manager

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        """Send a request, bypassing proxies for this machine."""
        if urlsplit(request.url or "").hostname in LOOPBACK:
            options["proxies"] = None
        return super().send(request, *arguments, **options)

    def _pool_classes(self) -> dict[str, type[HTTPConnectionPool]]:
        class Http(_Ipv4First, HTTPConnection):
            opened = self._open

        class Https(_Ipv4First, HTTPSConnection):
            opened = self._open

        class HttpPool(HTTPConnectionPool):
            ConnectionCls = Http

        class HttpsPool(HTTPSConnectionPool):
            ConnectionCls = Https

        return {"http": HttpPool, "https": HttpsPool}

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[threading.Event]:
        """Shut down all connections and set the event if the block exceeds the deadline.

        A truncated body of unknown length looks complete to the reader, so the caller must check the event.
        """
        is_over = threading.Event()

        def cut() -> None:
            is_over.set()
            for one in list(self._open):
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    # The other side has already closed it.
                    one.close()

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield is_over
        finally:
            timer.cancel()


class _Ipv4First:
    """Mixin that tries each address of a host in turn, IPv4 before IPv6."""

    opened: weakref.WeakSet[socket.socket]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        # The socket, not the connection: the connection drops it if the office closes after the body.
        self.opened.add(self.sock)  # type: ignore[attr-defined]

    def _new_conn(self) -> socket.socket:
        opened = self._open_socket()
        # Registered before the proxy's CONNECT reply, which could also trickle in.
        self.opened.add(opened)
        return opened

    def _open_socket(self) -> socket.socket:
        this: Any = self
        host, port = this._dns_host, this.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(host, this, error) from error
        addresses = list(dict.fromkeys(entry[4][0] for entry in sorted(found, key=_is_not_ipv4)))
        problem: OSError = OSError(f"{host} has no address")
        for address in addresses:
            try:
                return urllib3_connection.create_connection(
                    (str(address), port),
                    this.timeout,
                    source_address=this.source_address,
                    socket_options=this.socket_options,
                )
            except OSError as error:
                problem = error
        if isinstance(problem, TimeoutError):
            raise ConnectTimeoutError(this, f"no connection to {host} within {this.timeout} s") from problem
        raise NewConnectionError(this, f"no connection to {host}: {problem}") from problem


def _is_not_ipv4(entry: tuple[Any, ...]) -> bool:
    return bool(entry[0] != socket.AF_INET)
