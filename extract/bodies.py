"""Streaming reader of a reply's body: decompressed, bounded, and verified complete."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import requests

from extract.limits import MOST_BODY_BYTES, unpacked_too_far
from extract.replies import UnreadableError

BLOCK = 1 << 18


def read_body(response: requests.Response) -> Iterator[bytes]:
    """Yield the body with its transfer encoding undone.

    Raises
    ------
    requests.exceptions.ContentDecodingError
        If the gzip stream is corrupt or truncated; the underlying libraries return a short body without an error.
    UnreadableError
        If the body exceeds the limits of `extract.limits`.
    """
    received = size = 0

    def blocks() -> Iterator[bytes]:
        nonlocal received
        for block in response.raw.stream(BLOCK, decode_content=False):
            received += len(block)
            yield block

    is_packed = "gzip" in response.headers.get("Content-Encoding", "").lower()
    for piece in _unpacked(blocks()) if is_packed else blocks():
        size += len(piece)
        if max(received, size) > MOST_BODY_BYTES:
            raise UnreadableError(f"the reply has more than {MOST_BODY_BYTES:,} bytes")
        if problem := unpacked_too_far(received, size):
            raise UnreadableError(f"the reply cannot be used: {problem}")
        yield piece


def _unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip in blocks of bounded size, whatever the compression ratio."""
    decoder = zlib.decompressobj(wbits=31)
    try:
        for block in blocks:
            while block:
                yield decoder.decompress(block, BLOCK)
                block = decoder.unconsumed_tail
                if decoder.eof:
                    # A gzip stream may have several concatenated members.
                    block = decoder.unused_data
                    if block:
                        decoder = zlib.decompressobj(wbits=31)
        yield decoder.flush()
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError(f"the gzip stream is broken: {error}") from error
    if not decoder.eof:
        raise requests.exceptions.ContentDecodingError("the gzip stream is cut off")
