"""The command line as a whole: in any shell and file system, an error is a message."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metaalexport import cli
from metaalexport.published import NothingPublishedError

COMMAND = "import metaalexport.cli as cli; cli.app = lambda: {body}; cli.main()"


def run(body: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", COMMAND.format(body=body)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=60, check=False)


def test_shell_without_unicode_shows_a_question_mark_and_no_error() -> None:
    done = run(r"cli.pipeline.console.print('2025\N{EN DASH}2026')", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"2025?2026", b"")


def test_unusable_path_is_named(tmp_path: Path) -> None:
    # Longer than a line of the screen: a wrapped path is useless.
    path = tmp_path / ("f" * 90) / "x.json"
    path.parent.touch()
    done = run(f"open({str(path)!r})")
    assert done.returncode == 1
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert f"{path}: Not a directory; next: check that the path exists" in said


@pytest.mark.parametrize(
    "error",
    ["cli.ExtractError({!r}, dataset='d')", "ValueError({!r})", "OSError({!r})"],
    ids=["known", "unknown", "system"],
)
def test_office_text_in_an_error_cannot_control_the_terminal(error: str) -> None:
    office = "\x1b]0;owned\x07\x1b[2J\u202e [red]tin[/]"
    body = f"(_ for _ in ()).throw({error.format(office)})"
    done = run(body, FORCE_COLOR="1", TERM="xterm")
    assert done.returncode == 1
    said = done.stderr.decode()
    assert ("Traceback" in said) == ("Extract" not in error)
    assert "]0;owned[2J [red]tin[/]" in said
    # Only the colour of an error is left.
    assert re.findall(r"\x1b\[?[0-9;]*.", said) == ["\x1b[31m", "\x1b[0m"] * said.count("\x1b[31m")
    assert not re.search("[\x07\u202e]", said)


def test_run_that_publishes_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAALEXPORT_VAR", str(tmp_path))
    monkeypatch.setenv("METAALEXPORT_PROFILE", "replay")
    monkeypatch.setenv("METAALEXPORT_REPLAY", str(tmp_path))
    monkeypatch.setattr("metaalexport.airflow_home.prepare_airflow", lambda settings: None)
    monkeypatch.setattr("metaalexport.airflow_run.run_in_own_process", lambda *arguments, **options: True)
    done = CliRunner().invoke(cli.app, ["run"])
    assert done.exit_code == 1
    assert isinstance(done.exception, NothingPublishedError)
    assert "next: make run SOURCE=replay" in str(done.exception)
