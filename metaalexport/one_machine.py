"""Airflow's UI on the machine of one person: without a login, and closed to the web pages of others.

A browser on that machine shows pages of anybody. Without a login such a page would need no more than the address of the
UI: under a name of its own that leads to the loopback it may read and write all, in a frame it may lead a click, and a
request that needs no leave of ours changes something even if its answer is never seen. See ADR 17.
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
    """Answers what is asked under a name of this machine, by programs and by the UI's own pages; nothing else.

    Parameters
    ----------
    app : ASGIApp
        What is guarded.
    base_url : str
        Address under which people reach the UI, where that is another than the loopback's; may be empty.
    """

    def __init__(self, app: ASGIApp, base_url: str = "") -> None:
        self._app = app
        base = urlsplit(base_url)
        self._hosts = {*_HOSTS, base.hostname or _HOSTS[0]}
        self._base = base.netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
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
                f"{host or 'no name'} is no name of this machine; next: open http://localhost, or name the address that"
                " you use in METAALEXPORT_AIRFLOW__API__BASE_URL"
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() not in {host, self._base} - {""}:
            return "a page of another site may ask nothing here"
        return ""


class OneMachineAuthManager(SimpleAuthManager):  # type: ignore[misc] # Airflow carries no types
    """Airflow's simple auth manager behind `OwnPagesOnly`."""

    def get_fastapi_middlewares(self) -> list[Any]:
        """Add the guard: what is added last is asked first."""
        base_url = conf.get("api", "base_url", fallback="") or ""
        return [*super().get_fastapi_middlewares(), (OwnPagesOnly, {"base_url": base_url})]


__all__ = ["OneMachineAuthManager", "OwnPagesOnly"]
