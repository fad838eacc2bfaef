"""A simulator in a process of its own: ``python -m tests.fault.office <release>`` writes its address, and serves."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from tests.fault.loads import running_office


def main(release: str, faults: str = "[]") -> None:
    """Serve a release with the faults that are always on, until the process is ended."""
    with running_office() as office:
        standing: list[dict[str, Any]] = json.loads(faults)
        office.reset(int(release), tuple(standing))
        print(office.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
