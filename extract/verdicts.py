"""A stored reply, and the verdict of its first inspection."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from extract.bodies import BLOCK
from extract.limits import unpacked_too_far
from extract.raw import RequestRecord
from extract.replies import LOOK, UnreadableError, in_words, read_text


@dataclass(frozen=True)
class Reply:
    """An accepted reply, on disk."""

    record: RequestRecord
    path: Path

    def text(self) -> str:
        """Return the body as text, without a byte order mark; see `extract.replies.read_text`."""
        return read_text(self.path)


# Returns None if the body is the requested data, else the verdict.
Inspector = Callable[[Path, str], "Verdict | None"]


@dataclass(frozen=True)
class Verdict:
    """Reason why a body is not the requested data, and whether a retry may succeed."""

    reason: str
    retryable: bool
    next_step: str = ""
    cause: Exception | None = None

    @classmethod
    def of(cls, error: Exception, next_step: str = LOOK) -> Verdict:
        """Return the verdict on a body that cannot be read."""
        if isinstance(error, UnreadableError):
            return cls(error.problem, error.retryable, next_step, error)
        return cls(f"the reply cannot be parsed: {in_words(error)}", False, next_step, error)


def is_gzip(path: Path) -> bool:
    """True for a gzip file, which Eurostat sends on request with any content type."""
    with path.open("rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def is_whole_gzip(path: Path) -> bool:
    """Read a gzip file to its end; True if length and checksum match.

    Raises
    ------
    UnreadableError
        If it unpacks to more than the limit.
    """
    packed, unpacked = path.stat().st_size, 0
    try:
        with gzip.open(path) as handle:
            while block := handle.read(BLOCK):
                unpacked += len(block)
                if problem := unpacked_too_far(packed, unpacked):
                    raise UnreadableError(f"the gzip file cannot be used: {problem}", path)
    except (EOFError, OSError, zlib.error):
        return False
    return True


def head_of(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a body, decompressed for a gzip file."""
    if not is_gzip(path):
        with path.open("rb") as handle:
            return handle.read(size)
    with path.open("rb") as handle:
        try:
            return zlib.decompressobj(wbits=31).decompress(handle.read(size), size)
        except zlib.error:
            return b""


def tail_of(path: Path, size: int = 4096) -> bytes:
    """Return the last bytes of a body."""
    with path.open("rb") as handle:
        handle.seek(0, 2)
        handle.seek(max(0, handle.tell() - size))
        return handle.read()


def looks_like_html(head: bytes) -> bool:
    """True for an HTML page, whatever the status and content type."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:512].lower()
    return start.startswith((b"<!doctype html", b"<html")) or b"<html" in start
