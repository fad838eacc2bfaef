"""Files that are whole for whoever reads them, also after a crash."""

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
# No run works on one of its private files or folders for so long.
_LEFT_BEHIND_SECONDS = 24 * 3600


def fsync_file(path: Path) -> None:
    """Make the bytes of a file survive a power cut."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def fsync_directory(directory: Path) -> None:
    """Make a rename in this directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_name(target: Path) -> Path:
    """Return a name beside a file or folder that no other process has, for what will take its place."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a private path to write to, which then takes the place of a file: readers see the old file or the new one.

    If the block raises, nothing is left and the old file stays.
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
    """Write a text file, and its folder if it is missing, so that a reader sees all of the text or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


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
