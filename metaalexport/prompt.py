"""The prompt of `metaalexport sql`: statement after statement on the published file, read-only."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import PostgresLexer  # type: ignore[import-untyped]
from rich.cells import cell_len
from rich.console import Console

from metaalexport import gaps, published
from metaalexport.display import format_cell, make_table
from metaalexport.settings import Settings

# Rows that are read to say how many there are; a result can have millions.
MOST_COUNTED = 10_000
# What stands around the rows of a result on the screen: its frame, its notes and the next prompt.
LINES_AROUND_ROWS = 9
LEAST_ROWS = 5

HELP = (
    ("SELECT ...;", "a statement ends with a semicolon and may span lines; Tab completes"),
    (".tables [PATTERN]", "tables and table macros; a part of the name, or a pattern like rpt_*"),
    (".describe TABLE", "columns with types and descriptions; parameters of a macro"),
    (".export FILE", "the last query again, all its rows, into a .csv or .parquet file"),
    (".help", "this list"),
    (".quit", "leave; so does Ctrl-D"),
    ("Ctrl-C", "drops the line, or cancels the running query"),
)
EXPORT_FORMATS = {".csv": "csv", ".parquet": "parquet"}


class CommandError(Exception):
    """A dot command that cannot be carried out; says why and what to do next."""


@dataclass(frozen=True)
class Relation:
    """A table or a table macro.

    Attributes
    ----------
    kind : str
        ``table`` or ``macro``.
    columns : tuple of str
        Columns of a table, parameters of a macro.
    """

    schema: str
    name: str
    kind: str
    columns: tuple[str, ...]
    comment: str

    @property
    def full_name(self) -> str:
        """Name with its schema."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Catalogue:
    """What a statement can name."""

    relations: tuple[Relation, ...]
    keywords: tuple[str, ...]
    functions: tuple[str, ...]

    def find(self, name: str) -> list[Relation]:
        """Return the relations of that name, with or without its schema."""
        return [r for r in self.relations if name.lower() in (r.full_name, r.name)]


def read_catalogue(connection: duckdb.DuckDBPyConnection) -> Catalogue:
    """Read what a statement can name out of DuckDB's own catalogue."""
    tables = connection.execute(
        """
        select tables.schema_name, tables.table_name, 'table' as kind,
            list(columns.column_name order by columns.column_index), coalesce(any_value(tables.comment), '')
        from duckdb_tables() as tables
        join duckdb_columns() as columns using (database_oid, table_oid)
        where not tables.internal
        group by all
        union all
        select schema_name, function_name, 'macro', parameters, coalesce(comment, '')
        from duckdb_functions()
        where function_type = 'table_macro' and not internal
        order by all
        """
    ).fetchall()
    keywords = connection.execute("select distinct keyword_name from duckdb_keywords() order by all").fetchall()
    functions = connection.execute(
        "select distinct function_name from duckdb_functions()"
        " where internal and function_type in ('scalar', 'aggregate', 'macro')"
        " and regexp_full_match(function_name, '[a-z][a-z0-9_]+') and function_name not like '\\_\\_%' escape '\\'"
        " order by all"
    ).fetchall()
    return Catalogue(
        tuple(Relation(schema, name, kind, tuple(columns), comment) for schema, name, kind, columns, comment in tables),
        tuple(row[0] for row in keywords),
        tuple(row[0] for row in functions),
    )


