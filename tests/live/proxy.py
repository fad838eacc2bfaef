"""A simulator that a live run accepts as the offices, behind a proxy whose replies deviate as real ones do."""

from __future__ import annotations

import csv
import gzip
import io
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import requests
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.server import Simulator

_MARK = b"x-simulated"
# Only headers about the content are passed on; those of the connection are the proxy's own.
_KEPT_HEADERS = ("Content-Type", "Last-Modified", "Retry-After")
_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Exchange:
    """A request and its reply, before the proxy passes it on.

    Attributes
    ----------
    path : str
        Path and query, percent-decoded.
    """

    path: str
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def answered(self, status: int, body: bytes, media_type: str) -> Exchange:
        """Return the exchange with another reply."""
        return replace(self, status=status, body=body, headers={"Content-Type": media_type})

    def rewritten(self, old: str, new: str) -> Exchange:
        """Return the exchange with a text of its body replaced, compressed or not."""
        return self.mapped(lambda text: text.replace(old, new))

    def mapped(self, change: Callable[[str], str]) -> Exchange:
        """Return the exchange with its text changed, compressed or not."""
        if self.body[:2] == b"PK":
            return replace(self, body=_zip_mapped(self.body, change))
        is_gzip = self.body[:2] == b"\x1f\x8b"
        text = change((gzip.decompress(self.body) if is_gzip else self.body).decode())
        body = text.encode()
        return replace(self, body=gzip.compress(body, 1) if is_gzip else body)

    def rows(self, change: Callable[[list[dict[str, str]]], Sequence[dict[str, str]]]) -> Exchange:
        """Return the exchange with the rows of its CSV changed; the first row gives the columns."""

        def rewrite(text: str) -> str:
            reader = csv.DictReader(io.StringIO(text))
            rows = change(list(reader))
            columns = list(rows[0]) if rows else list(reader.fieldnames or ())
            output = io.StringIO()
            writer = csv.DictWriter(output, columns, lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
            return output.getvalue()

        return self.mapped(rewrite)


# Returns the exchange to pass on; the same object if it does not deviate.
Deviate = Callable[[Exchange], Exchange]


def as_it_is(exchange: Exchange) -> Exchange:
    """Change nothing."""
    return exchange


def _zip_mapped(body: bytes, change: Callable[[str], str]) -> bytes:
    """Return a zip archive with the text of each of its files changed."""
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name).decode()), compresslevel=1)
    return output.getvalue()


class UnmarkedSimulator(Simulator):
    """A simulator without the mark by which a live run refuses its replies."""

    def app(self) -> Starlette:
        """Return the application of all hosts; its replies have exactly an office's headers."""
        app = super().app()
        app.add_middleware(_Unmarking)
        return app


class _Unmarking:
    """Middleware that removes the mark from the headers and passes on everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unmarked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name.lower() != _MARK]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_unmarked)


@dataclass
class Proxy:
    """Address of both offices, deviation of their replies, and mapping of requested paths to simulator paths."""

    url: str
    deviate: Deviate = as_it_is
    route: Callable[[str], str] = str


@contextmanager
def running_proxy(simulator_url: str) -> Iterator[Proxy]:
    """Serve a simulator's replies, or their deviations."""
    session = requests.Session()
    session.trust_env = False

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply = session.get(
                f"{simulator_url}{proxy.route(self.path)}",
                headers={"Accept-Encoding": "identity"},
                timeout=_TIMEOUT_SECONDS,
            )
            headers = {name: reply.headers[name] for name in _KEPT_HEADERS if name in reply.headers}
            # Links to the next page must lead through the proxy.
            body = reply.content
            if b"nextLink" in body[:2000] or b"nextLink" in body[-2000:]:
                body = body.replace(simulator_url.encode(), proxy.url.encode())
            exchange = proxy.deviate(Exchange(unquote(self.path), reply.status_code, body, headers))
            self.send_response(exchange.status)
            for name, value in exchange.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(exchange.body)))
            self.end_headers()
            self.wfile.write(exchange.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
