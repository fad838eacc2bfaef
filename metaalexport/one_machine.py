"""Airflow's UI on a single user's machine: without a login, and closed to foreign web pages.

A browser on that machine shows foreign pages. Without a login such a page would need only the address of the UI: with
a host name that resolves to the loopback it could read and write everything, in a frame it could redirect a click, and
a simple cross-site request changes something even if its answer is never seen. See ADR 17.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.configuration import conf
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOSTS = ("localhost", "127.0.0.1")


class OwnPagesOnly:
    """Middleware that accepts only requests under a name of this machine, from programs and from the UI's own pages.

    Parameters
    ----------
    app : ASGIApp
        The guarded application.
    base_url : str
        Public address of the UI, if it is not the loopback's; may be empty.
    """

    def __init__(self, app: ASGIApp, base_url: str = "") -> None:
        self._app = app
        base = urlsplit(base_url)
        self._hosts = {*_HOSTS, base.hostname or _HOSTS[0]}
        self._base = base.netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(Headers(scope=scope)):
            await PlainTextResponse(f"{refusal}\n", status_code=403)(scope, receive, send)
            return

        async def unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("content-security-policy", "frame-ancestors 'self'")
            await send(message)

        await self._app(scope, receive, unframed)

    def _refusal(self, headers: Headers) -> str:
        host = headers.get("host", "").lower()
        if host.partition(":")[0] not in self._hosts:
            return (
                f"{host or 'no name'} is not a name of this machine; next: open http://localhost, or set"
                " METAALEXPORT_AIRFLOW__API__BASE_URL to the address that you use"
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() not in {host, self._base} - {""}:
            return "requests from pages of another site are refused"
        return ""


class OneMachineAuthManager(SimpleAuthManager):  # type: ignore[misc] # Airflow carries no types
    """Airflow's simple auth manager behind `OwnPagesOnly`."""

    def get_fastapi_middlewares(self) -> list[Any]:
        """Add the guard last, so that it runs first."""
        base_url = conf.get("api", "base_url", fallback="") or ""
        return [*super().get_fastapi_middlewares(), (OwnPagesOnly, {"base_url": base_url})]


__all__ = ["OneMachineAuthManager", "OwnPagesOnly"]
