"""Checks of this machine and of the offices."""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from extract.errors import ExtractError
from extract.examine import Examined
from extract.offices import OFFICES
from extract.offices.cbs import examine as cbs_examine
from extract.offices.eurostat import examine as eurostat_examine
from extract.raw import RawStore
from extract.registry import get_dataset, load_registry, overlay_files
from metaalexport import asking, inherited, reference, verified
from metaalexport.airflow_run import ui_port
from metaalexport.journal import utc_now
from metaalexport.offices import proxies
from metaalexport.rehearsal import Rehearsed
from metaalexport.run import Run
from metaalexport.settings import PROJECT_ROOT, Settings
from metaalexport.simulation import port_problem
from publish.duckdb_file import PublishedFileError, refuse_log

# Four times the state of a default run: raw, landing, candidate and published file exist side by side.
NEEDED_DISK_BYTES = 4 << 30
NEEDED_MEMORY_BYTES = 3 << 30
# A person waits for the examination; the rehearsal has the full retries.
_EXAMINATION_ATTEMPTS = 3
# Outcomes of an endpoint without a deviation.
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
    """Check interpreter, packages, disk, memory, time zones, the shell, and the state folder's permissions."""
    return [*_check_software(settings), *_check_shell(), *_check_resources(settings), *_check_published(settings)]


def check_ports(settings: Settings) -> list[MachineCheck]:
    """Check the ports of the simulator and of Airflow's UI; a port in use may be this project's own."""
    ports = {
        "simulator": urlsplit(settings.simulator_url).port or 80,
        "Airflow's UI": ui_port(inherited.for_airflow(os.environ)),
    }
    next_steps = {
        "simulator": "another port is used if no simulator answers there",
        "Airflow's UI": "if it is not Airflow, set METAALEXPORT_AIRFLOW__API__PORT to another",
    }
    checks = []
    for whose, port in ports.items():
        problem = port_problem(port)
        checks.append(
            MachineCheck(
                f"port {port}", True, f"{whose}: " + (f"{problem}; {next_steps[whose]}" if problem else "free"), ""
            )
        )
    return checks


def examine_offices(
    settings: Settings, datasets: list[str], run_id: str, progress: Callable[[str], None]
) -> Iterator[Examined]:
    """Request every endpoint of the offices once, store the replies, and compare them with the registry.

    Yields
    ------
    Examined
        One per endpoint, in order of completion.
    """
    named = datasets or (settings.datasets_to_load() if settings.datasets else list(load_registry()))
    chosen = [get_dataset(code) for code in named]
    hasty = replace(settings, http_attempts=min(settings.http_attempts, _EXAMINATION_ATTEMPTS))
    for office in sorted({dataset.office for dataset in chosen}):
        examiner = EXAMINERS[office]
        own = [dataset for dataset in chosen if dataset.office == office]
        with asking.asking(Run(hasty, run_id, progress), own[0]) as (session, hosts):
            session.dataset = f"doctor_{office}"
            if not datasets:
                yield from examiner.examine_office(session, hosts)
            for dataset in own:
                progress(f"{dataset.code}: requesting every endpoint")
                try:
                    yield from examiner.examine(session, hosts, dataset)
                except ExtractError as error:
                    yield Examined(dataset.code, "examination", error.where, "fails", error.problem)


def keep_evidence(
    settings: Settings, examined: Sequence[Examined], rehearsed: Sequence[Rehearsed], run_id: str
) -> list[str]:
    """Record the datasets verified as declared, and return their codes.

    A dataset is verified if every endpoint answers as declared and every slice would be loaded.
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
    """True if all endpoints of an office's datasets failed."""
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


def _check_shell() -> list[MachineCheck]:
    """Check variables, proxies and encoding; variables are listed by name only, as a value may be a secret."""
    ignored = inherited.foreign(os.environ)
    found = proxies(os.environ)
    encoding = sys.stdout.encoding or "unknown"
    is_utf8 = encoding.lower().replace("-", "") == "utf8"
    return [
        MachineCheck("variables ignored", True, ", ".join(ignored) or "none", ""),
        MachineCheck("proxies", True, f"{', '.join(found)}; bypassed for this machine" if found else "none", ""),
        MachineCheck(
            "encoding",
            True,
            encoding if is_utf8 else f"{encoding}: shows ? for other characters; set LC_ALL=C.UTF-8",
            "",
        ),
    ]


def _check_published(settings: Settings) -> list[MachineCheck]:
    try:
        refuse_log(settings.published)
    except PublishedFileError as error:
        return [MachineCheck("published file", False, str(error).partition("; next: ")[0], "metaalexport publish")]
    found = str(settings.published) if settings.published.exists() else "nothing is published yet"
    return [MachineCheck("published file", True, found, "")]


def _check_resources(settings: Settings) -> list[MachineCheck]:
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        problem = "" if os.access(settings.state, os.W_OK) else "no write permission"
    except OSError as error:
        problem = error.strerror or str(error)
    there = next(path for path in (settings.state, *settings.state.parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    has_checkout = os.access(PROJECT_ROOT, os.W_OK)
    return [
        MachineCheck(
            "disk",
            free >= NEEDED_DISK_BYTES,
            f"{free / 1e9:.0f} GB free under {there}",
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
            not problem,
            f"{settings.state} cannot be written: {problem}" if problem else f"{settings.state} can be written",
            "change its owner, or set METAALEXPORT_VAR to a folder of yours",
        ),
        # Only the state is written there, and only by default.
        MachineCheck("checkout", True, f"{PROJECT_ROOT} {'can' if has_checkout else 'cannot'} be written", ""),
    ]
