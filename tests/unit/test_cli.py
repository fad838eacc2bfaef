"""The command line as a whole: whatever shell and file system it runs in, an error is a message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = "import metaalexport.cli as cli; cli.app = lambda: {body}; cli.main()"


def run(body: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", COMMAND.format(body=body)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=60, check=False)


def test_a_shell_without_unicode_shows_a_question_mark_and_no_error() -> None:
    done = run(r"cli.console.print('2025\N{EN DASH}2026')", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"2025?2026", b"")


def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    # Longer than a line of the screen: a path that is folded is of no use.
    path = tmp_path / ("f" * 90) / "x.json"
    path.parent.touch()
    done = run(f"open({str(path)!r})")
    assert done.returncode == 1
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert f"{path}: Not a directory; next: see that the path exists" in said
