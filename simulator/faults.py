"""Faults that can be switched on: broken transport and wrong data.

A new kind is one function under one decorator; the first line of its docstring is what `describe_kinds` says:

- `replacing`: the reply is something else altogether (an error, a maintenance page); nothing is computed.
- `damaging`: the right reply, delivered badly (cut, slow, mislabelled). The function returns None for a body
  to which it does not apply; then the fault waits on.
- `spoils_rows`: wrong rows in a reply of observations. The function changes the table that is about to be
  written and says whether it changed anything; only then the fault counts as used.
- `spoils_records`: the same for a list of metadata records.

A fault that only the code of an office (or of the server) can commit stands in `OFFICE_KINDS`; that code asks
for it with `FaultBook.take`.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import unquote_plus

import duckdb

from simulator.archives import SEVEN_ZIP_MAGIC, ZIP_MAGIC, change_archive


@dataclass
class Reply:
    """An HTTP reply before it is sent.

    Attributes
    ----------
    delay_seconds
        Time to wait before the first byte.
    cut_after
        Close the connection after this many bytes although the headers promise all of ``body``.
    drip_seconds, drip_bytes
        Send the body in parts of ``drip_bytes`` bytes and wait ``drip_seconds`` before each; 0 sends it at once.
    """

    body: bytes
    media_type: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut_after: int | None = None
    drip_seconds: float = 0.0
    drip_bytes: int = 1


@dataclass
class Fault:
    """A fault that waits for a request.

    Attributes
    ----------
    match
        Regular expression searched in ``path?query``, as sent and percent-decoded.
    kind
        One of `KINDS`.
    times
        How many replies it still spoils; None is every one.
    after
        How many matching requests pass unharmed before the first one is spoilt.
    options
        Settings of the kind, such as ``retry_after``, ``delay_seconds``, ``partners``.
    seen
        How many requests matched so far.
    """

    match: str
    kind: str
    times: int | None = None
    after: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0

    def describe(self) -> dict[str, Any]:
        """Write the fault as the control endpoint shows it."""
        after = {"after": self.after} if self.after else {}
        return {"match": self.match, "kind": self.kind, "times": self.times, **after, **self.options}

    def matches(self, url: str) -> bool:
        """Whether the pattern is found in a path and query, as sent or percent-decoded."""
        return bool(re.search(self.match, url) or re.search(self.match, unquote_plus(url)))


@dataclass(frozen=True)
class Rows:
    """Observations about to be written: a DuckDB table with text in every column but the order.

    Attributes
    ----------
    partner, indicator, value
        Names of the columns that hold them; ``position`` is the order of the rows.
    total
        Partner code of all partners together.
    aggregates
        Partner codes that are sums of others, ``total`` among them.
    large_partners
        Partners that `missing_partners` drops when it is not told which.
    unknown_partner
        A code that is in no code list.
    main_indicators
        Indicators whose values may be spoilt.
    renamed_indicator
        Indicator code and the wrong code that the fault ``unit`` puts in its place, where the office
        states the unit in the code.
    """

    connection: duckdb.DuckDBPyConnection
    table: str
    partner: str
    indicator: str
    value: str
    total: str
    aggregates: tuple[str, ...]
    large_partners: tuple[str, ...]
    unknown_partner: str
    main_indicators: tuple[str, ...]
    renamed_indicator: tuple[str, str] | None = None

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> bool:
        """Run a statement that changes the table; say whether it changed a row."""
        changed = self.connection.execute(statement, parameters).fetchone()
        return bool(changed and changed[0])

    def pick(self) -> int | None:
        """Position of the middle row of a single partner with a value: the same one every time."""
        row = self.connection.execute(
            f"select quantile_disc(position, 0.5) from {self.table} "
            f"where not list_contains(?, {self.partner}) and list_contains(?, {self.indicator}) "
            f"and try_cast({self.value} as double) > 0",
            [list(self.aggregates), list(self.main_indicators)],
        ).fetchone()
        return None if row is None or row[0] is None else int(row[0])


Records = list[dict[str, Any]]

REPLACING: dict[str, Callable[[Fault], Reply]] = {}
DAMAGING: dict[str, Callable[[Fault, Reply], Reply | None]] = {}
ROW_SPOILERS: dict[str, Callable[[Fault, Rows], bool]] = {}
RECORD_SPOILERS: dict[str, Callable[[Fault, Records], bool]] = {}

#: Faults that the code of an office or of the server commits itself, and what they do.
OFFICE_KINDS: dict[str, str] = {
    "async_never": "Eurostat: a job that stays PROCESSING for ever, also for a query that is cheap enough to answer.",
    "async_footer": "Eurostat: the asynchronous answer of before 2023, an SDMX-ML footer with the URL of a zip, "
    "which is not there yet for the first ``misses`` (0) requests.",
    "duplicate_page": "CBS: a page of observations is served again in place of the next one.",
    "release_mid_run": "The release advances by one just before the matching request is answered.",
}


F = TypeVar("F", bound=Callable[..., Any])


def _register(registry: dict[str, F], kind: str) -> Callable[[F], F]:
    def add(function: F) -> F:
        registry[kind] = function
        return function

    return add


def replacing(kind: str) -> Callable[[Callable[[Fault], Reply]], Callable[[Fault], Reply]]:
    """Register a fault that answers in the office's place."""
    return _register(REPLACING, kind)


