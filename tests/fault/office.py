"""A simulator in a separate process: ``python -m tests.fault.office <release>`` writes its address and serves."""

from __future__ import annotations

import sys
import threading

from tests.fault.loads import running_office


def main(release: str) -> None:
    """Serve a release until the process is killed."""
    with running_office() as office:
        office.reset(int(release))
        sys.stdout.write(f"{office.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
