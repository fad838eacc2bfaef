"""The prompt of `metaalexport sql` in a real terminal, and a statement from a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from metaalexport.settings import Settings
from tests.docs.test_docs import fences, read
from tests.unit.test_prompt import publish_small

pytestmark = pytest.mark.integration
COMMAND = str(Path(sys.executable).with_name("metaalexport"))
LONG_QUERY = "select count(*) from range(1000000) a, range(1000000) b where a.range * b.range % 7 = 3;"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a state in which something small is published."""
    settings = Settings(profile="simulator", state=tmp_path / "var" / "simulator")
    publish_small(settings)
    return settings


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """A user's environment; the terminal of the tests does not answer where its cursor is."""
    return {**os.environ, "METAALEXPORT_VAR": str(settings.state.parent), "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[pexpect.spawn]:
    """The prompt, waiting for a first statement."""
    process = pexpect.spawn(
        COMMAND,
        ["sql"],
        env=environment,  # type: ignore[arg-type]
        dimensions=(40, 120),
        encoding="utf-8",
        timeout=60,
    )
    process.expect("SIMULATED data, read-only")
    process.expect("simulator>")
    yield process
    process.close(force=True)


def ask(terminal: pexpect.spawn, text: str, answer: str) -> str:
    """Type a statement and Enter, and wait for what its answer holds and for the next prompt; return what matched."""
    terminal.send(f"{text}\r")
    terminal.expect(answer)
    found = str(terminal.match[0])
    terminal.expect("simulator>")
    return found


def test_query_is_answered_and_end_of_input_leaves(terminal: pexpect.spawn, settings: Settings) -> None:
    ask(
        terminal,
        "select destination_code, share\rfrom marts.shares where share > 0;",
        r"US[^\n]*0\.07[^\n]*\n(?s:.*)1 row",
    )
    ask(terminal, ".tables shares", r"marts\.shares")
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "+from marts.shares where share > 0;" in settings.prompt_history.read_text(encoding="utf-8")


def test_table_is_completed_by_the_key(terminal: pexpect.spawn) -> None:
    terminal.send("from marts.wi")
    # The menu.
    terminal.expect("wide")
    terminal.send("\t")
    assert "29" in ask(terminal, " limit 1;", r"measure_29\s+29")


def test_ctrl_c_cancels_a_long_query_and_the_next_one_is_answered(terminal: pexpect.spawn) -> None:
    terminal.send(f"{LONG_QUERY}\r")
    # Long enough for the query to be under way.
    time.sleep(2)
    began = time.monotonic()
    terminal.sendintr()
    terminal.expect("cancelled")
    assert time.monotonic() - began < 10
    terminal.expect("simulator>")
    assert "42" in ask(terminal, "select 6 * 7 as answer;", r"│\s+42 │")


def test_ctrl_c_drops_the_line(terminal: pexpect.spawn) -> None:
    terminal.send("select 'unfinished")
    terminal.sendintr()
    terminal.expect("simulator>")
    assert "42" in ask(terminal, "select 6 * 7 as answer;", r"│\s+42 │")


def test_new_publication_is_announced(terminal: pexpect.spawn, settings: Settings) -> None:
    before = ask(terminal, "from marts.shares;", r"(?s:.*)\d+ rows")
    assert "2 rows" in before
    assert "FR" not in before
    assert "published anew" not in before
    publish_id = publish_small(
        settings, "insert into marts.shares values ('FR', 0.1)", published_at="2026-02-02T03:04:05Z"
    )
    after = ask(terminal, "from marts.shares;", r"(?s:.*)\d+ rows")
    assert f"published anew: published {publish_id}" in after
    assert "3 rows" in after
    assert "FR" in after


def test_quit_leaves(terminal: pexpect.spawn) -> None:
    terminal.send(".quit\r")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_documentation_opens_the_prompt_like_this() -> None:
    assert ".venv/bin/metaalexport sql\n" in fences(read("docs/analysts.md"), "sh")


def run(environment: dict[str, str], *arguments: str, said: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [COMMAND, *arguments], env=environment, input=said, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, re.sub(r"[\s│]+", " ", done.stderr)


def test_statement_from_a_pipe_is_answered(environment: dict[str, str]) -> None:
    statement = "select destination_code from marts.shares order by 1;\n"
    assert run(environment, "sql", "--format", "csv", said=statement) == (0, "destination_code\nDE\nUS\n", "")
    code, output, _ = run(environment, "sql", said=statement)
    assert code == 0
    assert "│ DE " in output


def test_empty_pipe_is_an_error_with_a_next_step(environment: dict[str, str]) -> None:
    code, _, error = run(environment, "sql")
    assert code == 2
    assert "there is no statement, neither as argument nor from a pipe; next: metaalexport sql" in error


def test_prompt_with_an_output_file_is_an_error(environment: dict[str, str], tmp_path: Path) -> None:
    process = pexpect.spawn(
        COMMAND,
        ["sql", "--output", str(tmp_path / "a.csv")],
        env=environment,  # type: ignore[arg-type]
        encoding="utf-8",
        timeout=60,
    )
    process.expect("a prompt needs a screen")
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 2


def test_export_that_fails_says_why_and_leaves_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    # Of what is published here only the table of datasets is missing, from which sources and licences come.
    code, _, error = run(environment, "export", "--to", str(tmp_path / "out"))
    assert code == 1
    assert "dim_dataset" in error
    assert not (tmp_path / "out").exists()
