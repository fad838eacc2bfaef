"""Text of others as text: a terminal obeys nothing in it. Run by its path, this is a filter from input to output."""

from __future__ import annotations

import io
import re
import signal
import sys

# All of C0 but tab and line feed, DEL, all of C1, and what turns the direction of a line.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return a text without the characters that a terminal obeys.

    They are left out rather than shown as something: Rich counts no cell for them, so columns stay in line. What stands
    between them (``[2J``) is seen.
    """
    return _CONTROLS.sub("", text)


def main() -> None:
    """Pass lines on as harmless ones; Ctrl-C ends it without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n")
    screen = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    screen.writelines(map(harmless, lines))
    screen.flush()


if __name__ == "__main__":
    main()