class Reader:
    """A connection to the published file that follows each new publish."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open()

    def _open(self) -> None:
        seen = _identity(self._settings.published)
        self.connection = published.open_published(self._settings)
        self._seen = seen
        self.publish_id, self.is_simulated = self.connection.execute(
            "select publish_id, is_simulated from ops.publication"
        ).fetchall()[0]
        self.catalogue = read_catalogue(self.connection)

    def follow(self) -> bool:
        """Open the file again if it was published anew; return whether it was.

        Raises
        ------
        NothingPublishedError
            If the file is gone.
        """
        if self._seen is not None and _identity(self._settings.published) == self._seen:
            return False
        # DuckDB would give the replaced file again while a connection to that path is open.
        self.connection.close()
        self._seen = None
        self._open()
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


class SqlCompleter(Completer):
    """Completes dot commands, schemas, tables, macros, columns, keywords and functions."""

    _NAMED = re.compile(
        r"\b(?:from|join)\s+((?:\w+\.)?\w+)(?:\s*\([^()]*\))?(?:\s+as)?(?:\s+(?!join\b)(\w+))?", re.IGNORECASE
    )

    def __init__(self, catalogue: Callable[[], Catalogue]) -> None:
        self._catalogue = catalogue

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Offer what fits the word before the cursor."""
        before = document.text_before_cursor
        if before.lstrip().startswith("."):
            yield from self._dot_command(before.lstrip())
            return
        word = re.search(r"\w*$", before)
        typed = word[0] if word else ""
        qualifier = re.search(r"(\w+)\.\w*$", before)
        if qualifier:
            yield from _matching(self._members(qualifier[1].lower(), document.text), typed)
        elif typed or complete_event.completion_requested:
            yield from _matching(self._names(document.text), typed)

    def _dot_command(self, line: str) -> Iterator[Completion]:
        command, space, argument = line.partition(" ")
        if not space:
            names = {usage.split()[0]: meta for usage, meta in HELP if usage.startswith(".")}
            yield from _matching(names, command)
        elif command == ".describe":
            yield from _matching({r.full_name: r.kind for r in self._catalogue().relations}, argument.strip())

    def _members(self, qualifier: str, statement: str) -> dict[str, str]:
        """Return what can stand behind a dot: relations of a schema, columns of a table or its alias."""
        in_schema = {r.name: r.kind for r in self._catalogue().relations if r.schema == qualifier}
        return in_schema or {
            column: relation.name
            for alias, relation in self._named_in(statement)
            if alias == qualifier and relation.kind == "table"
            for column in relation.columns
        }

    def _names(self, statement: str) -> dict[str, str]:
        """Return what can stand alone, the nearest first."""
        catalogue = self._catalogue()
        tables = [relation for _, relation in self._named_in(statement) if relation.kind == "table"]
        names: dict[str, str] = {}
        for relation in tables or [r for r in catalogue.relations if r.kind == "table"]:
            names |= {column: relation.name for column in relation.columns if column not in names}
        names |= {relation.schema: "schema" for relation in catalogue.relations}
        names |= {relation.full_name: relation.kind for relation in catalogue.relations}
        names |= {keyword: "keyword" for keyword in catalogue.keywords if keyword not in names}
        return names | {function: "function" for function in catalogue.functions if function not in names}

    def _named_in(self, statement: str) -> Iterator[tuple[str, Relation]]:
        for name, alias in self._NAMED.findall(statement):
            for relation in self._catalogue().find(name):
                yield relation.name, relation
                yield alias.lower(), relation


def _matching(names: Mapping[str, str], typed: str) -> Iterator[Completion]:
    """Give the names that begin with what was typed, then those whose later part does."""
    typed = typed.lower()
    first = [name for name in names if name.startswith(typed)]
    second = [name for name in names if not name.startswith(typed) and re.search(rf"[._]{re.escape(typed)}", name)]
    for name in first + second:
        yield Completion(name, start_position=-len(typed), display_meta=names[name])


def is_complete(text: str) -> bool:
    """Say whether what was typed can be run: nothing, a dot command, or SQL that ends with a semicolon."""
    stripped = text.strip()
    if not stripped or stripped.startswith("."):
        return True
    # A semicolon inside a quote or a comment ends nothing: DuckDB's own scanner knows. Its offsets count bytes.
    tokens = duckdb.tokenize(text)
    return bool(tokens) and text.encode()[tokens[-1][0] :].startswith(b";")


