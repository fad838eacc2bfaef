"""Advice on proxies and certificates, and the host that a URL names."""

from __future__ import annotations

import re
import urllib.request
from urllib.parse import urlsplit

import requests
import urllib3

PROXY_WANTS_PASSWORD = 407
PROXY_STEP = (
    "have the proxy's administrator allow this address; if it requires a user and a password, set them in HTTPS_PROXY"
)
_CERTIFICATE_STEP = (
    "if a proxy of this network intercepts TLS, set REQUESTS_CA_BUNDLE to a file with its certificate and the public"
    " ones; otherwise the office's certificate is invalid"
)
# A connection dropped or timed out in the handshake is not a certificate problem.
_CUT = re.compile(r"SSLEOFError|SSLZeroReturnError|SSLSyscallError|UNEXPECTED_EOF|timed out")
# Python's message for a proxy's answer to CONNECT. 408 and 429 are retryable.
_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: 4(?!08|29)\d\d")


def host_and_port(url: str) -> tuple[str, int | None] | None:
    """Return host and port of a URL, with None for ports 80 and 443; None if it names no host."""
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port not in (80, 443) else None
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and parts.scheme in ("http", "https") else None


def way_through(error: Exception) -> str:
    """Return the next step for an error that a retry cannot resolve; empty for a retryable one."""
    text = str(error)
    if isinstance(error, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)) and not _CUT.search(text):
        return _CERTIFICATE_STEP
    return PROXY_STEP if _REFUSED_BY_PROXY.search(text) else ""


def way_out() -> str:
    """Return the advice to check the configured proxies, the usual cause of failure on closed networks."""
    if proxies := urllib.request.getproxies():
        # Only names are shown: proxy URLs may hold a password.
        return f"check that the proxy of this machine ({', '.join(sorted(proxies))}) lets it through; "
    return "check that this machine reaches the office (behind a proxy, set HTTPS_PROXY); "
