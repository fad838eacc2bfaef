"""Faults, and the registries of their kinds.

A kind is one function under `register`; the first line of its docstring is its description. The registry
determines the arguments of the function and its result:

- ``REPLACING``: the fault. Returns the reply in place of that of the office (an error, a maintenance page), which is
  not computed.
- ``DAMAGING``: the fault and the correct reply. Returns the reply with its delivery damaged (cut, slow, mislabelled),
  or None for a body to which it does not apply; the fault then waits for another one.
- ``ROW_SPOILERS``: the fault and the table of observations that is about to be written. Changes the table and returns
  True if a row changed; only then the fault counts as used.
- ``RECORD_SPOILERS``: the same for a list of metadata records.

The kinds in ``OFFICE_KINDS`` have no function: the code of an office or of the server implements them and calls
`simulator.faults.book.FaultBook.take`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote_plus

import duckdb

from simulator.reply import Reply


@dataclass
class Fault:
    """A fault that is switched on.

    Attributes
    ----------
    match
        Regular expression searched in ``path?query``, as sent and percent-decoded.
    kind
        One of `simulator.faults.book.KINDS`.
    times
        Number of replies it still affects; None is every one.
    after
        Number of matching requests before the first one it affects.
    options
        Options of the kind, such as ``retry_after``, ``delay_seconds``, ``partners``.
    seen
        Number of matching requests so far.
    """

    match: str
    kind: str
    times: int | None = None
    after: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0

    def describe(self) -> dict[str, Any]:
        """Return the fault as the control endpoint shows it."""
        after = {"after": self.after} if self.after else {}
        return {"match": self.match, "kind": self.kind, "times": self.times, **after, **self.options}

    def matches(self, url: str) -> bool:
        """True if the pattern is found in a path and query, as sent or percent-decoded."""
        return bool(re.search(self.match, url) or re.search(self.match, unquote_plus(url)))


@dataclass(frozen=True)
class Rows:
    """Observations about to be written: a DuckDB table with text in every column except ``position``.

    Attributes
    ----------
    partner, indicator, value
        Names of these columns; ``position`` is the order of the rows.
    total
        Partner code of the total of all partners.
    aggregates
        Partner codes that are sums of others, ``total`` included.
    large_partners
        Partners that the fault ``missing_partners`` drops by default.
    unknown_partner
        Code that is in no code list.
    main_indicators
        Indicators whose values a fault may change.
    renamed_indicator
        Indicator code and the wrong code by which the fault ``unit`` replaces it, for an office that has the unit in
        the code.
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
        """Run a statement that changes the table; return True if it changed a row."""
        changed = self.connection.execute(statement, parameters).fetchone()
        return bool(changed and changed[0])

    def pick(self) -> int | None:
        """Return the position of the middle row with a value of a single partner: the same one every time."""
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

#: Description by kind of the faults that an office or the server implements.
OFFICE_KINDS: dict[str, str] = {
    "async_never": "Eurostat: a job that stays PROCESSING forever, even for a query that could be answered at once.",
    "async_footer": "Eurostat: the asynchronous reply in use before 2023, an SDMX-ML footer with the URL of a zip "
    "that returns 404 for the first ``misses`` (0) requests.",
    "duplicate_page": "CBS: a page of observations is served again in place of the next one.",
    "release_mid_run": "The release advances by one just before the matching request is answered.",
}

F = TypeVar("F", bound=Callable[..., Any])


def register(registry: dict[str, F], kind: str) -> Callable[[F], F]:
    """Return a decorator that registers a kind of fault."""

    def add(function: F) -> F:
        registry[kind] = function
        return function

    return add
