"""The prompt of `metaalexport sql` (DuckDB's client) in a real terminal, and statements from a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pexpect
import pytest

from metaalexport.settings import Settings
from tests.docs.test_docs import fences, read
from tests.unit.test_display import HOSTILE, OBEYED
from tests.unit.test_published import publish_small

pytestmark = [pytest.mark.integration, pytest.mark.long]
COMMAND = str(Path(sys.executable).with_name("metaalexport"))
LONG_QUERY = "select count(*) from range(1000000) a, range(1000000) b where a.range * b.range % 7 = 3;"
# Excludes the prompt that the client redraws at each key press.
PROMPT = r"(?<!K)simulator> "


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of a state with a small publication that holds a hostile text, as an office could send it."""
    settings = Settings(profile="simulator", state=tmp_path / "var" / "simulator")
    text = HOSTILE.replace("\x00", "")
    publish_small(settings, f"create table marts.titles as select '{text}' as title")
    return settings


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """Return a user's environment in another time zone, with a client configuration that fails on published files."""
    (tmp_path / ".duckdbrc").write_text(".prompt 'mine> '\nattach 'mine.duckdb';\nselect * from mine.none;\n")
    own = {"HOME": str(tmp_path), "METAALEXPORT_VAR": str(settings.state.parent), "TERM": "xterm", "TZ": "Asia/Tokyo"}
    return {**os.environ, **own}


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., pexpect.spawn]]:
    """Yield a function that starts `metaalexport sql` in a terminal."""
    started = []

    def start(*arguments: str) -> pexpect.spawn:
        process = pexpect.spawn(
            COMMAND,
            ["sql", *arguments],
            env=environment,
            cwd=str(tmp_path),
            dimensions=(40, 120),
            encoding="utf-8",
            timeout=60,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.close(force=True)


@pytest.fixture
def terminal(start: Callable[..., pexpect.spawn]) -> pexpect.spawn:
    """Return a terminal at the first prompt."""
    process = start()
    process.expect(r"published \w+-\w+ on 2026-01-02 03:04 UTC, SIMULATED data, read-only")
    process.expect(PROMPT)
    return process


def ask(terminal: pexpect.spawn, text: str, answer: str) -> str:
    """Type a statement and Enter, and wait for the pattern `answer` and the next prompt; return the output."""
    terminal.send(f"{text}\r")
    terminal.expect(answer)
    found = str(terminal.match[0])
    terminal.expect(PROMPT)
    return found + str(terminal.before)


def end(process: pexpect.spawn) -> int | None:
    process.expect(pexpect.EOF)
    process.close()
    status: int | None = process.exitstatus
    return status


def test_client_and_library_have_the_same_version() -> None:
    assert version("duckdb-cli") == version("duckdb")


def test_a_query_is_answered_and_end_of_input_exits(terminal: pexpect.spawn, settings: Settings) -> None:
    ask(terminal, "select destination_code, share\rfrom marts.shares where share > 0;", r"US[^\n]*0\.07")
    ask(terminal, "select share_of from marts.share_of(destination := 'US') as share_of;", r"'share': 0\.07")
    ask(terminal, "select current_setting('TimeZone') as zone;", r"│ UTC ")
    ask(terminal, ".tables share%", r"destination_code[^\n]*varchar")
    terminal.sendeof()
    assert end(terminal) == 0
    assert "from marts.shares where share > 0;" in settings.prompt_history.read_text(encoding="utf-8")


def test_a_long_result_is_truncated_and_dot_last_shows_it_whole(terminal: pexpect.spawn) -> None:
    assert "│   100 │" not in ask(terminal, "from range(200);", r"(?s)│\s+0 │.*200 rows.*40 shown")
    assert "│   100 │" in ask(terminal, ".last", r"│\s+0 │")


def test_tab_completes_a_table_name(terminal: pexpect.spawn) -> None:
    terminal.send("from marts.wi\t")
    terminal.expect("marts.wide")
    ask(terminal, " limit 1;", r"measure_0")


def test_ctrl_c_cancels_a_long_query_and_the_next_one_is_answered(terminal: pexpect.spawn) -> None:
    terminal.send(f"{LONG_QUERY}\r")
    # Give the query time to start.
    time.sleep(2)
    began = time.monotonic()
    terminal.sendintr()
    terminal.expect("simulator> ")
    assert time.monotonic() - began < 10
    ask(terminal, "select 6 * 7 as answer;", r"│\s+42 │")


def test_ctrl_c_drops_the_line(terminal: pexpect.spawn) -> None:
    terminal.send("select 'unfinished")
    terminal.sendintr()
    terminal.expect(PROMPT)
    ask(terminal, "select 6 * 7 as answer;", r"│\s+42 │")


def test_the_published_file_is_read_only_and_no_other_file_is_touched(
    terminal: pexpect.spawn, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    before = settings.published.read_bytes()
    files = sorted(tmp_path.rglob("*"))
    for text, refusal in (
        ("insert into marts.shares values ('FR', 1);", "read-only mode"),
        ("create table t (x int);", "read-only mode"),
        ("from read_csv('/etc/passwd');", "file system operations are disabled"),
        ("from read_text('/etc/passwd');", "file system operations are disabled"),
        ("from glob('/etc/*');", "file system operations are disabled"),
        ("from 'secret.csv';", "file system operations are disabled"),
        ("copy marts.shares to 'out.csv';", "file system operations are disabled"),
        ("export database 'out';", "file system operations are disabled"),
        ("attach 'other.duckdb';", "file system operations are disabled"),
        ("install httpfs;", "file system operations are disabled"),
        ("load httpfs;", "disabled through configuration"),
        ("select getenv('HOME');", "getenv is disabled"),
        ("set enable_external_access = true;", "has been locked"),
        ("set lock_configuration = false;", "has been locked"),
        ("set temp_directory = 'out';", "has been locked"),
        (".shell touch out", "cannot be used in -safe mode"),
        (".system touch out", "cannot be used in -safe mode"),
        (".open other.duckdb", "cannot be used in -safe mode"),
        (".open", "cannot be used in -safe mode"),
        (".read secret.csv", "cannot be used in -safe mode"),
        (".import secret.csv t", "cannot be used in -safe mode"),
        (".output out", "cannot be used in -safe mode"),
        (".once out", "cannot be used in -safe mode"),
        (".excel", "cannot be used in -safe mode"),
        (".log out", "cannot be used in -safe mode"),
        (".cd /", "cannot be used in -safe mode"),
    ):
        ask(terminal, text, refusal)
    terminal.send(".quit\r")
    end(terminal)
    assert sorted(tmp_path.rglob("*")) == sorted([*files, settings.prompt_history])
    assert settings.published.read_bytes() == before


def test_safe_mode_allows_a_pager_program(terminal: pexpect.spawn, tmp_path: Path) -> None:
    """docs/analysts.md documents this exception."""
    ask(terminal, ".pager 'tee paged'", "paged'")
    ask(terminal, "select 6 * 7 as answer;", r"│\s+42 │")
    assert "42" in (tmp_path / "paged").read_text(encoding="utf-8")


def test_a_result_sends_no_control_sequences_to_the_terminal(terminal: pexpect.spawn) -> None:
    modes = "duckbox box table column line list csv tabs json markdown html insert quote latex"
    for mode in modes.split():
        ask(terminal, f".mode {mode}", mode)
        answer = ask(terminal, "from marts.titles;", r"\r\n(?s:.)*tin[^\n]*owned")
        # The test's terminal puts a carriage return before each line feed.
        assert OBEYED.findall(answer.replace("\r\n", "\n").rstrip("\r")) == [], mode


def test_a_new_publication_is_visible_after_reopening_the_prompt(
    start: Callable[..., pexpect.spawn], terminal: pexpect.spawn, settings: Settings
) -> None:
    count = "select count(*) as shares from marts.shares;"
    ask(terminal, count, r"│\s+2 │")
    publish_id = publish_small(
        settings, "insert into marts.shares values ('FR', 0.1)", published_at="2026-02-02T03:04:05Z"
    )
    ask(terminal, count, r"│\s+2 │")
    terminal.send(".quit\r")
    assert end(terminal) == 0
    again = start()
    again.expect(f"published {publish_id} on 2026-02-02 03:04 UTC")
    again.expect(PROMPT)
    ask(again, count, r"│\s+3 │")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.unlink(), "nothing is published under profile 'simulator'"),
        (lambda file: (file.chmod(0o644), file.write_bytes(b"damaged" * 1000)), "not a valid DuckDB database file"),
        (lambda file: file.with_name(f"{file.name}.wal").touch(), "is next to the published file"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(
    start: Callable[..., pexpect.spawn], settings: Settings, damage: Callable[[Path], object], said: str
) -> None:
    damage(settings.published)
    process = start()
    process.expect(said)
    assert end(process) == 1


def test_documentation_shows_the_command_of_the_prompt() -> None:
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


def test_prompt_with_an_output_file_is_an_error(start: Callable[..., pexpect.spawn], tmp_path: Path) -> None:
    process = start("--output", str(tmp_path / "a.csv"))
    process.expect("a prompt needs a screen")
    assert end(process) == 2


def test_a_failed_export_reports_the_cause_and_leaves_no_files(environment: dict[str, str], tmp_path: Path) -> None:
    # This publication lacks only dim_dataset, the source of the export's sources and licences.
    code, _, error = run(environment, "export", "--to", str(tmp_path / "out"))
    assert code == 1
    assert "dim_dataset" in error
    assert not (tmp_path / "out").exists()