def damaging(
    kind: str,
) -> Callable[[Callable[[Fault, Reply], Reply | None]], Callable[[Fault, Reply], Reply | None]]:
    """Register a fault that damages the delivery of the right reply."""
    return _register(DAMAGING, kind)


def spoils_rows(kind: str) -> Callable[[Callable[[Fault, Rows], bool]], Callable[[Fault, Rows], bool]]:
    """Register a fault in observations."""
    return _register(ROW_SPOILERS, kind)


def spoils_records(
    kind: str,
) -> Callable[[Callable[[Fault, Records], bool]], Callable[[Fault, Records], bool]]:
    """Register a fault in metadata."""
    return _register(RECORD_SPOILERS, kind)


# -- transport --------------------------------------------------------------------------------------------


def _error_page(status: int, reason: str) -> Reply:
    text = f"<html><head><title>{status} {reason}</title></head><body><h1>{reason}</h1></body></html>"
    return Reply(text.encode(), "text/html", status)


@replacing("http_500")
def _http_500(fault: Fault) -> Reply:
    """HTTP 500 with an HTML page."""
    return _error_page(500, "Internal Server Error")


@replacing("http_503")
def _http_503(fault: Fault) -> Reply:
    """HTTP 503 with an HTML page; ``retry_after`` sets the header."""
    return _with_retry_after(_error_page(503, "Service Unavailable"), fault)


@replacing("http_429")
def _http_429(fault: Fault) -> Reply:
    """HTTP 429 with an HTML page; ``retry_after`` sets the header."""
    return _with_retry_after(_error_page(429, "Too Many Requests"), fault)


def _with_retry_after(reply: Reply, fault: Fault) -> Reply:
    if "retry_after" in fault.options:
        reply.headers["Retry-After"] = str(fault.options["retry_after"])
    return reply


@replacing("html_200")
def _html_200(fault: Fault) -> Reply:
    """HTTP 200 with a maintenance page; ``content_type`` sets what the header calls it (text/html)."""
    text = (
        "<!DOCTYPE html><html><head><title>Maintenance</title></head>"
        "<body><h1>The site is under maintenance</h1><p>Please come back later.</p></body></html>"
    )
    return Reply(text.encode(), str(fault.options.get("content_type", "text/html")))


# The recorded refusals of both Eurostat interfaces, estimate included.
_TOO_BIG = (
    "EXTRACTION_TOO_BIG: The requested extraction is too big, estimated 17348292 rows, max authorised is 5000000, "
    "please change your filters to reduce the extraction size"
)


@replacing("http_413_xml")
def _http_413_xml(fault: Fault) -> Reply:
    """HTTP 413 as Eurostat's SDMX interface refuses: a SOAP fault EXTRACTION_TOO_BIG."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<faultcode>413</faultcode><faultstring>{_TOO_BIG}</faultstring></S:Fault>"
    )
    return Reply(text.encode(), "application/xml", 413)


@replacing("http_413_json")
def _http_413_json(fault: Fault) -> Reply:
    """HTTP 413 as Eurostat's statistics interface refuses: an error list EXTRACTION_TOO_BIG."""
    text = '{"error":[{"status":413,"id":413,"label":"' + _TOO_BIG + '"}]}'
    return Reply(text.encode(), "application/json", 413)


@replacing("timeout")
def _timeout(fault: Fault) -> Reply:
    """The connection is accepted and nothing comes for ``delay_seconds`` (60), then HTTP 504."""
    reply = _error_page(504, "Gateway Timeout")
    reply.delay_seconds = float(fault.options.get("delay_seconds", 60.0))
    return reply


