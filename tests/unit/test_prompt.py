"""The prompt of `metaalexport sql`: its commands, what it completes, and what it shows of a result."""

from __future__ import annotations

import _thread
import io
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from rich.console import Console

from metaalexport import prompt as prompt_module
from metaalexport.prompt import Prompt, SqlCompleter, is_complete, read_catalogue
from metaalexport.published import NothingPublishedError
from metaalexport.settings import Settings
from publish.duckdb_file import publish_duckdb

SECONDS = r"\d+\.\d\d s"


def publish_small(settings: Settings, *statements: str, published_at: str = "2026-01-02T03:04:05Z") -> str:
    """Publish two tables, one of them wide, and a macro; returns the publish id."""
    settings.state.mkdir(parents=True, exist_ok=True)
    settings.warehouse.unlink(missing_ok=True)
    wide = ", ".join(f"{number} as measure_{number}" for number in range(30))
    with duckdb.connect(str(settings.warehouse)) as connection:
        for statement in (
            "create schema marts",
            "create schema ops",
            "create table marts.shares (destination_code varchar primary key, share double)",
            "insert into marts.shares values ('US', 0.07), ('DE', null)",
            "comment on table marts.shares is 'Share of each destination. Grain: destination.'",
            "comment on column marts.shares.share is 'Value / total, 0-1.'",
            f"create table marts.wide as select 'key' as code, {wide}",
            "create table ops.loads as select 'l' as load_id",
            "create macro marts.share_of(destination := null) as table"
            " select * from marts.shares where destination_code = coalesce(destination, 'US')",
            "comment on macro table marts.share_of is 'Share of one destination.'",
            *statements,
        ):
            connection.execute(statement)
    return publish_duckdb(
        settings.warehouse, settings.published, profile="simulator", is_simulated=True, published_at=published_at
    ).publish_id


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a state in which something small is published."""
    settings = Settings(profile="simulator", state=tmp_path / "simulator")
    publish_small(settings)
    return settings


@pytest.fixture
def ask(settings: Settings) -> Callable[[str], str]:
    """Type one input; returns what is shown for it on a screen of 100 by 24."""
    console = Console(file=io.StringIO(), width=100, height=24)
    prompt = Prompt(settings, console)

    def ask(text: str) -> str:
        console.file = io.StringIO()
        assert prompt.handle(text)
        return console.file.getvalue()

    return ask


def test_query_is_shown_as_a_table_with_its_time(ask: Callable[[str], str]) -> None:
    shown = ask("select destination_code, share from marts.shares order by 1;")
    assert "destination_code" in shown
    assert [line.split() for line in shown.splitlines() if "DE" in line or "US" in line] == [
        ["│", "DE", "│", "–", "│"],
        ["│", "US", "│", "0.07", "│"],
    ]
    assert "2 rows" in shown
    assert re.search(SECONDS, shown)


def test_long_result_fits_the_screen_and_says_how_much_is_left(ask: Callable[[str], str]) -> None:
    shown = ask("select range as number from range(200) order by all;")
    assert len(shown.splitlines()) <= 23
    assert "15 of 200 rows; .export FILE writes all of them" in shown
    assert "of 10,000+ rows" in ask("from range(1000000);")


def test_wide_result_names_the_columns_that_do_not_fit(ask: Callable[[str], str]) -> None:
    shown = ask("from marts.wide union all from marts.wide;")
    assert max(len(line) for line in shown.splitlines()) <= 100
    left = re.search(r"(\d+) columns do not fit: measure_(\d+), .*…", shown)
    assert left
    assert int(left[1]) + int(left[2]) == 30
    assert f"measure_{int(left[2]) - 1}" in shown.partition("do not fit")[0]


def test_single_wide_row_is_shown_as_a_list(ask: Callable[[str], str]) -> None:
    lines = ask("from marts.wide;").splitlines()
    assert lines[0].split() == ["code", "key"]
    assert lines[30].split() == ["measure_29", "29"]


def test_brackets_in_values_are_no_markup(ask: Callable[[str], str]) -> None:
    assert "[/b] [red]" in ask("select '[/b] [red]' as \"[x]\";")


def test_error_is_shown_and_the_prompt_goes_on(ask: Callable[[str], str]) -> None:
    assert "no_such_table" in ask("select * from marts.no_such_table;")
    assert "syntax error" in ask("selec 1;")
    assert "│  1 │" in ask("select 1 as ab;")


def test_several_statements_are_answered_one_by_one(ask: Callable[[str], str]) -> None:
    shown = ask("select 1 as first; select 2 as second;")
    assert shown.index("first") < shown.index("second")


@pytest.mark.parametrize(
    "statement",
    ["insert into marts.shares values ('FR', 1);", "create table marts.t (x int);", "set threads = 1;"],
)
def test_nothing_can_be_changed(ask: Callable[[str], str], statement: str) -> None:
    shown = ask(statement)
    assert "read-only" in shown or "locked" in shown


def test_other_files_cannot_be_read(ask: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    assert "disabled" in ask(f"from '{tmp_path / 'secret.csv'}';")


def test_help_lists_every_command(ask: Callable[[str], str]) -> None:
    shown = ask(".help")
    assert all(command in shown for command in (".tables", ".describe", ".export", ".quit", "Ctrl-C"))


def test_tables_lists_tables_and_macros_that_are_like_a_pattern(ask: Callable[[str], str]) -> None:
    everything = ask(".tables")
    assert all(name in everything for name in ("marts.shares", "marts.share_of", "marts.wide", "ops.publication"))
    assert "Share of each destination" in everything
    assert "marts.wide" not in ask(".tables share")
    assert "marts.share_of" not in ask(".tables *.shares")
    assert "next: .tables lists all" in ask(".tables nothing")


def test_describe_shows_columns_types_and_comments(ask: Callable[[str], str]) -> None:
    for name in ("marts.shares", "shares", "SHARES;"):
        shown = ask(f".describe {name}")
        assert "Grain: destination." in shown
        assert "DOUBLE" in shown
        assert "Value / total, 0-1." in shown
    assert "parameters: destination" in ask(".describe share_of")
    assert "'nothing' is no table or macro; next: .tables lists all" in ask(".describe nothing")


def test_export_writes_all_rows_of_the_last_query(ask: Callable[[str], str], tmp_path: Path) -> None:
    assert "no result to export yet" in ask(f".export {tmp_path / 'a.csv'}")
    ask("select range as number from range(200);")
    assert "200 rows written" in ask(f".export {tmp_path / 'a.csv'}")
    assert "next: .export result.csv" in ask(".export")
    assert len((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()) == 201
    assert "200 rows written" in ask(f".export {tmp_path / 'a.parquet'}")
    assert duckdb.sql(f"select count(*) from '{tmp_path / 'a.parquet'}'").fetchall() == [(200,)]
    assert "is no .csv or .parquet file" in ask(".export a.xlsx")


def test_export_of_a_query_with_a_comment_into_a_file_with_a_quote(ask: Callable[[str], str], tmp_path: Path) -> None:
    target = tmp_path / "analyst's.csv"
    ask("select 1 as a -- one\n;")
    assert "1 rows written" in ask(f".export {target}")
    assert target.read_text(encoding="utf-8") == "a\n1\n"


def test_unknown_command_names_help(ask: Callable[[str], str]) -> None:
    assert "there is no command .drop; next: .help lists them" in ask(".drop marts.shares")


@pytest.mark.parametrize("text", [".quit", ".exit", " .quit ", ".quit;"])
def test_quit_leaves(settings: Settings, text: str) -> None:
    assert not Prompt(settings, Console(file=io.StringIO())).handle(text)


def test_new_publication_is_noticed_between_statements(
    settings: Settings, ask: Callable[[str], str], tmp_path: Path
) -> None:
    assert "2 rows" in ask("from marts.shares;")
    publish_id = publish_small(
        settings, "insert into marts.shares values ('FR', 0.1)", published_at="2026-02-02T03:04:05Z"
    )
    shown = ask(f".export {tmp_path / 'a.csv'}")
    assert f"published anew: published {publish_id}, SIMULATED data" in shown
    assert "of an earlier publication; next: run the query again" in shown
    assert not (tmp_path / "a.csv").exists()
    shown = ask("from marts.shares;")
    assert "published anew" not in shown
    assert "3 rows" in shown


def test_file_that_is_gone_is_an_error_until_it_is_back(settings: Settings, ask: Callable[[str], str]) -> None:
    kept = settings.published.read_bytes()
    settings.published.unlink()
    for _ in range(2):
        assert "nothing is published" in ask("from marts.shares;")
    settings.published.write_bytes(kept)
    assert "2 rows" in ask("from marts.shares;")


def test_prompt_needs_something_published(tmp_path: Path) -> None:
    with pytest.raises(NothingPublishedError, match="next: make run"):
        Prompt(Settings(profile="simulator", state=tmp_path), Console(file=io.StringIO()))


def test_interrupt_cancels_the_query_and_the_prompt_goes_on(ask: Callable[[str], str]) -> None:
    timer = threading.Timer(1.0, _thread.interrupt_main)
    timer.start()
    began = time.monotonic()
    shown = ask("select count(*) from range(1000000) a, range(1000000) b where a.range * b.range % 7 = 3;")
    assert time.monotonic() - began < 20
    assert "cancelled" in shown
    assert "│  1 │" in ask("select 1 as ab;")


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        (".tables", True),
        ("select 1;", True),
        ("select 1;  -- and a note", True),
        ("select 1", False),
        ("select 'a;", False),
        ("select 1 -- not yet;", False),
        ("select 'é;'", False),
        ("select 'é;';\n", True),
    ],
)
def test_statement_is_complete_at_its_semicolon(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


@pytest.fixture
def complete(settings: Settings) -> Callable[[str], list[str]]:
    """Complete at the end of a text."""
    with duckdb.connect(str(settings.published), read_only=True) as connection:
        catalogue = read_catalogue(connection)
    completer = SqlCompleter(lambda: catalogue)

    def complete(text: str) -> list[str]:
        before, _, after = text.partition("|")
        document = Document(before + after, len(before))
        return [c.text for c in completer.get_completions(document, CompleteEvent(completion_requested=True))]

    return complete


def test_members_of_a_schema_are_completed(complete: Callable[[str], list[str]]) -> None:
    assert complete("from marts.") == ["share_of", "shares", "wide"]
    assert complete("from marts.sh") == ["share_of", "shares"]
    assert complete("from ops.pub") == ["publication"]


def test_columns_of_the_tables_of_the_statement_come_first(complete: Callable[[str], list[str]]) -> None:
    assert complete("select de| from marts.shares")[0] == "destination_code"
    assert complete("select s| from marts.shares as s")[0] == "share"
    assert "measure_3" not in complete("select m| from marts.shares")
    assert "measure_3" in complete("select m")


def test_columns_are_completed_behind_an_alias(complete: Callable[[str], list[str]]) -> None:
    assert complete("select x.| from marts.shares as x") == ["destination_code", "share"]
    assert complete("select x.sh| from marts.wide join marts.shares x on true") == ["share"]
    assert complete("select wide.measure_2| from marts.wide")[0] == "measure_2"
    assert complete("select y.| from marts.shares as x") == []


def test_keywords_schemas_and_functions_are_completed(complete: Callable[[str], list[str]]) -> None:
    assert "select" in complete("sel")
    assert "qualify" in complete("from marts.shares qual")
    assert {"marts", "marts.shares"} <= set(complete("from mar"))
    assert "arg_max" in complete("select arg_m")


def test_dot_commands_and_their_tables_are_completed(complete: Callable[[str], list[str]]) -> None:
    assert complete(".ex") == [".export"]
    assert complete(".describe sh") == ["marts.share_of", "marts.shares"]


def test_history_is_kept_in_the_state_and_in_memory_where_that_cannot_be_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt(settings, Console(file=io.StringIO()))
    prompt._history().append_string("select 1;")
    assert "select 1;" in settings.prompt_history.read_text(encoding="utf-8")
    monkeypatch.setattr(prompt_module.os, "access", lambda path, mode: False)
    kept = settings.prompt_history.read_bytes()
    prompt._history().append_string("select 2;")
    assert settings.prompt_history.read_bytes() == kept
