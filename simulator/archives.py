"""Archives whose content a fault changes."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from os import utime
from pathlib import Path

import py7zr
from py7zr.io import BytesIOFactory

ZIP_MAGIC = b"PK\x03\x04"
SEVEN_ZIP_MAGIC = b"7z\xbc\xaf\x27\x1c"
# The office packs better; a test does not wait for that.
FILTERS = [{"id": py7zr.FILTER_LZMA2, "preset": 0}]
_MOST_BYTES = 1 << 31


def pack_seven_zip(target: Path, content: Path, member: str, instant: float) -> None:
    """Write a 7z archive of one file under a name, with a time: the same bytes every time."""
    utime(content, (instant, instant))
    with py7zr.SevenZipFile(target, "w", filters=FILTERS) as archive:
        archive.write(content, member)


def change_archive(body: bytes, change: Callable[[bytes], bytes | None]) -> bytes | None:
    """Change the observations in a zip or 7z archive.

    Parameters
    ----------
    body
        The archive.
    change
        Gives the new content of a member, None where it leaves it as it is. Of a zip only the members called
        ``Observations…`` are shown to it.

    Returns
    -------
    bytes or None
        The new archive; None if nothing was changed.
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
