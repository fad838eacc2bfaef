"""Whether this machine, and the offices, are all right."""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from extract.errors import ExtractError
from extract.examine import Examined
from extract.offices import OFFICES, cbs_examine, eurostat_examine
from extract.raw import RawStore
from extract.registry import get_dataset, load_registry, overlay_files
from metaalexport import reference, steps, verified
from metaalexport.journal import utc_now
from metaalexport.rehearsal import Rehearsed
from metaalexport.settings import Settings

# What the default run keeps, times four: raw, landing, candidate and published file stand beside each other.
NEEDED_DISK_BYTES = 4 << 30
NEEDED_MEMORY_BYTES = 3 << 30
# A person waits; what passes in minutes the rehearsal waits for.
_EXAMINATION_ATTEMPTS = 3
# Outcomes of an endpoint that differ from nothing.
RIGHT = ("as declared", "answers")
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
    return [*_check_software(settings), *_check_resources(settings)]


def examine_offices(
    settings: Settings, datasets: list[str], run_id: str, progress: Callable[[str], None]
) -> Iterator[Examined]:
    """Ask every endpoint of the offices once, keep the replies in the raw store, and compare them with the registry.

    Yields
    ------
    Examined
        One an endpoint, as they come.
    """
    named = datasets or (settings.datasets_to_load() if settings.datasets else list(load_registry()))
    chosen = [get_dataset(code) for code in named]
    hasty = replace(settings, http_attempts=min(settings.http_attempts, _EXAMINATION_ATTEMPTS))
    for office in sorted({dataset.office for dataset in chosen}):
        examiner = EXAMINERS[office]
        own = [dataset for dataset in chosen if dataset.office == office]
        with steps.asking(hasty, own[0], run_id, progress) as (session, hosts):
            session.dataset = f"doctor_{office}"
            if not datasets:
                yield from examiner.examine_office(session, hosts)
            for dataset in own:
                progress(f"{dataset.code}: asking every endpoint")
                try:
                    yield from examiner.examine(session, hosts, dataset)
                except ExtractError as error:
                    yield Examined(dataset.code, "examination", error.where, "fails", error.problem)


def keep_evidence(
    settings: Settings, examined: Sequence[Examined], rehearsed: Sequence[Rehearsed], run_id: str
) -> list[str]:
    """Write down which datasets the offices give as declared, and return their codes.

    That is each of which every endpoint answers as declared and every slice would be loaded.
    """
    requests: dict[str, dict[str, str]] = defaultdict(dict)
    dataset_of = {result.url: result.dataset for result in examined}
    for record in RawStore(settings.raw).records():
        if record.run_id == run_id:
            code = dataset_of.get(record.url, record.dataset)
            requests[code][record.request_id] = record.url
    kept = []
    for code in dict.fromkeys(result.dataset_code for result in rehearsed):
        endpoints = [result for result in examined if result.dataset == code]
        slices = [result for result in rehearsed if result.dataset_code == code]
        is_right = all(r.outcome in RIGHT for r in endpoints) and all(r.is_passed for r in slices)
        verified.keep(settings, get_dataset(code), verified.Evidence(is_right, requests[code]), utc_now())
        kept += [code] if is_right else []
    return kept


def is_away(examined: Sequence[Examined], office: str) -> bool:
    """Whether nothing of an office's datasets could be had."""
    outcomes = [result.outcome for result in examined if result.dataset in _codes_of(office)]
    return bool(outcomes) and all(outcome == "fails" for outcome in outcomes)


def _codes_of(office: str) -> set[str]:
    return {code for code, dataset in load_registry().items() if dataset.office == office}


def _check_software(settings: Settings) -> list[MachineCheck]:
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
    partners = reference.overlay_partners()
    own = f"{len(overlay_files())} files, {len(partners)} partner codes, in {settings.overlay}"
    checks.append(MachineCheck("overlay", True, own if overlay_files() else f"none in {settings.overlay}", ""))
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
