"""The prompt of `metaalexport sql`: DuckDB's own command line client on the published file."""

from __future__ import annotations

import os
import shlex
import sys
from importlib.resources import files
from typing import NoReturn

from metaalexport import harmless
from metaalexport.settings import Settings


def become_client(settings: Settings) -> NoReturn:
    """Replace this process by the client, so that Ctrl-C is the client's: it cancels a query and drops a line.

    The file is read-only, and in safe mode statements reach no other file, no extension and no setting; `.shell`,
    `.open`, `.read`, `.output` and the like are refused. What is left (1.5.5): `.pager` and `.edit` start programs, as
    the person at the keyboard could, too.

    Of a text in a result the client escapes C0 in its default mode, and nothing in `.mode line`, `csv` and others. So
    each result goes through `harmless`, as through a pager, and has no colours, which would be left out as well.
    Messages of errors and `.dump` do not: they show a value as it is.
    """
    binary = str(files("duckdb_cli") / "duckdb")
    environment = {
        **os.environ,
        "DUCKDB_HISTORY": str(settings.prompt_history),
        "DUCKDB_PAGER": shlex.join([sys.executable, "-IS", harmless.__file__]),
        # Safe mode locks the setting of DuckDB.
        "TZ": "UTC",
    }
    commands = (
        # Colours for any background. The client would ask the terminal, and wait five seconds where none answers.
        ".highlight_mode mixed",
        ".highlight_results off",
        ".pager on",
        f".prompt '{settings.profile}> '",
    )
    # A `~/.duckdbrc` is meant for other files: what it loads, attaches or sets would be refused here.
    options = ["-readonly", "-safe", "-no-init", "-dark-mode", *(part for line in commands for part in ("-cmd", line))]
    os.execve(binary, [binary, *options, str(settings.published)], environment)  # noqa: S606
