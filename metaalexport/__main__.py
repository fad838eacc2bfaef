"""Start the command line. Signals come first: what it imports takes a second, in which Ctrl-C means stop, too."""

from __future__ import annotations

import sys

from metaalexport import stopping


def main() -> None:
    """Run the command line; a signal ends it with a message and exit code 130 or 143."""
    stopping.listen()
    try:
        from metaalexport import cli

        cli.main()
    except BaseException:
        # Typer, DuckDB and others make an exit or an error of their own of it.
        if (code := stopping.exit_code()) is None:
            raise
        stopping.end_children()
        sys.stderr.write(f"{stopping.explain()}\n")
        sys.exit(code)


if __name__ == "__main__":
    main()
