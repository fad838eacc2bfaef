"""How both Eurostat hosts wrap what they say: XML, JSON, faults."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from simulator.reply import Reply

XML_START = '<?xml version="1.0" encoding="UTF-8"?>'
XML_START_SINGLE = "<?xml version='1.0' encoding='UTF-8'?>"


class RefusalError(Exception):
    """A request that the host refuses.

    Parameters
    ----------
    status
        HTTP status.
    code
        Eurostat's own fault code.
    text
        What the fault says.
    """

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def not_found(name: str, version: str, kind: str = "DATA_FLOW") -> str:
    """Word the refusal of a name that the host does not know."""
    return f"ERR_NOT_FOUND_4: {name} ({kind}:{version}) is not available for dissemination."


def xml(text: str, status: int = 200) -> Reply:
    """Reply with XML."""
    return Reply(text.encode(), "application/xml", status)


def dump(content: Any) -> str:
    """Write JSON as the hosts do: compact, not escaped."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def json_reply(content: Any, status: int = 200) -> Reply:
    """Reply with JSON."""
    return Reply(dump(content).encode(), "application/json", status)


def json_error(status: int, code: int, label: str) -> Reply:
    """Refuse as the statistics interface does."""
    return json_reply({"error": [{"status": status, "id": code, "label": label}]}, status)


def fault_reply(refusal: RefusalError) -> Reply:
    """Refuse as the SDMX interface does: a SOAP fault without an envelope."""
    text = (
        f'{XML_START}<S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<faultcode>{refusal.code}</faultcode><faultstring>{escape(str(refusal))}</faultstring></S:Fault>"
    )
    return xml(text, refusal.status)
