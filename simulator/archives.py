"""Zip and 7z archives: packing, and changing the content for a fault."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from os import utime
from pathlib import Path

import py7zr
from py7zr.io import BytesIOFactory

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
SEVEN_ZIP_MAGIC = b"7z\xbc\xaf\x27\x1c"
# Eurostat compresses more; the fastest preset keeps the tests short.
FILTERS = [{"id": py7zr.FILTER_LZMA2, "preset": 0}]
_MOST_BYTES = 1 << 31


def pack_seven_zip(target: Path, content: Path, member: str, instant: float) -> None:
    """Write a 7z archive of one file under a given name and time, so that the bytes are always the same."""
    utime(content, (instant, instant))
    with py7zr.SevenZipFile(target, "w", filters=FILTERS) as archive:
        archive.write(content, member)


def change_archive(body: bytes, change: Callable[[bytes], bytes | None]) -> bytes | None:
    """Return an archive with its observations changed.

    Parameters
    ----------
    body
        The archive.
    change
        Function that returns the new content of a member, or None to leave it unchanged. Of a zip it receives only the
        members named ``Observations…``.

    Returns
    -------
    bytes or None
        The new archive; None if no member changed.
    """
    return _change_zip(body, change) if body.startswith(ZIP_MAGIC) else _change_seven_zip(body, change)


def _change_zip(body: bytes, change: Callable[[bytes], bytes | None]) -> bytes | None:
    target, is_changed = io.BytesIO(), False
    with zipfile.ZipFile(io.BytesIO(body)) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as other:
        for member in archive.infolist():
            content = archive.read(member)
            changed = change(content) if member.filename.startswith("Observations") else None
            is_changed |= changed is not None
            other.writestr(member, content if changed is None else changed)
    return target.getvalue() if is_changed else None


def _change_seven_zip(body: bytes, change: Callable[[bytes], bytes | None]) -> bytes | None:
    factory = BytesIOFactory(_MOST_BYTES)
    with py7zr.SevenZipFile(io.BytesIO(body)) as archive:
        archive.extractall(factory=factory)
    ((name, member),) = factory.products.items()
    member.seek(0)
    changed = change(member.read())
    if changed is None:
        return None
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        content, target = Path(folder) / "content", Path(folder) / "archive"
        content.write_bytes(changed)
        pack_seven_zip(target, content, Path(name).name, 0.0)
        return target.read_bytes()
