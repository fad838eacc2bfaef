"""Eurostat's fault messages, detected from the body alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

from extract.verdicts import Verdict, head_of

_STEPS = {
    "100": "the dataset or the slice is not available: check the code and the host",
    "140": "the request's syntax is wrong: adapt extract/offices/eurostat/",
    "150": "a code is not in the dataset: remove it from the scope, or correct it",
    "413": "request fewer codes or months",
}
_HEALED_BY_TIME = frozenset({"500", "503"})


def read_fault(path: Path) -> Verdict | None:
    """Return the verdict for a SOAP fault, a JSON error or warning; None for anything else."""
    head = head_of(path, 8192).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<") and b"Fault" in head[:600]:
        code = _between(head, b"<faultcode>", b"</faultcode>")
        return _fault(code, _between(head, b"<faultstring>", b"</faultstring>"))
    if head.startswith(b"{"):
        return _json_fault(head)
    return None


def _json_fault(head: bytes) -> Verdict | None:
    """Read an error or a warning of the statistics API; both are short."""
    if not re.match(rb'\{\s*"(error|warning)"', head):
        return None
    try:
        content = json.loads(head)
    except (ValueError, RecursionError):
        return Verdict(f"an error that is cut off: {head[:200]!r}", retryable=True)
    if "warning" in content:
        label = content["warning"].get("label", "") if isinstance(content["warning"], dict) else content["warning"]
        # The statistics API's asynchronous answer has no key: repeat the request, or request less.
        return Verdict(f"Eurostat defers the request: {label}", retryable=True, next_step=_STEPS["413"])
    errors = content["error"] if isinstance(content["error"], list) else [content["error"]]
    first = errors[0] if errors else {}
    if not isinstance(first, dict):
        return _fault("", str(first))
    return _fault(str(first.get("id", first.get("status", ""))), str(first.get("label", "")))


def _fault(code: str, text: str) -> Verdict:
    return Verdict(f"Eurostat fault {code}: {text}", code in _HEALED_BY_TIME, _STEPS.get(code, ""))


def _between(body: bytes, start: bytes, end: bytes) -> str:
    return body.partition(start)[2].partition(end)[0].decode("utf-8", errors="replace").strip()
