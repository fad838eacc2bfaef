"""The raw store: an office's bytes, write-once and named by hash, with their request records.

Layout
------
``objects/<first two hex digits>/<sha256>``
    The body as received after transfer decoding. Read-only, never changed.
``requests/<dataset>/<request_id>.json``
    One record per request: URL, status, headers, sha256, bytes, time, outcome.
``history/<dataset>/<number>.json``
    Events of each load, in order.
``damaged/``
    Quarantined unreadable request records.
``kept/<dataset>/``
    Named bodies for reuse without a request, such as a constraint by the stamp of its structure.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.files import fsync_directory, hash_file, remove_left_behind, write_atomically
from extract.errors import RawIntegrityError
from extract.records import is_damaged, read_records, set_aside

SCHEMA_FOLDER = "_schema"
# Required keys by kind of record.
_KEYS = {
    "requests": ("request_id", "dataset", "purpose", "url", "content_type", "sha256", "transport", "outcome"),
    "history": ("event", "load_id", "at"),
}


@dataclass(frozen=True)
class RequestRecord:
    """One request and its reply.

    Attributes
    ----------
    request_id : str
        Sortable by time; unique.
    outcome : str
        ``ok``, or the reason why the reply was not accepted.
    retrieved_at : str
        UTC, ISO 8601: when the office sent the bytes (for a replay: when they were recorded, empty if unknown).
    transport : str
        ``live``, ``simulator`` or ``replay``.
    run_id : str
        The run that sent the request.
    """

    request_id: str
    dataset: str
    purpose: str
    url: str
    status: int
    content_type: str
    sha256: str
    bytes: int
    retrieved_at: str
    transport: str
    attempt: int
    outcome: str
    run_id: str = ""


class RawStore:
    """Write-once store of payloads under one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        remove_left_behind(self._incoming)

    def put(self, blocks: Iterable[bytes]) -> tuple[str, int]:
        """Store a body.

        Returns
        -------
        tuple of (str, int)
            Its sha256 and its size in bytes. Storing the same bytes twice keeps one copy.
        """
        temporary = self._incoming / uuid.uuid4().hex
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("wb") as handle:
                for block in blocks:
                    digest.update(block)
                    size += len(block)
                    handle.write(block)
                handle.flush()
                os.fsync(handle.fileno())
            sha256 = digest.hexdigest()
            target = self.path(sha256)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.chmod(0o444)
                temporary.replace(target)
                fsync_directory(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return sha256, size

    def path(self, sha256: str) -> Path:
        """Return the path of the body with this hash, whether or not it exists."""
        return self.root / "objects" / sha256[:2] / sha256

    def verified_path(self, sha256: str, *, dataset: str) -> Path:
        """Return the path of a body after verifying its hash.

        Raises
        ------
        RawIntegrityError
            If the body is missing or its bytes do not have this hash.
        """
        path = self.path(sha256)
        problem = None
        if not path.exists():
            problem = "a raw payload is missing"
        elif (actual := hash_file(path)) != sha256:
            problem = f"a raw payload was changed on disk: its bytes have sha256 {actual}"
        if problem:
            raise RawIntegrityError(
                problem,
                dataset=dataset,
                where=str(path),
                next_step="restore the file from a backup, or move it aside and load the dataset again",
            )
        return path

    def record(self, record: RequestRecord) -> None:
        """Store the record of a request and its reply."""
        target = self.root / "requests" / record.dataset / f"{record.request_id}.json"
        write_atomically(target, json.dumps(asdict(record), ensure_ascii=False) + "\n")

    def records(self) -> Iterator[RequestRecord]:
        """Yield all request records that can be read, oldest first within a dataset; `damaged` names the others."""
        for path in self._written("requests"):
            if not is_damaged(path, _KEYS["requests"]):
                yield RequestRecord(**read_records(path)[0])

    def damaged(self, kind: str = "requests") -> list[Path]:
        """Return the records of a kind (``requests``, or ``history`` of loads) that cannot be read."""
        return [path for path in self._written(kind) if is_damaged(path, _KEYS[kind])]

    def set_damaged_aside(self) -> list[Path]:
        """Move damaged request records to ``damaged/``; return the new paths.

        The history of loads is not touched: its files are numbered in order.
        """
        return [set_aside(path, self.root) for path in self.damaged()]

    def _written(self, kind: str) -> list[Path]:
        return sorted(path for path in (self.root / kind).glob("*/*.json") if path.parent.name != SCHEMA_FOLDER)

    def remember(self, dataset: str, name: str, sha256: str) -> None:
        """Store a body under a name, so that it need not be requested again."""
        write_atomically(self._kept(dataset, name), json.dumps({"name": name, "sha256": sha256}) + "\n")

    def recall(self, dataset: str, name: str) -> Path | None:
        """Return the body stored under a name, if there is one.

        Raises
        ------
        RawIntegrityError
            If its bytes were changed or removed.
        """
        note = self._kept(dataset, name)
        # A damaged note means that the office is requested again.
        if not note.exists() or is_damaged(note, ("sha256",)):
            return None
        return self.verified_path(read_records(note)[0]["sha256"], dataset=dataset)

    def keep_event(self, dataset: str, event: dict[str, Any]) -> Path:
        """Append an event of a load to the dataset's history (see `metaalexport.rebuild`).

        Only the process that holds the dataset's loads may call this.
        """
        folder = self.root / "history" / dataset
        last = max((int(path.stem) for path in folder.glob("*.json")), default=0)
        target = folder / f"{last + 1:06}.json"
        write_atomically(target, json.dumps(event, ensure_ascii=False) + "\n")
        return target

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield dataset and event of all readable events, in order of occurrence within a dataset."""
        for path in self._written("history"):
            if not is_damaged(path, _KEYS["history"]):
                yield path.parent.name, read_records(path)[0]

    def _kept(self, dataset: str, name: str) -> Path:
        return self.root / "kept" / dataset / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"

    def ensure_schema(self) -> None:
        """Write an empty file, so that readers of all request records find at least one."""
        folder = self.root / "requests" / SCHEMA_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "none.json").touch()

    def hashes(self) -> Iterator[str]:
        """Yield the name of every stored body."""
        for path in sorted((self.root / "objects").glob("*/*")):
            yield path.name
