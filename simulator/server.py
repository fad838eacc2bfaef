"""The HTTP server: both offices on one port, the control endpoints, and the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import duckdb
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from simulator import cbs, eurostat
from simulator.economy import Economy
from simulator.faults.book import FaultBook
from simulator.parameters import EconomyParameters
from simulator.release import DEFAULT_RELEASE, Release, month_label
from simulator.reply import Reply

CONTROL = "/_simulator"


class Simulator:
    """Both offices on one economy; needs no socket.

    Parameters
    ----------
    seed
        Seed of the economy.
    release
        Number of the current publication round; see `simulator.release.Release`.
    page_size
        Most CBS observations in one reply.
    front_loading
        False leaves the 2025 tariff shock out.
    parameters
        All true parameters; they override the seed and the shock.
    """

    def __init__(
        self,
        seed: int = 1,
        release: int = DEFAULT_RELEASE,
        page_size: int = 100_000,
        front_loading: bool = True,
        parameters: EconomyParameters | None = None,
    ) -> None:
        self.economy = Economy(parameters or EconomyParameters(seed=seed, front_loading=front_loading))
        self.release = Release(release)
        self.faults = FaultBook()
        self.requests: list[dict[str, Any]] = []
        self.cbs = cbs.CbsService(self.economy, duckdb.connect(":memory:"), self.faults, page_size)
        self.eurostat = eurostat.EurostatService(self.economy, duckdb.connect(":memory:"), self.faults)
        # One request at a time: the services reuse their tables, and the log keeps the order.
        self._lock = threading.Lock()

    def answer(self, path: str, query_string: str = "", base_url: str = "http://127.0.0.1") -> Reply:
        """Return the reply to a GET, after the faults, and log the request.

        Parameters
        ----------
        path, query_string
            As sent; the query still percent-encoded.
        base_url
            Address of the server as the client knows it.
        """
        url = f"{path}?{query_string}" if query_string else path
        with self._lock:
            self.faults.begin(url)
            if self.faults.take(url, "release_mid_run"):
                self.release = Release(self.release.number + 1)
            reply = self.faults.replace(url)
            if reply is None:
                reply = self.faults.damage(url, self._office(path, query_string, base_url, url))
            size = len(reply.body) if reply.cut_after is None else reply.cut_after
            self.requests.append({"method": "GET", "url": url, "status": reply.status, "bytes": size})
        return reply

    def _office(self, path: str, query_string: str, base_url: str, url: str) -> Reply:
        query = parse_qsl(query_string, keep_blank_values=True)
        if path.startswith(cbs.ROOTS):
            return self.cbs.answer(path, dict(query), self.release, base_url, url)
        if path.startswith(eurostat.PATHS):
            # The plus between codes is in the path, where it is never a blank.
            return self.eurostat.answer(path, query, self.release, url, base_url)
        return Reply(b"Not Found", "text/plain", 404)

    def set_release(self, number: int) -> None:
        """Make a publication round the current one; it may be an earlier one."""
        release = Release(number)
        with self._lock:
            self.release = release

    def health(self) -> dict[str, Any]:
        """Return the state of the simulator, for the control endpoint."""
        return {
            "status": "ok",
            "release": self.release.number,
            "seed": self.economy.parameters.seed,
            "front_loading": self.economy.parameters.front_loading,
            "cbs_version": self.release.cbs_version,
            "cbs_newest_month": month_label(self.release.cbs_months - 1),
            "eurostat_update": self.release.eurostat_stamp,
            "eurostat_newest_month": month_label(self.release.eurostat_months - 1),
            "faults": len(self.faults.faults),
        }

    def app(self) -> Starlette:
        """Return the web application of this simulator."""
        return Starlette(
            routes=[
                Route(f"{CONTROL}/health", self._get_health, methods=["GET"]),
                Route(f"{CONTROL}/release", self._post_release, methods=["POST"]),
                Route(f"{CONTROL}/faults", self._handle_faults, methods=["GET", "POST", "DELETE"]),
                Route(f"{CONTROL}/requests", self._handle_requests, methods=["GET", "DELETE"]),
                Route("/{path:path}", self._get_office, methods=["GET"]),
            ]
        )

    async def _get_office(self, request: Request) -> Response:
        path = request.url.path
        query = request.scope["query_string"].decode("latin-1")
        base_url = f"{request.url.scheme}://{request.url.netloc}"
        return _OfficeResponse(await asyncio.to_thread(self.answer, path, query, base_url))

    async def _get_health(self, request: Request) -> Response:
        return JSONResponse(self.health())

    async def _post_release(self, request: Request) -> Response:
        try:
            self.set_release(int((await request.json())["number"]))
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"the body needs the number of a release: {error}"}, status_code=400)
        return JSONResponse(self.health())

    async def _handle_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            try:
                descriptions = json.loads(await request.body())
                self.faults.add([descriptions] if isinstance(descriptions, dict) else descriptions)
            except (ValueError, TypeError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse([fault.describe() for fault in self.faults.faults])

    async def _handle_requests(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.requests.clear()
        return JSONResponse(self.requests)


class _OfficeResponse(Response):
    """Sends a reply, with its delay, drip or cut; other requests do not wait for it."""

    def __init__(self, reply: Reply) -> None:
        # The offices send no such header: a client of a real office can detect the simulator by it.
        super().__init__(reply.body, reply.status, {**reply.headers, "X-Simulated": "true"}, reply.media_type)
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = self._reply
        if reply.delay_seconds and await _is_gone_after(receive, reply.delay_seconds):
            return
        if reply.cut_after is None and not reply.drip_seconds:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)[: reply.cut_after]
        if not reply.drip_seconds:
            # The server closes the connection of an application that returns with its body unfinished.
            await send({"type": "http.response.body", "body": body, "more_body": True})
            return
        for start in range(0, len(body), reply.drip_bytes):
            if await _is_gone_after(receive, reply.drip_seconds):
                return
            part = body[start : start + reply.drip_bytes]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if reply.cut_after is None:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _is_gone_after(receive: Receive, seconds: float) -> bool:
    """Wait; return True as soon as the client disconnects."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (left := deadline - loop.time()) > 0:
        try:
            message = await asyncio.wait_for(receive(), left)
        except TimeoutError:
            return False
        if message["type"] == "http.disconnect":
            return True
    return False


