"""Isolation of this warehouse's tools from environment variables meant for other projects.

Airflow, dbt, Great Expectations and libpq each read their own variables, some of which redirect them to another
database, target or server. A proxy applies to the offices, never to this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from extract.transport import LOOPBACK

TOOLS = {
    # With leading underscores if a task of another Airflow starts the command.
    "Airflow": re.compile(r"_*AIRFLOW_"),
    "dbt": re.compile(r"DBT_"),
    # Except the one that the gates set.
    "Great Expectations": re.compile(r"GX_(?!ANALYTICS_ENABLED$)"),
    "PostgreSQL": re.compile(r"PG([A-Z]+|CONNECT_TIMEOUT)$"),
}
# Prefix of Airflow variables meant for this warehouse: options and connections.
_PREFIX = "METAALEXPORT_"
_GIVEN = re.compile(rf"{_PREFIX}AIRFLOW_(_|CONN_)")


def foreign(environment: Mapping[str, str], *tools: str) -> list[str]:
    """Return the sorted names of the variables that the given tools would read; default: all tools."""
    patterns = [TOOLS[tool] for tool in tools or TOOLS]
    return sorted(name for name in environment if any(pattern.match(name) for pattern in patterns))


def for_airflow(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the Airflow variables meant for this warehouse, under Airflow's names."""
    return {name.removeprefix(_PREFIX): value for name, value in environment.items() if _GIVEN.match(name)}


@contextmanager
def without(*tools: str) -> Iterator[None]:
    """Remove the variables of tools from this process's environment during the block."""
    taken = {name: os.environ.pop(name) for name in foreign(os.environ, *tools)}
    try:
        yield
    finally:
        os.environ.update(taken)


def direct(environment: Mapping[str, str], *urls: str) -> dict[str, str]:
    """Return the variables that bypass a proxy for this machine and the hosts of URLs."""
    before = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in before.split(",") if host.strip()]
    hosts += [*LOOPBACK, *(urlsplit(url).hostname or "" for url in urls)]
    # Some tools read one spelling, some the other.
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys(filter(None, hosts))))
