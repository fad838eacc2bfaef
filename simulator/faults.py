"""Faults that can be switched on: broken transport and wrong data.

A new kind is one function under one decorator:

- `replacing`: the reply is something else altogether (an error, a maintenance page); nothing is computed.
- `damaging`: the right reply, delivered badly (cut, slow).
- `spoils_rows`: wrong rows in a reply of observations. The function changes the table that is about to be
  written and says whether it changed anything; only then the fault counts as used.
- `spoils_records`: the same for a list of metadata records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote_plus

import duckdb


@dataclass
class Reply:
    """An HTTP reply before it is sent.

    Attributes
    ----------
    delay_seconds
        Time to wait before the first byte.
    cut_after
        Close the connection after this many bytes although the headers promise all of ``body``.
    """

    body: bytes
    media_type: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut_after: int | None = None


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
    options
        Settings of the kind, such as ``retry_after``, ``delay_seconds``, ``partners``.
    """

    match: str
    kind: str
    times: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Write the fault as the control endpoint shows it."""
        return {"match": self.match, "kind": self.kind, "times": self.times, **self.options}


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
DAMAGING: dict[str, Callable[[Fault, Reply], Reply]] = {}
ROW_SPOILERS: dict[str, Callable[[Fault, Rows], bool]] = {}
RECORD_SPOILERS: dict[str, Callable[[Fault, Records], bool]] = {}


F = TypeVar("F", bound=Callable[..., Any])


def _register(registry: dict[str, F], kind: str) -> Callable[[F], F]:
    def add(function: F) -> F:
        registry[kind] = function
        return function

    return add


def replacing(kind: str) -> Callable[[Callable[[Fault], Reply]], Callable[[Fault], Reply]]:
    """Register a fault that answers in the office's place."""
    return _register(REPLACING, kind)


def damaging(kind: str) -> Callable[[Callable[[Fault, Reply], Reply]], Callable[[Fault, Reply], Reply]]:
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
    return _error_page(500, "Internal Server Error")


@replacing("http_503")
def _http_503(fault: Fault) -> Reply:
    return _with_retry_after(_error_page(503, "Service Unavailable"), fault)


@replacing("http_429")
def _http_429(fault: Fault) -> Reply:
    return _with_retry_after(_error_page(429, "Too Many Requests"), fault)


def _with_retry_after(reply: Reply, fault: Fault) -> Reply:
    if "retry_after" in fault.options:
        reply.headers["Retry-After"] = str(fault.options["retry_after"])
    return reply


@replacing("html_200")
def _html_200(fault: Fault) -> Reply:
    text = (
        "<!DOCTYPE html><html><head><title>Maintenance</title></head>"
        "<body><h1>The site is under maintenance</h1><p>Please come back later.</p></body></html>"
    )
    return Reply(text.encode(), "text/html")


@damaging("reset")
def _reset(fault: Fault, reply: Reply) -> Reply:
    reply.cut_after = len(reply.body) // 2
    return reply


@damaging("truncate")
def _truncate(fault: Fault, reply: Reply) -> Reply:
    reply.body = reply.body[: len(reply.body) // 2]
    return reply


@damaging("slow")
def _slow(fault: Fault, reply: Reply) -> Reply:
    reply.delay_seconds = float(fault.options.get("delay_seconds", 1.0))
    return reply


# -- data -------------------------------------------------------------------------------------------------


@spoils_records("unit")
def _unit_of_measures(fault: Fault, records: Records) -> bool:
    in_millions = [record for record in records if record.get("Unit") == "mln euro"]
    for record in in_millions:
        record["Unit"] = "1 000 euro"
    return bool(in_millions)


@spoils_rows("unit")
def _unit_in_code(fault: Fault, rows: Rows) -> bool:
    if rows.renamed_indicator is None:
        return False
    right, wrong = rows.renamed_indicator
    return rows.change(f"update {rows.table} set {rows.indicator} = ? where {rows.indicator} = ?", [wrong, right])


@spoils_rows("duplicate_key")
def _duplicate_key(fault: Fault, rows: Rows) -> bool:
    position = rows.pick()
    return position is not None and rows.change(
        f"insert into {rows.table} select * from {rows.table} where position = ?", [position]
    )


@spoils_rows("missing_partners")
def _missing_partners(fault: Fault, rows: Rows) -> bool:
    return rows.change(
        f"delete from {rows.table} where list_contains(?, {rows.partner})",
        [list(fault.options.get("partners", rows.large_partners))],
    )


@spoils_rows("negative_value")
def _negative_value(fault: Fault, rows: Rows) -> bool:
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.value} = '-' || {rows.value} where position = ?", [position]
    )


@spoils_rows("bad_number")
def _bad_number(fault: Fault, rows: Rows) -> bool:
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.value} = 'abc' where position = ?", [position]
    )


@spoils_rows("unknown_partner")
def _unknown_partner(fault: Fault, rows: Rows) -> bool:
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.partner} = ? "
        f"where {rows.partner} = (select {rows.partner} from {rows.table} where position = ?)",
        [rows.unknown_partner, position],
    )


@spoils_rows("wrong_total")
def _wrong_total(fault: Fault, rows: Rows) -> bool:
    return rows.change(
        f"update {rows.table} "
        f"set {rows.value} = cast(round(try_cast({rows.value} as double) * 1.1) as bigint) "
        f"where {rows.partner} = ? and list_contains(?, {rows.indicator}) "
        f"and try_cast({rows.value} as double) >= 10",
        [rows.total, list(rows.main_indicators)],
    )


KINDS = tuple(sorted({*REPLACING, *DAMAGING, *ROW_SPOILERS, *RECORD_SPOILERS}))


class FaultBook:
    """The faults that are switched on, in the order they were added."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, descriptions: Sequence[Mapping[str, Any]]) -> None:
        """Switch faults on.

        Parameters
        ----------
        descriptions
            Each with ``match``, ``kind``, optionally ``times``, and the settings of its kind.

        Raises
        ------
        ValueError
            An unknown kind, a missing key or a pattern that is no regular expression; nothing is added.
        """
        faults = []
        for description in descriptions:
            options = dict(description)
            try:
                fault = Fault(options.pop("match"), options.pop("kind"), options.pop("times", None), options)
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

    def waiting(self, url: str, kinds: Mapping[str, Any]) -> list[Fault]:
        """Faults of some kinds that still wait for this URL."""
        decoded = unquote_plus(url)
        return [
            fault
            for fault in self.faults
            if fault.kind in kinds
            and fault.times != 0
            and (re.search(fault.match, url) or re.search(fault.match, decoded))
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
            self._use(fault)
            reply = DAMAGING[fault.kind](fault, reply)
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