def _server(simulator: Simulator) -> uvicorn.Server:
    # A reset is intended and must not be reported as an error of the application, nor may a delayed reply keep the
    # server from stopping.
    return uvicorn.Server(
        uvicorn.Config(
            simulator.app(), log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
    )


def _listen(port: int, host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


@contextmanager
def run_simulator(
    simulator: Simulator | None = None, *, port: int = 0, host: str = "127.0.0.1", **settings: Any
) -> Iterator[str]:
    """Serve a simulator from a thread for the duration of the block.

    Parameters
    ----------
    simulator
        The simulator to serve; by default one made from ``settings``.
    port, host
        Port and address to listen on; port 0 takes a free one.
    **settings
        Arguments of `Simulator`.

    Yields
    ------
    str
        Base URL, without a trailing slash.
    """
    listener = _listen(port, host)
    server = _server(simulator or Simulator(**settings))
    thread = threading.Thread(target=server.run, args=([listener],), name="simulator", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator until SIGTERM or SIGINT.

    Parameters
    ----------
    arguments
        Command line without the program name; that of the process if None.

    Returns
    -------
    int
        Exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="port; 0 takes a free one")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; any but the loopback is open to the network"
    )
    parser.add_argument("--release", type=int, default=DEFAULT_RELEASE, help="publication round to start with")
    parser.add_argument("--seed", type=int, default=1, help="seed of the economy")
    parser.add_argument("--page-size", type=int, default=100_000, help="CBS observations in one reply")
    parser.add_argument("--no-front-loading", action="store_true", help="leave the 2025 tariff shock out")
    options = parser.parse_args(arguments)
    simulator = Simulator(options.seed, options.release, options.page_size, not options.no_front_loading)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with run_simulator(simulator, port=options.port, host=options.host) as base_url:
            sys.stdout.write(f"{base_url}\n")
            sys.stdout.flush()
            stop.wait()
    except OSError as error:
        sys.stderr.write(f"port {options.port} is not available: {error}\n")
        return 1
    return 0
