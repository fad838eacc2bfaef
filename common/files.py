"""Atomic and durable writes of files."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BLOCK = 1 << 20
# No run keeps a private file or folder this long.
_LEFT_BEHIND_SECONDS = 24 * 3600


def fsync_file(path: Path) -> None:
    """Flush a file to disk, so that it survives a power cut."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def fsync_directory(directory: Path) -> None:
    """Flush a directory to disk, so that a rename in it survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_name(target: Path) -> Path:
    """Return a unique temporary name next to a file or folder, for its replacement."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path that then replaces a file atomically: readers see the old file or the new one.

    If the block raises, the temporary file is removed and the old file remains.
    """
    temporary = private_name(target)
    try:
        yield temporary
        fsync_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_directory(target.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file atomically, creating its folder if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def left_behind(folder: Path, pattern: str = "*") -> list[Path]:
    """Return private files and folders of killed runs: those not modified for a day."""
    found = []
    for path in sorted(folder.glob(pattern)):
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            # Its run has just removed it.
            continue
        if age > _LEFT_BEHIND_SECONDS:
            found.append(path)
    return found


def remove_left_behind(folder: Path, pattern: str = "*") -> None:
    """Remove the leftovers of killed runs; see `left_behind`."""
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
