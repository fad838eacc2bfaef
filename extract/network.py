"""What a user has to change about proxies and certificates, and the place that a URL names."""

from __future__ import annotations

import re
import urllib.request
from urllib.parse import urlsplit

import requests
import urllib3

PROXY_WANTS_PASSWORD = 407
PROXY_STEP = (
    "ask whose proxy it is to let this address through; where it wants a user and a password, put them into HTTPS_PROXY"
)
_CERTIFICATE_STEP = (
    "where a proxy of this network opens TLS, name in REQUESTS_CA_BUNDLE a file with its certificate beside the public"
    " ones; else the office's own is wrong"
)
# A connection that was cut in its handshake, or too slow, is no matter of certificates.
_CUT = re.compile(r"SSLEOFError|SSLZeroReturnError|SSLSyscallError|UNEXPECTED_EOF|timed out")
# How Python words what a proxy answers to CONNECT. Of these two the next attempt may be answered otherwise.
_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: 4(?!08|29)\d\d")


def host_and_port(url: str) -> tuple[str, int | None] | None:
    """Return host and port of a URL, the usual ports apart; None if it names no host."""
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port not in (80, 443) else None
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and parts.scheme in ("http", "https") else None


def way_through(error: Exception) -> str:
    """Say what a person has to change where no further attempt can end otherwise; empty where it can."""
    text = str(error)
    if isinstance(error, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)) and not _CUT.search(text):
        return _CERTIFICATE_STEP
    return PROXY_STEP if _REFUSED_BY_PROXY.search(text) else ""


def way_out() -> str:
    """Say through which proxies was asked, which is what fails on most closed networks."""
    if proxies := urllib.request.getproxies():
        # Their addresses may hold a password.
        return f"see whether the proxy of this machine ({', '.join(sorted(proxies))}) lets it through; "
    return "see whether this machine reaches the office (behind a proxy, set HTTPS_PROXY); "