class Prompt:
    """Runs what is typed and shows the answer.

    Parameters
    ----------
    settings : Settings
        Of the profile whose published file is asked.
    console : Console
        Where answers go; its size is that of a result.

    Raises
    ------
    NothingPublishedError
        If nothing was published under this profile.
    """

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._reader = Reader(settings)
        self._last_query: tuple[str, str] | None = None

    def run(self) -> None:
        """Ask and answer until the end of input."""
        session: PromptSession[str] = PromptSession(
            f"{self._settings.profile}> ",
            history=self._history(),
            completer=SqlCompleter(lambda: self._reader.catalogue),
            lexer=PygmentsLexer(PostgresLexer),
            auto_suggest=AutoSuggestFromHistory(),
            key_bindings=_key_bindings(),
            multiline=True,
            prompt_continuation=lambda width, line_number, is_soft_wrap: "·".rjust(width - 1) + " ",
            bottom_toolbar=self._what_is_read,
        )
        self._say(self._what_is_read())
        if missing := gaps.read_gaps(self._settings):
            names = ", ".join(state.name for state in missing)
            self._say(f"not all there: {names}; see `from ops.slices`", style="yellow")
        self._say("A statement ends with a semicolon; Tab completes, .help lists commands, Ctrl-D leaves.")
        while True:
            try:
                if not self.handle(session.prompt()):
                    return
            except KeyboardInterrupt:
                continue
            except EOFError:
                return

    def handle(self, text: str) -> bool:
        """Run one input; errors are shown. Return whether to go on."""
        text = text.strip()
        if text.rstrip("; ") in (".quit", ".exit"):
            return False
        try:
            if text and self._reader.follow():
                self._say(f"published anew: {self._what_is_read()}", style="yellow")
            if text.startswith("."):
                self._command(text)
            elif text:
                for statement in duckdb.extract_statements(text):
                    self._answer(statement.query.strip().rstrip(";"))
        except (duckdb.InterruptException, KeyboardInterrupt):
            self._say("cancelled", style="yellow")
        except (duckdb.Error, CommandError, published.NothingPublishedError, OSError) as error:
            self._say(str(error), style="red")
        return True

    def _what_is_read(self) -> str:
        kind = "SIMULATED data" if self._reader.is_simulated else "real data"
        return f"published {self._reader.publish_id}, {kind}, read-only"

    def _history(self) -> History:
        file = self._settings.prompt_history
        # A reader of somebody else's state may have no right to write there.
        return (
            FileHistory(str(file)) if os.access(file if file.exists() else file.parent, os.W_OK) else InMemoryHistory()
        )

    def _say(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, markup=False, highlight=False)

    def _answer(self, statement: str) -> None:
        started = time.perf_counter()
        columns, rows = self._cancellable(lambda: _fetch(self._reader.connection, statement))
        seconds = time.perf_counter() - started
        self._last_query = (statement, self._reader.publish_id)
        self._show(columns, rows)
        self._say(f"{seconds:.2f} s", style="dim")

    def _cancellable(self, query: Callable[[], Any]) -> Any:
        """Run a query in a thread of its own, so that Ctrl-C reaches this one and stops it."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            future = pool.submit(query)
            while not future.done():
                try:
                    # A signal may come to another thread, which wakes nobody here.
                    wait((future,), timeout=0.1)
                except KeyboardInterrupt:
                    self._reader.connection.interrupt()
            return future.result()

    def _show(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Show as much of a result as the screen holds, and say what it does not."""
        shown = rows[: max(LEAST_ROWS, self._console.height - LINES_AROUND_ROWS)]
        fitting = _fitting(columns, shown, self._console.width)
        if len(rows) == 1 and fitting < len(columns):
            longest = max(len(column) for column in columns)
            for column, value in zip(columns, rows[0], strict=True):
                self._say(f"{column:{longest}}  {format_cell(value)}")
            return
        self._console.print(make_table(columns[:fitting], [row[:fitting] for row in shown]))
        count = f"{MOST_COUNTED:,}+" if len(rows) > MOST_COUNTED else f"{len(rows):,}"
        if len(shown) < len(rows):
            self._say(f"{len(shown)} of {count} rows; .export FILE writes all of them")
        else:
            self._say(f"{count} row{'' if len(rows) == 1 else 's'}")
        if fitting < len(columns):
            left = f"{len(columns) - fitting} columns do not fit: {', '.join(columns[fitting:])}"
            self._console.print(left, markup=False, highlight=False, no_wrap=True, overflow="ellipsis")

    def _command(self, text: str) -> None:
        command, _, argument = text.rstrip(";").partition(" ")
        argument = argument.strip()
        if command == ".help":
            self._console.print(make_table(("input", "does"), HELP))
        elif command == ".tables":
            self._tables(argument)
        elif command == ".describe":
            self._describe(argument)
        elif command == ".export":
            self._export(argument)
        else:
            raise CommandError(f"there is no command {command}; next: .help lists them")

    def _tables(self, pattern: str) -> None:
        wanted = pattern.lower() if re.search(r"[*?\[]", pattern) else f"*{pattern.lower()}*"
        found = [r for r in self._reader.catalogue.relations if _is_like(r, wanted)]
        if not found:
            raise CommandError(f"no table or macro is like {pattern!r}; next: .tables lists all")
        rows = [(r.full_name, r.kind, r.comment.partition(". ")[0].removesuffix(".")) for r in found]
        self._console.print(make_table(("name", "kind", "holds"), rows))

    def _describe(self, name: str) -> None:
        found = self._reader.catalogue.find(name)
        if len(found) != 1:
            problem = "is in two schemas" if found else "is no table or macro"
            near = ", ".join(r.full_name for r in found) or ".tables lists all"
            raise CommandError(f"{name or 'nothing'!r} {problem}; next: {near}")
        (relation,) = found
        self._say(f"{relation.full_name} ({relation.kind})", style="bold")
        self._say(relation.comment)
        if relation.kind == "macro":
            self._say(f"parameters: {', '.join(relation.columns)}")
            return
        columns = self._reader.connection.execute(
            "select column_name, data_type, coalesce(comment, '') from duckdb_columns()"
            " where schema_name = ? and table_name = ? order by column_index",
            [relation.schema, relation.name],
        ).fetchall()
        self._console.print(make_table(("column", "type", "description"), columns))

    def _export(self, name: str) -> None:
        target = Path(name).expanduser()
        kind = EXPORT_FORMATS.get(target.suffix.lower())
        if kind is None:
            raise CommandError(f"{name or 'nothing'!r} is no .csv or .parquet file; next: .export result.csv")
        if self._last_query is None:
            raise CommandError("there is no result to export yet; next: run a query, then .export")
        statement, publish_id = self._last_query
        if publish_id != self._reader.publish_id:
            raise CommandError("the last result is of an earlier publication; next: run the query again, then .export")
        count = published.write_result(self._settings, statement, target, kind)
        self._say(f"{count:,} rows written to {target}")


def _fetch(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    cursor = connection.execute(statement)
    return tuple(column[0] for column in cursor.description or ()), cursor.fetchmany(MOST_COUNTED + 1)


def _is_like(relation: Relation, pattern: str) -> bool:
    return fnmatch.fnmatchcase(relation.name, pattern) or fnmatch.fnmatchcase(relation.full_name, pattern)


def _fitting(columns: tuple[str, ...], rows: list[tuple[Any, ...]], width: int) -> int:
    """Return how many columns, from the left, stand beside each other without being folded; at least one."""
    used = 1
    for position, column in enumerate(columns):
        # A long text is folded to half a screen rather than pushed off it.
        longest = max(map(cell_len, (column, *(format_cell(row[position]) for row in rows))))
        used += min(longest, width // 2) + 3
        if used > width:
            return max(1, position)
    return len(columns)


def _key_bindings() -> KeyBindings:
    """Let Enter take a chosen completion, run what is complete, and begin a new line otherwise."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return bindings
