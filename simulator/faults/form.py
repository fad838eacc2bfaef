"""Faults in the form of a body: media type, byte order mark, line ends, columns."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from simulator.archives import GZIP_MAGIC, SEVEN_ZIP_MAGIC, ZIP_MAGIC, change_archive
from simulator.faults.registry import DAMAGING, Fault, register
from simulator.reply import Reply

_BOM = b"\xef\xbb\xbf"


def _change_text(reply: Reply, change: Callable[[bytes], bytes | None]) -> Reply | None:
    """Change the text of a body, inside its gzip stream or archive if any; None if ``change`` returns None."""
    is_compressed = reply.body.startswith(GZIP_MAGIC)
    if reply.body.startswith((ZIP_MAGIC, SEVEN_ZIP_MAGIC)):
        changed = change_archive(reply.body, change)
    else:
        changed = change(gzip.decompress(reply.body) if is_compressed else reply.body)
    if changed is None:
        return None
    reply.body = gzip.compress(changed, compresslevel=5, mtime=0) if is_compressed else changed
    return reply


@dataclass
class _Csv:
    """A CSV body: its cells and its dialect."""

    rows: list[list[str]]
    delimiter: str
    line_end: str
    start: bytes

    def write(self) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter, lineterminator=self.line_end).writerows(self.rows)
        return self.start + text.getvalue().encode()


def _read_csv(body: bytes) -> _Csv | None:
    """Return a CSV body as cells; None for a body that is not CSV with a header."""
    start = _BOM if body.startswith(_BOM) else b""
    first = body[len(start) : 2000].split(b"\n", 1)[0]
    delimiter = ";" if b";" in first else ","
    if first[:1] in (b"<", b"{", b"[", b"") or delimiter.encode() not in first or b"\t" in first:
        return None
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), delimiter=delimiter))
    return _Csv(rows, delimiter, "\r\n" if first.endswith(b"\r") else "\n", start)


@register(DAMAGING, "wrong_content_type")
def _wrong_content_type(fault: Fault, reply: Reply) -> Reply:
    """The right body under the wrong ``content_type`` (text/html)."""
    reply.media_type = str(fault.options.get("content_type", "text/html"))
    return reply


@register(DAMAGING, "bom")
def _bom(fault: Fault, reply: Reply) -> Reply | None:
    """A byte order mark before a text body; a body that has one is unchanged."""
    return _change_text(reply, lambda body: None if body.startswith(_BOM) else _BOM + body)


@register(DAMAGING, "crlf")
def _crlf(fault: Fault, reply: Reply) -> Reply | None:
    """CRLF for every LF of a text body; a body without a bare LF is unchanged."""

    def change(body: bytes) -> bytes | None:
        changed, count = re.subn(rb"(?<!\r)\n", b"\r\n", body)
        return changed if count else None

    return _change_text(reply, change)


@register(DAMAGING, "new_column")
def _new_column(fault: Fault, reply: Reply) -> Reply | None:
    """An additional column in a CSV body: ``column`` (NEW_COLUMN) before the last one, with ``value`` (x)."""

    def change(body: bytes) -> bytes | None:
        table = _read_csv(body)
        if table is None:
            return None
        for i, row in enumerate(table.rows):
            row.insert(-1, str(fault.options.get("value", "x") if i else fault.options.get("column", "NEW_COLUMN")))
        return table.write()

    return _change_text(reply, change)


@register(DAMAGING, "missing_column")
def _missing_column(fault: Fault, reply: Reply) -> Reply | None:
    """A missing column in a CSV body: ``column``, or the last one."""

    def change(body: bytes) -> bytes | None:
        table = _read_csv(body)
        if table is None:
            return None
        header = table.rows[0]
        name = str(fault.options.get("column", header[-1]))
        if name not in header:
            return None
        place = header.index(name)
        table.rows = [row[:place] + row[place + 1 :] for row in table.rows]
        return table.write()

    return _change_text(reply, change)
