"""Limits on the size of a reply, each far above what the offices send, to stop endless replies.

A reply above a limit raises `BadReplyError` and is not requested again.
"""

from __future__ import annotations

_MB, _GB = 1 << 20, 1 << 30

# A body as received, and after decoding. The largest files are bulk files of some 100 MB.
MOST_BODY_BYTES = 2 * _GB
# Replies read into memory whole: metadata, listings, JSON-stat. The largest listing is some 30 MB.
MOST_TEXT_BYTES = 256 * _MB
# Unpacked size of an archive or compressed body. It is piped, never stored; a month of Comext is below 1 GB.
MOST_UNPACKED_BYTES = 16 * _GB
# Figures as text compress about 20 to 1. Small bodies may compress better: they can do no harm.
MOST_EXPANSION, EXPANSION_FREE_BYTES = 200, 64 * _MB
# A CBS bulk file is split over a few members.
MOST_MEMBERS = 1_000
# The first line of a table, which is read whole.
MOST_HEADER_BYTES = 1 << 16
# Nesting depth of a JSON reply; the deepest has 6. Far above this, DuckDB and Python crash without an error.
MOST_LEVELS = 100
# Redirects of one request, all within the office's hosts; see `OfficeSession.lead`.
MOST_REDIRECTS = 5


def unpacked_too_far(packed: int, unpacked: int) -> str:
    """Return a description of the limit that unpacked bytes exceed; empty if none."""
    if unpacked > MOST_UNPACKED_BYTES:
        return f"it unpacks to more than {MOST_UNPACKED_BYTES:,} bytes"
    if unpacked > max(EXPANSION_FREE_BYTES, MOST_EXPANSION * packed):
        return f"{packed:,} bytes unpack to more than {MOST_EXPANSION} times as many"
    return ""
