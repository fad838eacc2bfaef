"""Removal of terminal control characters from foreign text; run as a script, a filter from stdin to stdout."""

from __future__ import annotations

import io
import re
import signal
import sys

# C0 except tab and line feed, DEL, C1, and the controls of writing direction.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return a text without the control characters of a terminal.

    They are removed, not replaced: Rich counts no cell for them, so columns stay aligned. The printable rest of a
    sequence (``[2J``) remains.
    """
    return _CONTROLS.sub("", text)


def main() -> None:
    """Filter lines from stdin to stdout; Ctrl-C ends it silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n")
    screen = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    screen.writelines(map(harmless, lines))
    screen.flush()


if __name__ == "__main__":
    main()
