"""Interface of the office modules, and shared helpers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import duckdb

from common.sql import quote, text_list
from extract.dataset import Dataset
from extract.http import OfficeSession
from extract.parsing import Finding, Rows
from extract.slices import Slice
from extract.verdicts import Reply


@dataclass(frozen=True)
class OfficeVersion:
    """The office's version stamp of a dataset.

    Attributes
    ----------
    version : str
        As the office writes it (CBS ``Version``, Eurostat ``LAST UPDATE``).
    vintage_at : str
        The same as UTC, ISO 8601.
    notice : str
        The office's notice about an irregular dataset, for example a discontinued one; else empty.
    """

    version: str
    vintage_at: str
    notice: str = ""


@dataclass(frozen=True)
class Payload:
    """A stored reply that belongs to a load."""

    request_id: str
    purpose: str
    sha256: str
    url: str
    retrieved_at: str


@dataclass(frozen=True)
class Fetched:
    """All replies of one load, of one vintage.

    Attributes
    ----------
    protocol : str
        Protocol of the requests, which decides how the replies are read.
    findings : tuple of Finding
        Deviations from the declaration found before any row was read, such as codes that the office does not offer.
    """

    version: OfficeVersion
    payloads: tuple[Payload, ...]
    protocol: str
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "version": self.version.__dict__,
            "payloads": [payload.__dict__ for payload in self.payloads],
            "protocol": self.protocol,
            "findings": [finding.__dict__ for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fetched:
        """Return the object of `to_dict`'s output."""
        return cls(
            OfficeVersion(**values["version"]),
            tuple(Payload(**p) for p in values["payloads"]),
            values["protocol"],
            tuple(Finding(**f) for f in values["findings"]),
        )


Files = list[tuple[Payload, Path]]


@dataclass(frozen=True)
class Metadata:
    """Units of measures and code lists of a load.

    Attributes
    ----------
    stated_units : dict of str to str
        Unit of each measure as the office states it; measures without a stated unit are absent.
    codes : list of tuple
        Rows of ``codes``: dimension, code, title, description, group id, status.
    """

    stated_units: dict[str, str] = field(default_factory=dict)
    codes: list[tuple[str, str, str, str, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class CatalogueEntry:
    """A table of an office's catalogue."""

    identifier: str
    title: str
    updated: str
    status: str


class Office(Protocol):
    """Protocol of an office module."""

    def hosts(self) -> dict[str, str]:
        """Return the public base URLs by name, without a trailing slash."""
        ...

    def greeting(self, hosts: dict[str, str]) -> str:
        """Return a URL with a small and quick reply, to check that the office is reachable."""
        ...

    def probe(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> OfficeVersion:
        """Request the current version at low cost."""
        ...

    def fetch(self, session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
        """Fetch all replies of a slice, of a single version, into the raw store."""
        ...

    def metadata(self, dataset: Dataset, fetched: Fetched, files: Files) -> Metadata:
        """Read units and code lists from stored replies."""
        ...

    def rows(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, part: Slice, fetched: Fetched, files: Files
    ) -> tuple[Rows, list[Finding]]:
        """Return the stored replies as rows, and findings where their layout differs from the declaration.

        `files` are the payloads in request order; ``request_no`` is the position in that list.
        """
        ...

    def discover(self, session: OfficeSession, hosts: dict[str, str], words: tuple[str, ...]) -> list[CatalogueEntry]:
        """Return the tables of the office's catalogue whose title or id has all the words."""
        ...


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def reads_replies(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Wrap a function that requests from an office so that its errors name the unreadable reply.

    Applies to all public functions with a session argument; see `extract.replies.reading`.
    """

    @wraps(function)
    def guarded(*args: Parameters.args, **named: Parameters.kwargs) -> Result:
        session = next(value for value in (*args, *named.values()) if isinstance(value, OfficeSession))
        with session.reading():
            return function(*args, **named)

    return guarded


def as_payload(reply: Reply) -> Payload:
    """Return the fields of a reply that a load stores."""
    record = reply.record
    return Payload(record.request_id, record.purpose, record.sha256, record.url, record.retrieved_at)


def request_number(files: list[tuple[int, Path]], filename: str) -> str:
    """Return the SQL expression that turns a file's name into its ``request_no``.

    A list look-up, because a join would lose the row order, and the same reply must give the same bytes.
    """
    numbers = ", ".join(str(number) for number, _ in files)
    return f"([{numbers}])[list_position({text_list(path for _, path in files)}, {filename})]"


def ready(query: str) -> Any:
    """Return a `Rows.open` factory for a query that reads files in place."""

    @contextmanager
    def give() -> Iterator[str]:
        yield query

    return give


def in_slice(dataset: Dataset, part: Slice) -> str:
    """Return the SQL condition of the rows of a slice, in terms of the landing columns' expressions.

    For replies that hold more than the slice: a recording, or a file that the office offers only as a whole.
    """
    conditions = [f"measure in ({', '.join(quote(code) for code in dataset.measure_codes)})"]
    for column, wanted in (("partner", part.partners), ("product", part.products)):
        if wanted and column in dataset.columns:
            exact = [code for code in wanted if not code.endswith("*")]
            some = [f"{column} in ({', '.join(quote(code) for code in exact)})"] if exact else []
            some += [f"starts_with({column}, {quote(code[:-1])})" for code in wanted if code.endswith("*")]
            conditions.append(f"({' or '.join(some)})")
    if "reporter" in dataset.columns and part.reporter != "*":
        conditions.append(f"reporter = {quote(part.reporter)}")
    for dimension, codes in dataset.select.items():
        conditions.append(f"{dataset.dimensions[dimension]} in ({', '.join(quote(code) for code in codes)})")
    return " and ".join(conditions)
