"""What every office module offers, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb

from extract.http import OfficeSession
from extract.registry import Dataset
from extract.slices import Slice
from extract.sql import quote


@dataclass(frozen=True)
class OfficeVersion:
    """The office's own stamp on a dataset.

    Attributes
    ----------
    version : str
        As the office writes it (CBS ``Version``, Eurostat ``LAST UPDATE``).
    vintage_at : str
        The same as UTC, ISO 8601.
    """

    version: str
    vintage_at: str


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
    """All replies of one load, of one vintage."""

    version: OfficeVersion
    payloads: tuple[Payload, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"version": self.version.__dict__, "payloads": [payload.__dict__ for payload in self.payloads]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fetched:
        """Undo `to_dict`."""
        return cls(OfficeVersion(**values["version"]), tuple(Payload(**p) for p in values["payloads"]))


@dataclass(frozen=True)
class Counts:
    """Rows of a parsed load: ``read = loaded + rejected``."""

    read: int
    loaded: int
    rejected: int


class Office(Protocol):
    """Protocol of an office module."""

    def base_url(self) -> str:
        """Return the public address, without a trailing slash."""
        ...

    def probe(self, session: OfficeSession, base_url: str, dataset: Dataset) -> OfficeVersion:
        """Ask cheaply for the current version."""
        ...

    def fetch(self, session: OfficeSession, base_url: str, dataset: Dataset, part: Slice) -> Fetched:
        """Bring all replies of a slice into the raw store, all of one version."""
        ...

    def parse(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        part: Slice,
        files: list[tuple[Payload, Path]],
        load_id: str,
    ) -> Counts:
        """Create the tables ``observations``, ``measures``, ``codes`` and ``rejects`` in the connection.

        `files` are the payloads in request order; ``request_no`` is the position in that list.
        """
        ...


def request_number(files: list[tuple[int, Path]], filename: str) -> str:
    """Return the SQL expression that turns a file's name into its ``request_no``.

    A look-up in a list and not a join: a join would lose the order of the rows, and with it the promise that the
    same reply gives the same bytes.
    """
    numbers = ", ".join(str(number) for number, _ in files)
    return f"([{numbers}])[list_position({file_list([path for _, path in files])}, {filename})]"


def file_list(paths: list[Path]) -> str:
    """Return a SQL list of file names."""
    return "[" + ", ".join(quote(str(path)) for path in paths) + "]"
