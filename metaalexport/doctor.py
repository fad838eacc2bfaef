"""Whether this machine, and the offices, are all right."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from extract.errors import ExtractError
from extract.examine import Examined
from extract.offices import OFFICES, cbs_examine, eurostat_examine
from extract.registry import get_dataset, load_registry
from metaalexport import steps
from metaalexport.settings import Settings

# What the default run keeps, times four: raw, landing, candidate and published file stand beside each other.
NEEDED_DISK_BYTES = 4 << 30
NEEDED_MEMORY_BYTES = 3 << 30
EXAMINERS = {"cbs": cbs_examine, "eurostat": eurostat_examine}


@dataclass(frozen=True)
class MachineCheck:
    """One property of this machine."""

    name: str
    is_right: bool
    found: str
    next_step: str


def check_machine(settings: Settings) -> list[MachineCheck]:
    """Check interpreter, packages, disk, memory, time zones, and what the state folder allows."""
    settings.state.mkdir(parents=True, exist_ok=True)
    return [*_check_software(), *_check_resources(settings)]


def examine_offices(
    settings: Settings, datasets: list[str], run_id: str, progress: Callable[[str], None]
) -> Iterator[Examined]:
    """Ask every endpoint of the offices once, keep the replies in the raw store, and compare them with the registry.

    Yields
    ------
    Examined
        One an endpoint, as they come.
    """
    chosen = [get_dataset(code) for code in datasets] if datasets else list(load_registry().values())
    for office in sorted({dataset.office for dataset in chosen}):
        examiner = EXAMINERS[office]
        own = [dataset for dataset in chosen if dataset.office == office]
        with steps.asking(settings, own[0], run_id, progress) as (session, hosts):
            session.dataset = f"doctor_{office}"
            if not datasets:
                yield from examiner.examine_office(session, hosts)
            for dataset in own:
                progress(f"{dataset.code}: asking every endpoint")
                try:
                    yield from examiner.examine(session, hosts, dataset)
                except ExtractError as error:
                    yield Examined(dataset.code, "examination", error.where, "fails", error.problem)


def _check_software() -> list[MachineCheck]:
    python = sys.version_info
    checks = [
        MachineCheck(
            "Python",
            (3, 11) <= python < (3, 14),
            ".".join(map(str, python[:3])),
            "use Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 setup",
        )
    ]
    for package in ("apache-airflow", "dbt-core", "dbt-duckdb", "duckdb", "great-expectations", "py7zr"):
        try:
            found = version(package)
        except PackageNotFoundError:
            found = ""
        checks.append(MachineCheck(package, bool(found), found or "not installed", "run: make setup"))
    try:
        ZoneInfo("Europe/Amsterdam")
        zones, has_zones = "there", True
    except ZoneInfoNotFoundError:
        zones, has_zones = "missing", False
    checks.append(MachineCheck("time zones", has_zones, zones, "install the package tzdata"))
    checks.append(MachineCheck("registry", True, f"{len(load_registry())} datasets, {len(OFFICES)} offices", ""))
    return checks


def _check_resources(settings: Settings) -> list[MachineCheck]:
    free = shutil.disk_usage(settings.state).free
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    is_writable = os.access(settings.state, os.W_OK)
    return [
        MachineCheck(
            "disk",
            free >= NEEDED_DISK_BYTES,
            f"{free / 1e9:.0f} GB free under {settings.state}",
            f"free {NEEDED_DISK_BYTES / 1e9:.0f} GB, or set METAALEXPORT_VAR to a larger disk",
        ),
        MachineCheck(
            "memory",
            memory >= NEEDED_MEMORY_BYTES,
            f"{memory / 1e9:.0f} GB",
            f"{NEEDED_MEMORY_BYTES / 1e9:.0f} GB are needed for a build",
        ),
        MachineCheck(
            "state folder",
            is_writable,
            f"{settings.state} {'can' if is_writable else 'cannot'} be written",
            "change its owner, or set METAALEXPORT_VAR",
        ),
    ]
