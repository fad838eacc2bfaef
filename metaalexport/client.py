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
    """Replace this process with the client, so that Ctrl-C reaches the client: it cancels a query and drops a line.

    The file is read-only, and in safe mode statements reach no other file, extension or setting; `.shell`, `.open`,
    `.read`, `.output` and the like are refused. Exceptions (1.5.5): `.pager` and `.edit` start programs, as the user
    could anyway.

    In results the client escapes C0 in its default mode, and nothing in `.mode line`, `csv` and others. Each result
    therefore passes through `harmless` as a pager, without colours, which it would remove. Error messages and `.dump`
    do not: they show values unchanged.
    """
    binary = str(files("duckdb_cli") / "duckdb")
    environment = {
        **os.environ,
        "DUCKDB_HISTORY": str(settings.prompt_history),
        "DUCKDB_PAGER": shlex.join([sys.executable, "-IS", harmless.__file__]),
        # Safe mode locks DuckDB's time zone setting.
        "TZ": "UTC",
    }
    commands = (
        # Colours for any background. The client would query the terminal, and wait five seconds without an answer.
        ".highlight_mode mixed",
        ".highlight_results off",
        ".pager on",
        f".prompt '{settings.profile}> '",
    )
    # Skip `~/.duckdbrc`: the extensions, databases and settings in it would be refused here.
    options = ["-readonly", "-safe", "-no-init", "-dark-mode", *(part for line in commands for part in ("-cmd", line))]
    os.execve(binary, [binary, *options, str(settings.published)], environment)  # noqa: S606
