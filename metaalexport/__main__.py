"""Entry point of the command line; installs signal handlers first, as the imports take a second."""

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
        # Typer, DuckDB and others turn a signal into their own exit or error.
        if (code := stopping.exit_code()) is None:
            raise
        stopping.end_children()
        sys.stderr.write(f"{stopping.explain()}\n")
        sys.exit(code)


if __name__ == "__main__":
    main()
