"""What a reply may cost at most. Each limit is far above what the offices send, and stops what would never end.

A reply above one of them is a `BadReplyError`: it is not asked for again.
"""

from __future__ import annotations

_MB, _GB = 1 << 20, 1 << 30

# A body as it comes, and with its transfer encoding undone. The largest files are bulk files of some 100 MB.
MOST_BODY_BYTES = 2 * _GB
# What is read into memory whole: metadata, listings, JSON-stat. The largest listing is some 30 MB.
MOST_TEXT_BYTES = 256 * _MB
# What an archive or a compressed body unpacks to. It is piped and never lies on disk; a month of Comext is below 1 GB.
MOST_UNPACKED_BYTES = 16 * _GB
# Figures as text pack about 20 to 1. Small bodies may pack better: they cannot do harm.
MOST_EXPANSION, EXPANSION_FREE_BYTES = 200, 64 * _MB
# A bulk file of CBS is split over a few members.
MOST_MEMBERS = 1_000
# The first line of a table, which is read whole.
MOST_HEADER_BYTES = 1 << 16
# Levels of a JSON reply; the deepest has 6. DuckDB and Python both fail without an error far above this.
MOST_LEVELS = 100
# Redirects of one request. They must stay at the office, see `OfficeSession.lead`.
MOST_REDIRECTS = 5


def unpacked_too_far(packed: int, unpacked: int) -> str:
    """Say which limit is passed by what bytes unpack to; empty if none is."""
    if unpacked > MOST_UNPACKED_BYTES:
        return f"it unpacks to more than {MOST_UNPACKED_BYTES:,} bytes"
    if unpacked > max(EXPANSION_FREE_BYTES, MOST_EXPANSION * packed):
        return f"{packed:,} bytes unpack to more than {MOST_EXPANSION} times as many"
    return ""
