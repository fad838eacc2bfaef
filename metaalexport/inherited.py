"""What the environment says to the tools inside this warehouse: a user's own, for other projects, has no effect.

Airflow, dbt, Great Expectations and libpq each read variables of their own, of which some redirect them: to another
database, another target, another server. A proxy is meant for the offices, and never for this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from extract.transport import LOOPBACK

TOOLS = {
    # With underscores before it, where a command is started by a task of another Airflow.
    "Airflow": re.compile(r"_*AIRFLOW_"),
    "dbt": re.compile(r"DBT_"),
    # But the one that the gates set themselves.
    "Great Expectations": re.compile(r"GX_(?!ANALYTICS_ENABLED$)"),
    "PostgreSQL": re.compile(r"PG([A-Z]+|CONNECT_TIMEOUT)$"),
}
# A variable of Airflow that is meant for this warehouse has this before its name: an option or a connection.
_PREFIX = "METAALEXPORT_"
_GIVEN = re.compile(rf"{_PREFIX}AIRFLOW_(_|CONN_)")


def foreign(environment: Mapping[str, str], *tools: str) -> list[str]:
    """Return the names of the variables that tools would read, sorted; of all tools by default."""
    patterns = [TOOLS[tool] for tool in tools or TOOLS]
    return sorted(name for name in environment if any(pattern.match(name) for pattern in patterns))


def for_airflow(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of Airflow that are given for this warehouse, under Airflow's names."""
    return {name.removeprefix(_PREFIX): value for name, value in environment.items() if _GIVEN.match(name)}


@contextmanager
def without(*tools: str) -> Iterator[None]:
    """Take the variables of tools out of this process's environment while the block runs."""
    taken = {name: os.environ.pop(name) for name in foreign(os.environ, *tools)}
    try:
        yield
    finally:
        os.environ.update(taken)


def direct(environment: Mapping[str, str], *urls: str) -> dict[str, str]:
    """Return the variables by which this machine, and the hosts of URLs, are reached past a proxy."""
    before = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in before.split(",") if host.strip()]
    hosts += [*LOOPBACK, *(urlsplit(url).hostname or "" for url in urls)]
    # Some tools read the one spelling, some the other.
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys(filter(None, hosts))))
