"""The landing area: one folder of Parquet a load, visible once its commit marker is there.

Layout
------
``<root>/<dataset>/<load_id>/<table>.parquet`` and ``load.json`` (the commit marker, written last).
``<root>/<dataset>/_schema/<table>.parquet`` has no rows, so that readers can rely on the columns.
``<root>/.staging/<load_id>/`` holds a load that is not committed; nobody but gate 1 reads it.

Tables of a load: ``observations`` (what the office said, typed), ``measures`` (units as stated and as declared),
``codes`` (code lists that came along), ``coverage`` (reporter, product, months asked for), ``rejects``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from extract.errors import ExtractError
from extract.raw import fsync_directory, write_atomically
from extract.registry import Dataset
from extract.sql import quote

MARKER = "load.json"
STAGED = "manifest.json"
SCHEMA_FOLDER = "_schema"

# One statement of the landing columns; parsers must produce exactly these.
COMMON_TABLES: dict[str, dict[str, str]] = {
    "measures": {
        "load_id": "VARCHAR",
        "measure_code": "VARCHAR",
        "stated_unit": "VARCHAR",
        "declared_unit": "VARCHAR",
        "canonical_unit": "VARCHAR",
        "factor": "DOUBLE",
    },
    "codes": {
        "load_id": "VARCHAR",
        "dimension": "VARCHAR",
        "code": "VARCHAR",
        "title": "VARCHAR",
        "description": "VARCHAR",
        "group_id": "VARCHAR",
        "status": "VARCHAR",
    },
    "coverage": {
        "load_id": "VARCHAR",
        "reporter_code": "VARCHAR",
        "product_code": "VARCHAR",
        "first_month": "DATE",
        "last_month": "DATE",
        "has_all_partners": "BOOLEAN",
    },
    "rejects": {
        "load_id": "VARCHAR",
        "request_no": "INTEGER",
        "rule": "VARCHAR",
        "row_content": "VARCHAR",
    },
}
OBSERVATIONS: dict[str, dict[str, str]] = {
    "cbs": {
        "load_id": "VARCHAR",
        "request_no": "INTEGER",
        "observation_no": "BIGINT",
        "measure": "VARCHAR",
        "value_attribute": "VARCHAR",
        "value": "DOUBLE",
        "partner": "VARCHAR",
        "product": "VARCHAR",
        "period": "VARCHAR",
    },
    "eurostat": {
        "load_id": "VARCHAR",
        "request_no": "INTEGER",
        "last_update": "VARCHAR",
        "freq": "VARCHAR",
        "reporter": "VARCHAR",
        "partner": "VARCHAR",
        "product": "VARCHAR",
        "flow": "VARCHAR",
        "measure": "VARCHAR",
        "period": "VARCHAR",
        "value": "DOUBLE",
    },
}

# Columns that identify an observation, by office.
OBSERVATION_KEYS: dict[str, tuple[str, ...]] = {
    "cbs": ("measure", "partner", "product", "period"),
    "eurostat": ("reporter", "partner", "product", "flow", "measure", "period"),
}


def landing_tables(dataset: Dataset) -> dict[str, dict[str, str]]:
    """Return table name to column types of a dataset's landing."""
    return {"observations": OBSERVATIONS[dataset.office], **COMMON_TABLES}


@dataclass(frozen=True)
class LoadManifest:
    """What a load is; as ``load.json`` in its folder it is the commit marker.

    Attributes
    ----------
    load_id : str
        Derived from dataset, slice, office vintage and payload hashes: the same reply gives the same id.
    vintage_at : str
        The office's own stamp, UTC, ISO 8601.
    request_ids, payload_sha256s : list of str
        The requests whose bytes were parsed; ``request_no`` in the rows is the position here, from 0.
    rows_read, rows_loaded, rows_rejected : int
        ``rows_read = rows_loaded + rows_rejected``.
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
    request_ids: list[str] = field(default_factory=list)
    payload_sha256s: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


class Landing:
    """The landing area under one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def ensure_schema(self, dataset: Dataset) -> None:
        """Write the row-less tables that let readers open a dataset before its first load."""
        folder = self.root / dataset.code / SCHEMA_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            for table, columns in landing_tables(dataset).items():
                target = folder / f"{table}.parquet"
                # One name a process: two that start at once must not write into the same file.
                temporary = folder / f".{table}.{os.getpid()}.tmp"
                projection = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in columns.items())
                connection.execute(f"copy (select {projection} limit 0) to {quote(str(temporary))} (format parquet)")
                temporary.replace(target)
        # Without rows as well: a reader of all markers needs at least one file.
        (folder / MARKER).touch()

    def stage(self, load_id: str) -> Path:
        """Return an empty staging folder for a load."""
        folder = self.root / ".staging" / load_id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def staged(self, load_id: str) -> tuple[Path, LoadManifest]:
        """Return the folder and the manifest of a staged load."""
        folder = self.root / ".staging" / load_id
        return folder, _read_manifest(folder / STAGED)

    def write_staged_manifest(self, folder: Path, manifest: LoadManifest) -> None:
        """Finish staging: after this the load can be gated."""
        write_atomically(folder / STAGED, json.dumps(manifest.to_dict(), ensure_ascii=False) + "\n")

    def commit(self, load_id: str) -> LoadManifest:
        """Make a staged load visible: move its folder into place, then write the marker.

        A crash between the two leaves a folder without a marker, which no reader looks at; repeating the commit
        writes the marker.

        Raises
        ------
        ExtractError
            If there is no such load, neither staged nor moved.
        """
        source = self.root / ".staging" / load_id
        # A commit that was killed has moved the folder already; repeating it goes on from there.
        moved = next((path for path in self.root.glob(f"*/{load_id}") if path.parent != source.parent), None)
        if source.exists():
            manifest = _read_manifest(source / STAGED)
            target = self.root / manifest.dataset / load_id
            if (target / MARKER).exists():
                shutil.rmtree(source)
                return manifest
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            for path in source.iterdir():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())
            source.replace(target)
            fsync_directory(target.parent)
        elif moved is not None:
            target = moved
            if (target / MARKER).exists():
                return _read_manifest(target / MARKER)
            manifest = _read_manifest(target / STAGED)
        else:
            raise ExtractError(
                f"there is no staged load {load_id} to commit",
                dataset=load_id.split("__")[0],
                where=str(source),
                next_step="load the dataset again",
            )
        write_atomically(target / MARKER, json.dumps(manifest.to_dict(), ensure_ascii=False) + "\n")
        (target / STAGED).unlink(missing_ok=True)
        return manifest

    def committed(self, dataset: str | None = None) -> Iterator[LoadManifest]:
        """Yield the committed loads, oldest vintage first."""
        pattern = f"{dataset or '*'}/*/{MARKER}"
        manifests = [_read_manifest(path) for path in self.root.glob(pattern) if path.parent.name != SCHEMA_FOLDER]
        yield from sorted(manifests, key=lambda m: (m.dataset, m.vintage_at, m.retrieved_at, m.load_id))

    def folder(self, manifest: LoadManifest) -> Path:
        """Where a committed load is."""
        return self.root / manifest.dataset / manifest.load_id


def _read_manifest(path: Path) -> LoadManifest:
    return LoadManifest(**json.loads(path.read_text(encoding="utf-8")))
