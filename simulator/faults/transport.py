"""Faults of transport: errors, maintenance pages, cut and slow replies."""

from __future__ import annotations

import gzip

from simulator.archives import GZIP_MAGIC, SEVEN_ZIP_MAGIC, ZIP_MAGIC
from simulator.faults.registry import DAMAGING, REPLACING, Fault, register
from simulator.reply import Reply


def _error_page(status: int, reason: str) -> Reply:
    text = f"<html><head><title>{status} {reason}</title></head><body><h1>{reason}</h1></body></html>"
    return Reply(text.encode(), "text/html", status)


@register(REPLACING, "http_500")
def _http_500(fault: Fault) -> Reply:
    """HTTP 500 with an HTML page."""
    return _error_page(500, "Internal Server Error")


@register(REPLACING, "http_503")
def _http_503(fault: Fault) -> Reply:
    """HTTP 503 with an HTML page; ``retry_after`` sets the header."""
    return _with_retry_after(_error_page(503, "Service Unavailable"), fault)


@register(REPLACING, "http_429")
def _http_429(fault: Fault) -> Reply:
    """HTTP 429 with an HTML page; ``retry_after`` sets the header."""
    return _with_retry_after(_error_page(429, "Too Many Requests"), fault)


def _with_retry_after(reply: Reply, fault: Fault) -> Reply:
    if "retry_after" in fault.options:
        reply.headers["Retry-After"] = str(fault.options["retry_after"])
    return reply


@register(REPLACING, "html_200")
def _html_200(fault: Fault) -> Reply:
    """HTTP 200 with a maintenance page; ``content_type`` sets the media type of the header (text/html)."""
    text = (
        "<!DOCTYPE html><html><head><title>Maintenance</title></head>"
        "<body><h1>The site is under maintenance</h1><p>Please come back later.</p></body></html>"
    )
    return Reply(text.encode(), str(fault.options.get("content_type", "text/html")))


# As recorded from both Eurostat interfaces, estimate included.
_TOO_BIG = (
    "EXTRACTION_TOO_BIG: The requested extraction is too big, estimated 17348292 rows, max authorised is 5000000, "
    "please change your filters to reduce the extraction size"
)


@register(REPLACING, "http_413_xml")
def _http_413_xml(fault: Fault) -> Reply:
    """HTTP 413 of Eurostat's SDMX interface: a SOAP fault EXTRACTION_TOO_BIG."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<faultcode>413</faultcode><faultstring>{_TOO_BIG}</faultstring></S:Fault>"
    )
    return Reply(text.encode(), "application/xml", 413)


@register(REPLACING, "http_413_json")
def _http_413_json(fault: Fault) -> Reply:
    """HTTP 413 of Eurostat's statistics interface: an error list EXTRACTION_TOO_BIG."""
    text = '{"error":[{"status":413,"id":413,"label":"' + _TOO_BIG + '"}]}'
    return Reply(text.encode(), "application/json", 413)


@register(REPLACING, "timeout")
def _timeout(fault: Fault) -> Reply:
    """The connection is accepted, and HTTP 504 follows after ``delay_seconds`` (60)."""
    reply = _error_page(504, "Gateway Timeout")
    reply.delay_seconds = float(fault.options.get("delay_seconds", 60.0))
    return reply


@register(DAMAGING, "empty_200")
def _empty_200(fault: Fault, reply: Reply) -> Reply:
    """HTTP 200 with the right content type and no body."""
    reply.body = b""
    return reply


@register(DAMAGING, "reset")
def _reset(fault: Fault, reply: Reply) -> Reply:
    """The connection is closed in the middle of the body."""
    reply.cut_after = len(reply.body) // 2
    return reply


def _cut(fault: Fault, reply: Reply) -> Reply:
    reply.body = reply.body[: int(len(reply.body) * float(fault.options.get("keep", 0.5)))]
    return reply


@register(DAMAGING, "truncate")
def _truncate(fault: Fault, reply: Reply) -> Reply:
    """A complete HTTP reply whose content is cut; ``keep`` is the share that remains (0.5)."""
    return _cut(fault, reply)


@register(DAMAGING, "truncate_gzip")
def _truncate_gzip(fault: Fault, reply: Reply) -> Reply:
    """A complete HTTP reply whose gzip stream is cut; other bodies are compressed for the transfer, then cut."""
    if not reply.body.startswith(GZIP_MAGIC):
        reply.body = gzip.compress(reply.body, compresslevel=5, mtime=0)
        reply.headers["Content-Encoding"] = "gzip"
    return _cut(fault, reply)


@register(DAMAGING, "truncate_zip")
def _truncate_zip(fault: Fault, reply: Reply) -> Reply | None:
    """A complete HTTP reply whose zip archive is cut; other bodies are unchanged."""
    return _cut(fault, reply) if reply.body.startswith(ZIP_MAGIC) else None


@register(DAMAGING, "truncate_7z")
def _truncate_7z(fault: Fault, reply: Reply) -> Reply | None:
    """A complete HTTP reply whose 7z archive is cut; other bodies are unchanged."""
    return _cut(fault, reply) if reply.body.startswith(SEVEN_ZIP_MAGIC) else None


@register(DAMAGING, "slow")
def _slow(fault: Fault, reply: Reply) -> Reply:
    """The right reply, after ``delay_seconds`` (1)."""
    reply.delay_seconds = float(fault.options.get("delay_seconds", 1.0))
    return reply


@register(DAMAGING, "slow_drip")
def _slow_drip(fault: Fault, reply: Reply) -> Reply:
    """The right headers, then ``bytes_at_once`` (1) bytes of the body every ``interval_seconds`` (1)."""
    reply.drip_seconds = float(fault.options.get("interval_seconds", 1.0))
    reply.drip_bytes = int(fault.options.get("bytes_at_once", 1))
    return reply
