"""The raw store: an office's bytes, written once and named by their hash, with the request that got them.

Layout
------
``objects/<first two hex digits>/<sha256>``
    The body as received after transfer decoding. Read-only, never changed.
``requests/<dataset>/<request_id>.json``
    One record a request: URL, status, headers, sha256, bytes, time, outcome.
``kept/<dataset>/``
    Names under which bodies can be found again without asking, such as a constraint by the stamp of its structure.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from extract.errors import RawIntegrityError

_BLOCK = 1 << 20
SCHEMA_FOLDER = "_schema"
# No load works on one of its private files or folders for so long.
_LEFT_BEHIND_SECONDS = 24 * 3600


@dataclass(frozen=True)
class RequestRecord:
    """One request and its reply.

    Attributes
    ----------
    request_id : str
        Sortable by time; unique.
    outcome : str
        ``ok``, or why the reply was not accepted.
    retrieved_at : str
        UTC, ISO 8601: when the office sent the bytes (for a replay: when they were recorded, empty if unknown).
    transport : str
        ``live``, ``simulator`` or ``replay``.
    run_id : str
        The run that asked.
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


def fsync_directory(directory: Path) -> None:
    """Make a rename in this directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file so that a reader sees all of it or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_directory(path.parent)


def left_behind(folder: Path, pattern: str = "*") -> list[Path]:
    """Return private files and folders of runs that were killed: those that nobody has touched for a day."""
    found = []
    for path in sorted(folder.glob(pattern)):
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            # Its own run has just removed it.
            continue
        if age > _LEFT_BEHIND_SECONDS:
            found.append(path)
    return found


def remove_left_behind(folder: Path, pattern: str = "*") -> None:
    """Remove what killed runs left; see `left_behind`."""
    for path in left_behind(folder, pattern):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


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
        """Where the body with this hash is, or would be."""
        return self.root / "objects" / sha256[:2] / sha256

    def verified_path(self, sha256: str, *, dataset: str) -> Path:
        """Return the path of a body after comparing its bytes with its name.

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
        """Keep what was asked and what came back."""
        target = self.root / "requests" / record.dataset / f"{record.request_id}.json"
        write_atomically(target, json.dumps(asdict(record), ensure_ascii=False) + "\n")

    def records(self) -> Iterator[RequestRecord]:
        """Yield all request records, oldest first within a dataset."""
        for path in sorted((self.root / "requests").glob("*/*.json")):
            if path.parent.name != SCHEMA_FOLDER:
                yield RequestRecord(**json.loads(path.read_text(encoding="utf-8")))

    def remember(self, dataset: str, name: str, sha256: str) -> None:
        """Keep a body at hand under a name, so that it need not be asked for again."""
        write_atomically(self._kept(dataset, name), json.dumps({"name": name, "sha256": sha256}) + "\n")

    def recall(self, dataset: str, name: str) -> Path | None:
        """Return the body that was kept under a name, if there is one.

        Raises
        ------
        RawIntegrityError
            If its bytes were changed or removed.
        """
        note = self._kept(dataset, name)
        if not note.exists():
            return None
        return self.verified_path(json.loads(note.read_text(encoding="utf-8"))["sha256"], dataset=dataset)

    def _kept(self, dataset: str, name: str) -> Path:
        return self.root / "kept" / dataset / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"

    def ensure_schema(self) -> None:
        """Let a reader of all request records find at least one, row-less file."""
        folder = self.root / "requests" / SCHEMA_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "none.json").touch()

    def hashes(self) -> Iterator[str]:
        """Yield the name of every stored body."""
        for path in sorted((self.root / "objects").glob("*/*")):
            yield path.name
