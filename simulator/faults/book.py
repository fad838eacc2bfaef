"""The book of faults: those that are switched on, and the requests they wait for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Importing these modules registers their kinds.
from simulator.faults import data, form, transport  # noqa: F401
from simulator.faults.registry import (
    DAMAGING,
    OFFICE_KINDS,
    RECORD_SPOILERS,
    REPLACING,
    ROW_SPOILERS,
    Fault,
    Records,
    Rows,
)
from simulator.reply import Reply

_REGISTRIES: tuple[Mapping[str, Callable[..., Any]], ...] = (REPLACING, DAMAGING, ROW_SPOILERS, RECORD_SPOILERS)

#: Every kind of fault, sorted.
KINDS = tuple(sorted({*OFFICE_KINDS, *(kind for registry in _REGISTRIES for kind in registry)}))


def describe_kinds() -> dict[str, str]:
    """Return one line per kind of fault: its effect and its options (defaults in brackets)."""
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
            Each with ``match``, ``kind``, optionally ``times`` and ``after``, and the options of its kind.

        Raises
        ------
        ValueError
            An unknown kind, a missing key or an invalid regular expression; no fault is added.
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
        """Count a request for the faults with ``after``; call once per request."""
        for fault in self.faults:
            if fault.matches(url):
                fault.seen += 1

    def waiting(self, url: str, kinds: Mapping[str, Any]) -> list[Fault]:
        """Return the faults of some kinds that still wait for this URL."""
        return [
            fault
            for fault in self.faults
            if fault.kind in kinds
            and fault.times != 0
            and (not fault.after or fault.seen > fault.after)
            and fault.matches(url)
        ]

    def take(self, url: str, kind: str) -> Fault | None:
        """Use and return a fault of `OFFICE_KINDS`; None if none waits for this URL."""
        for fault in self.waiting(url, {kind: None}):
            self._use(fault)
            return fault
        return None

    @staticmethod
    def _use(fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1

    def replace(self, url: str) -> Reply | None:
        """Return the reply that replaces the office's; None if no fault replaces it."""
        for fault in self.waiting(url, REPLACING):
            self._use(fault)
            return REPLACING[fault.kind](fault)
        return None

    def damage(self, url: str, reply: Reply) -> Reply:
        """Return a reply with its delivery damaged by the waiting faults."""
        for fault in self.waiting(url, DAMAGING):
            damaged = DAMAGING[fault.kind](fault, reply)
            if damaged is not None:
                self._use(fault)
                reply = damaged
        return reply

    def spoil_rows(self, url: str, rows: Rows) -> None:
        """Apply the waiting faults to a table of observations."""
        for fault in self.waiting(url, ROW_SPOILERS):
            if ROW_SPOILERS[fault.kind](fault, rows):
                self._use(fault)

    def spoil_records(self, url: str, records: Records) -> None:
        """Apply the waiting faults to records of metadata."""
        for fault in self.waiting(url, RECORD_SPOILERS):
            if RECORD_SPOILERS[fault.kind](fault, records):
                self._use(fault)
