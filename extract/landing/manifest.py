"""Manifest of a load, and the test for loads that cover the same cells."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.landing.layout import MARKER
from extract.records import read_record
from extract.slices import Slice

_MANIFEST_TEXTS = ("load_id", "dataset", "office", "reporter", "office_version", "transport")
# Next steps for a damaged file of a committed load and of an uncommitted one.
RESTORE = "restore it from a backup, or make the landing area again: docs/runbook.md, 'Back up and restore'"
AGAIN = "load the dataset again"
ALL_PARTNERS = "*"


@dataclass(frozen=True)
class LoadManifest:
    """Description of a load; as ``load.json`` in its folder it is the commit marker.

    Attributes
    ----------
    load_id : str
        Derived from dataset, slice, office vintage and payload hashes: the same reply gives the same id.
    vintage_at : str
        The office's timestamp, UTC, ISO 8601.
    request_ids, payload_sha256s : list of str
        The requests whose bytes were parsed; ``request_no`` in the rows is the position here, from 0.
    rows_read, rows_loaded, rows_rejected : int
        ``rows_read = rows_loaded + rows_rejected``.
    rows_changed, rows_withdrawn : int
        Cells that are new or differ from earlier loads, and cells that the office no longer shows. Set by the commit;
        their sum is the number of rows of ``changes``.
    panel : str
        The partner set: ``*`` if all partners were requested, else a digest of the requested ones. Loads of different
        partner sets never change each other's cells.
    is_full : bool
        True if the dataset was requested from its first period.
    protocol : str
        Protocol of the requests (``odata_v4``, ``csv_zip``, ``odata_v3``, ``sdmx``, ``comext_bulk``).
    """

    load_id: str
    dataset: str
    office: str
    reporter: str
    slice: dict[str, Any]
    office_version: str
    vintage_at: str
    retrieved_at: str
    transport: str
    is_simulated: bool
    rows_read: int
    rows_loaded: int
    rows_rejected: int
    rows_changed: int = 0
    rows_withdrawn: int = 0
    panel: str = ALL_PARTNERS
    is_full: bool = True
    protocol: str = ""
    request_ids: list[str] = field(default_factory=list)
    payload_sha256s: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @property
    def order(self) -> tuple[str, str, str]:
        """Sort key of the loads of a dataset."""
        return (self.vintage_at, self.retrieved_at, self.load_id)


@dataclass(frozen=True)
class Withdrawal:
    """A withdrawn load and the reason for it.

    Attributes
    ----------
    withdrawn_at : str
        UTC, ISO 8601.
    reason : str
        As entered by a person.
    """

    load: LoadManifest
    withdrawn_at: str
    reason: str


def panel_of(part: Slice) -> str:
    """Return the partner set of a slice: `ALL_PARTNERS`, or a digest of the requested partners."""
    if not part.partners:
        return ALL_PARTNERS
    return hashlib.sha256(",".join(sorted(part.partners)).encode()).hexdigest()[:12]


def slices_meet(one: LoadManifest, other: LoadManifest) -> bool:
    """True if two loads can cover the same cell."""
    first, second = Slice.from_dict(one.slice), Slice.from_dict(other.slice)
    months = first.first_month <= (second.last_month or "9999") and second.first_month <= (first.last_month or "9999")
    reporters = first.reporter == second.reporter or "*" in (first.reporter, second.reporter)
    return (
        months
        and reporters
        and (
            not (first.products and second.products)
            or any(_codes_meet(a, b) for a in first.products for b in second.products)
        )
    )


def _codes_meet(one: str, other: str) -> bool:
    """True if two product codes, each possibly a prefix, can mean the same product."""
    if one.endswith("*") and other.endswith("*"):
        return one.startswith(other[:-1]) or other.startswith(one[:-1])
    if one.endswith("*") or other.endswith("*"):
        prefix, code = (one, other) if one.endswith("*") else (other, one)
        return code.startswith(prefix[:-1])
    return one == other


def manifest_of(folder: Path, kind: str) -> LoadManifest:
    """Read the marker of a load named by the user."""
    if not (folder / MARKER).exists():
        raise ExtractError(
            f"there is no {kind} load {folder.name}",
            dataset=folder.name.split("__")[0],
            where=str(folder),
            next_step="`metaalexport status` shows the newest loads and those that were withdrawn, `ops.loads` all",
        )
    return read_manifest(folder / MARKER)


def read_manifest(path: Path, next_step: str = RESTORE) -> LoadManifest:
    """Read a commit marker or the manifest of a staged load.

    Raises
    ------
    ExtractError
        If it is damaged; it names the file and `next_step`.
    """
    dataset = path.parent.name.split("__")[0]
    return LoadManifest(**read_record(path, _MANIFEST_TEXTS, dataset=dataset, next_step=next_step))