@damaging("empty_200")
def _empty_200(fault: Fault, reply: Reply) -> Reply:
    """HTTP 200 with the right content type and no body."""
    reply.body = b""
    return reply


@damaging("reset")
def _reset(fault: Fault, reply: Reply) -> Reply:
    """The connection is closed in the middle of the body."""
    reply.cut_after = len(reply.body) // 2
    return reply


def _cut(fault: Fault, reply: Reply) -> Reply:
    reply.body = reply.body[: int(len(reply.body) * float(fault.options.get("keep", 0.5)))]
    return reply


@damaging("truncate")
def _truncate(fault: Fault, reply: Reply) -> Reply:
    """A complete HTTP reply whose content is cut; ``keep`` is the share that stays (0.5)."""
    return _cut(fault, reply)


@damaging("truncate_gzip")
def _truncate_gzip(fault: Fault, reply: Reply) -> Reply:
    """A complete HTTP reply whose gzip stream is cut; other bodies are compressed for the transfer, then cut."""
    if not reply.body.startswith(_GZIP_MAGIC):
        reply.body = gzip.compress(reply.body, compresslevel=5, mtime=0)
        reply.headers["Content-Encoding"] = "gzip"
    return _cut(fault, reply)


@damaging("truncate_zip")
def _truncate_zip(fault: Fault, reply: Reply) -> Reply | None:
    """A complete HTTP reply whose zip archive is cut; other bodies are left alone."""
    return _cut(fault, reply) if reply.body.startswith(ZIP_MAGIC) else None


@damaging("truncate_7z")
def _truncate_7z(fault: Fault, reply: Reply) -> Reply | None:
    """A complete HTTP reply whose 7z archive is cut; other bodies are left alone."""
    return _cut(fault, reply) if reply.body.startswith(SEVEN_ZIP_MAGIC) else None


@damaging("slow")
def _slow(fault: Fault, reply: Reply) -> Reply:
    """The right reply, after ``delay_seconds`` (1)."""
    reply.delay_seconds = float(fault.options.get("delay_seconds", 1.0))
    return reply


@damaging("slow_drip")
def _slow_drip(fault: Fault, reply: Reply) -> Reply:
    """The right headers, then ``bytes_at_once`` (1) bytes of the body every ``interval_seconds`` (1)."""
    reply.drip_seconds = float(fault.options.get("interval_seconds", 1.0))
    reply.drip_bytes = int(fault.options.get("bytes_at_once", 1))
    return reply


# -- form of the body -------------------------------------------------------------------------------------

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


def _change_text(reply: Reply, change: Callable[[bytes], bytes | None]) -> Reply | None:
    """Change the text of a body, inside its gzip envelope or its archive where it has one; None leaves it as it is."""
    is_compressed = reply.body.startswith(_GZIP_MAGIC)
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
    """A CSV body: its cells, and how they are written."""

    rows: list[list[str]]
    delimiter: str
    line_end: str
    start: bytes

    def write(self) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter, lineterminator=self.line_end).writerows(self.rows)
        return self.start + text.getvalue().encode()


def _read_csv(body: bytes) -> _Csv | None:
    """Read a CSV body; None for a body that is no CSV with a header."""
    start = _BOM if body.startswith(_BOM) else b""
    first = body[len(start) : 2000].split(b"\n", 1)[0]
    delimiter = ";" if b";" in first else ","
    if first[:1] in (b"<", b"{", b"[", b"") or delimiter.encode() not in first or b"\t" in first:
        return None
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), delimiter=delimiter))
    return _Csv(rows, delimiter, "\r\n" if first.endswith(b"\r") else "\n", start)


@damaging("wrong_content_type")
def _wrong_content_type(fault: Fault, reply: Reply) -> Reply:
    """The right body under the wrong ``content_type`` (text/html)."""
    reply.media_type = str(fault.options.get("content_type", "text/html"))
    return reply


@damaging("bom")
def _bom(fault: Fault, reply: Reply) -> Reply | None:
    """A byte order mark before a text body; a body that has one is left alone."""
    return _change_text(reply, lambda body: None if body.startswith(_BOM) else _BOM + body)


