"""Forms of the replies of both Eurostat hosts: XML, JSON and refusals."""

from __future__ import annotations

import json
import uuid
from typing import Any
from xml.sax.saxutils import escape

from simulator.reply import Reply

XML_START = '<?xml version="1.0" encoding="UTF-8"?>'
XML_START_SINGLE = "<?xml version='1.0' encoding='UTF-8'?>"
#: Names of messages and jobs are made in it, so that they are always the same.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "simulator.localhost")


class RefusalError(Exception):
    """A refused request.

    Parameters
    ----------
    status
        HTTP status.
    code
        Eurostat's own fault code.
    text
        Text of the fault.
    """

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def not_found(name: str, version: str, kind: str = "DATA_FLOW") -> str:
    """Return the text of the refusal of an unknown name."""
    return f"ERR_NOT_FOUND_4: {name} ({kind}:{version}) is not available for dissemination."


def xml(text: str, status: int = 200) -> Reply:
    """Return a reply with XML."""
    return Reply(text.encode(), "application/xml", status)


def dump(content: Any) -> str:
    """Return JSON as the hosts write it: compact, not escaped."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def json_reply(content: Any, status: int = 200) -> Reply:
    """Return a reply with JSON."""
    return Reply(dump(content).encode(), "application/json", status)


def json_error(status: int, code: int, label: str) -> Reply:
    """Return a refusal of the statistics interface."""
    return json_reply({"error": [{"status": status, "id": code, "label": label}]}, status)


def fault_reply(refusal: RefusalError) -> Reply:
    """Return a refusal of the SDMX interface: a SOAP fault without an envelope."""
    text = (
        f'{XML_START}<S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<faultcode>{refusal.code}</faultcode><faultstring>{escape(str(refusal))}</faultstring></S:Fault>"
    )
    return xml(text, refusal.status)