@damaging("crlf")
def _crlf(fault: Fault, reply: Reply) -> Reply | None:
    """CRLF for every LF of a text body; a body without a bare LF is left alone."""

    def change(body: bytes) -> bytes | None:
        changed, count = re.subn(rb"(?<!\r)\n", b"\r\n", body)
        return changed if count else None

    return _change_text(reply, change)


@damaging("new_column")
def _new_column(fault: Fault, reply: Reply) -> Reply | None:
    """A column more in a CSV body: ``column`` (NEW_COLUMN) before the last one, with ``value`` (x)."""

    def change(body: bytes) -> bytes | None:
        table = _read_csv(body)
        if table is None:
            return None
        for i, row in enumerate(table.rows):
            row.insert(-1, str(fault.options.get("value", "x") if i else fault.options.get("column", "NEW_COLUMN")))
        return table.write()

    return _change_text(reply, change)


@damaging("missing_column")
def _missing_column(fault: Fault, reply: Reply) -> Reply | None:
    """A column fewer in a CSV body: ``column``, or the last one."""

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


# -- data -------------------------------------------------------------------------------------------------


@spoils_records("unit")
def _unit_of_measures(fault: Fault, records: Records) -> bool:
    """The unit of the main measures is not the one the contract names."""
    in_millions = [record for record in records if record.get("Unit") == "mln euro"]
    for record in in_millions:
        record["Unit"] = "1 000 euro"
    return bool(in_millions)


@spoils_rows("unit")
def _unit_in_code(fault: Fault, rows: Rows) -> bool:
    """The unit of the main measures is not the one the contract names."""
    if rows.renamed_indicator is None:
        return False
    right, wrong = rows.renamed_indicator
    return rows.change(f"update {rows.table} set {rows.indicator} = ? where {rows.indicator} = ?", [wrong, right])


@spoils_rows("duplicate_key")
def _duplicate_key(fault: Fault, rows: Rows) -> bool:
    """One row is served twice."""
    position = rows.pick()
    return position is not None and rows.change(
        f"insert into {rows.table} select * from {rows.table} where position = ?", [position]
    )


@spoils_rows("missing_partners")
def _missing_partners(fault: Fault, rows: Rows) -> bool:
    """``partners`` (the largest ones) are left out; the totals stay."""
    return rows.change(
        f"delete from {rows.table} where list_contains(?, {rows.partner})",
        [list(fault.options.get("partners", rows.large_partners))],
    )


@spoils_rows("negative_value")
def _negative_value(fault: Fault, rows: Rows) -> bool:
    """One value has a minus sign."""
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.value} = '-' || {rows.value} where position = ?", [position]
    )


@spoils_rows("bad_number")
def _bad_number(fault: Fault, rows: Rows) -> bool:
    """One value is the text abc."""
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.value} = 'abc' where position = ?", [position]
    )


@spoils_rows("unknown_partner")
def _unknown_partner(fault: Fault, rows: Rows) -> bool:
    """One partner comes under a code that is in no code list."""
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.partner} = ? "
        f"where {rows.partner} = (select {rows.partner} from {rows.table} where position = ?)",
        [rows.unknown_partner, position],
    )


@spoils_rows("wrong_total")
def _wrong_total(fault: Fault, rows: Rows) -> bool:
    """The total of all partners is ten percent too high."""
    return rows.change(
        f"update {rows.table} "
        f"set {rows.value} = cast(round(try_cast({rows.value} as double) * 1.1) as bigint) "
        f"where {rows.partner} = ? and list_contains(?, {rows.indicator}) "
        f"and try_cast({rows.value} as double) >= 10",
        [rows.total, list(rows.main_indicators)],
    )


# A code in the place of the office's total, by that total. Eurostat has renamed such codes before.
_RENAMED_TOTALS = {"WORLD": "WRLD", "T001047": "T999999"}


@spoils_rows("renamed_aggregate")
def _renamed_aggregate(fault: Fault, rows: Rows) -> bool:
    """The total of all partners comes under another code: ``code``, or WRLD for WORLD and T999999 for T001047."""
    code = fault.options.get("code", _RENAMED_TOTALS.get(rows.total, f"{rows.total}_NEW"))
    return rows.change(f"update {rows.table} set {rows.partner} = ? where {rows.partner} = ?", [code, rows.total])


@spoils_rows("wrong_scale")
def _wrong_scale(fault: Fault, rows: Rows) -> bool:
    """The values of the main measures are ``factor`` (10) times what they should be, and nothing says so."""
    factor = str(Decimal(str(fault.options.get("factor", 10))))
    # Whole numbers stay whole, and nothing is padded: the office's own way of writing is no hint.
    scaled = f"cast({rows.value} as decimal(30, 6)) * cast('{factor}' as decimal(8, 4))"
    whole = f"cast(cast(round({scaled}) as hugeint) as varchar)"
    return rows.change(
        f"update {rows.table} set {rows.value} = if(contains({rows.value}, '.'), "
        f"rtrim(rtrim(cast(round({scaled}, 6) as varchar), '0'), '.'), {whole}) "
        f"where list_contains(?, {rows.indicator}) and try_cast({rows.value} as double) <> 0",
        [list(rows.main_indicators)],
    )


_REGISTRIES: tuple[Mapping[str, Callable[..., Any]], ...] = (REPLACING, DAMAGING, ROW_SPOILERS, RECORD_SPOILERS)

#: Every kind of fault, sorted.
KINDS = tuple(sorted({*OFFICE_KINDS, *(kind for registry in _REGISTRIES for kind in registry)}))


def describe_kinds() -> dict[str, str]:
    """Say in one line each what the kinds of faults do and which options they take (default in brackets)."""
    lines = dict(OFFICE_KINDS)
    for registry in _REGISTRIES:
        for kind, function in registry.items():
            lines[kind] = (function.__doc__ or "").partition("\n")[0]
    return {kind: lines[kind] for kind in KINDS}


class FaultBook:
    """The faults that are switched on, in the order they were added."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, descriptions: Sequence[Mapping[str, Any]]) -> None:
        """Switch faults on.

        Parameters
        ----------
        descriptions
            Each with ``match``, ``kind``, optionally ``times`` and ``after``, and the settings of its kind.

        Raises
        ------
        ValueError
            An unknown kind, a missing key or a pattern that is no regular expression; nothing is added.
        """
        faults = []
        for description in descriptions:
            options = dict(description)
            try:
                fault = Fault(
                    match=options.pop("match"),
                    kind=options.pop("kind"),
                    times=options.pop("times", None),
                    after=int(options.pop("after", 0)),
                    options=options,
                )
                re.compile(fault.match)
            except KeyError as error:
                raise ValueError(f"a fault needs the key {error}") from error
            except re.error as error:
                raise ValueError(f"match is not a regular expression: {error}") from error
            if fault.kind not in KINDS:
                raise ValueError(f"unknown kind {fault.kind!r}; known are {', '.join(KINDS)}")
            faults.append(fault)
        self.faults.extend(faults)

    def clear(self) -> None:
        """Switch all faults off."""
        self.faults.clear()

    def begin(self, url: str) -> None:
        """Count a request for the faults that let the first ones pass (``after``); once for each request."""
        for fault in self.faults:
            if fault.matches(url):
                fault.seen += 1

    def waiting(self, url: str, kinds: Mapping[str, Any]) -> list[Fault]:
        """Faults of some kinds that still wait for this URL."""
        return [
            fault
            for fault in self.faults
            if fault.kind in kinds
            and fault.times != 0
            and (not fault.after or fault.seen > fault.after)
            and fault.matches(url)
        ]

    def take(self, url: str, kind: str) -> Fault | None:
        """Use up a fault that only the office's own code can commit; None when none waits for this URL."""
        for fault in self.waiting(url, {kind: None}):
            self._use(fault)
            return fault
        return None

    @staticmethod
    def _use(fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1

    def replace(self, url: str) -> Reply | None:
        """Reply that stands in for the office's, if a fault says so."""
        for fault in self.waiting(url, REPLACING):
            self._use(fault)
            return REPLACING[fault.kind](fault)
        return None

    def damage(self, url: str, reply: Reply) -> Reply:
        """Damage the delivery of a reply."""
        for fault in self.waiting(url, DAMAGING):
            damaged = DAMAGING[fault.kind](fault, reply)
            if damaged is not None:
                self._use(fault)
                reply = damaged
        return reply

    def spoil_rows(self, url: str, rows: Rows) -> None:
        """Put wrong observations into a table."""
        for fault in self.waiting(url, ROW_SPOILERS):
            if ROW_SPOILERS[fault.kind](fault, rows):
                self._use(fault)

    def spoil_records(self, url: str, records: Records) -> None:
        """Put wrong metadata into records."""
        for fault in self.waiting(url, RECORD_SPOILERS):
            if RECORD_SPOILERS[fault.kind](fault, records):
                self._use(fault)
