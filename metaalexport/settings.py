"""Settings of paths, offices and runs, from the environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from common.files import write_atomically
from extract.dataset import EU
from extract.registry import load_registry, use_overlay
from metaalexport.arguments import SettingsError, parse_month, parse_reporters

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
REFERENCE = PROJECT_ROOT / "reference"
DAGS_FOLDER = PROJECT_ROOT / "dags"
PROFILES = ("simulator", "live", "replay")
# The last profile that ran; `run` and `up` choose between live and simulator.
AUTO = "auto"
LAST_RUN = "last_run.json"
DEFAULT_SIMULATOR_URL = "http://127.0.0.1:8765"
OFFICES = ("cbs", "eurostat")
# The Union is the benchmark of its members.
DEFAULT_REPORTERS = ("NL", "DE", EU)
# Quotes and pattern characters in DuckDB's file names.
_NOT_IN_PATHS = frozenset("'\"*?[]{}")


@dataclass(frozen=True)
class Settings:
    """One profile's settings.

    Attributes
    ----------
    profile : str
        ``simulator``, ``live`` or ``replay``.
    state : Path
        ``var/<profile>``: all state of this profile.
    reporters : tuple of str
        Reporting countries requested from Eurostat.
    first_month : str or None
        First month requested; None for each dataset's first period.
    user_scopes : Path or None
        The user's scopes, in addition to the shipped ones.
    replay_folder : Path or None
        Recorded payloads, for the replay profile.
    task_retries, retry_delay_seconds
        Retries after a transient error, and the pause between them.
    ingest_deadline_seconds, build_deadline_seconds : int
        Time after queueing at which a scheduled run counts as late.
    http_attempts, http_base_seconds
        Attempts of one request, and the first wait between two.
    datasets : tuple of str
        Datasets that the DAGs load; empty for those that the registry loads by default, ``all`` for every one.
    request_budget : int
        Most requests that one run may make to one office.
    lock_wait_seconds : float
        Seconds that a run waits for another one that holds the same office.
    overlay : Path or None
        The user's corrections of registry and seeds.
    overrides : mapping of str to str
        Alternative base address (scheme, host, port) by office.
    """

    profile: str
    state: Path
    reporters: tuple[str, ...] = DEFAULT_REPORTERS
    first_month: str | None = None
    user_scopes: Path | None = None
    replay_folder: Path | None = None
    simulator_url: str = DEFAULT_SIMULATOR_URL
    task_retries: int = 3
    retry_delay_seconds: int = 300
    ingest_deadline_seconds: int = 6 * 3600
    build_deadline_seconds: int = 2 * 3600
    http_attempts: int = 8
    http_base_seconds: float = 2.0
    datasets: tuple[str, ...] = ()
    request_budget: int = 2000
    lock_wait_seconds: float = 900.0
    overlay: Path | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        """True if this profile's figures are simulated."""
        return self.profile == "simulator"

    @property
    def raw(self) -> Path:
        """Raw store."""
        return self.state / "raw"

    @property
    def landing(self) -> Path:
        """Landing area."""
        return self.state / "landing"

    @property
    def journal(self) -> Path:
        """The pipeline's journal."""
        return self.state / "ops"

    @property
    def warehouse(self) -> Path:
        """The private build file: the candidate."""
        return self.state / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """The published file. Not named after its schema `marts`: DuckDB would call `marts.table` ambiguous."""
        return self.state / "metaalexport.duckdb"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.state / "report" / "index.html"

    @property
    def prompt_history(self) -> Path:
        """Input history of the prompt of ``metaalexport sql``."""
        return self.state / "sql_history"

    @property
    def gx(self) -> Path:
        """Great Expectations' folder."""
        return self.state / "gx"

    @property
    def dbt(self) -> Path:
        """Target, logs and manifest of dbt."""
        return self.state / "dbt"

    @property
    def airflow_home(self) -> Path:
        """Airflow's home."""
        return self.state / "airflow"

    @property
    def offices(self) -> Path:
        """Locks and request counts of the offices."""
        return self.state / "offices"

    def datasets_to_load(self, office: str = "") -> list[str]:
        """Return the codes of the datasets that the DAGs load, of one office or of both.

        Verified or not: a dataset that differs from its declaration fails alone.
        """
        registry = load_registry()
        wanted = [code for code, dataset in registry.items() if dataset.by_default]
        if self.datasets:
            wanted = list(registry) if self.datasets == ("all",) else list(self.datasets)
        return [code for code in wanted if not office or registry[code].office == office]

    def office_hosts(self, office: str, public: Mapping[str, str]) -> dict[str, str]:
        """Return the base URLs of an office for this profile: the public ones, or their paths on another host."""
        other = self.overrides.get(office) or (self.simulator_url if self.is_simulated else "")
        if not other:
            return dict(public)
        return {name: other.rstrip("/") + urlsplit(url).path for name, url in public.items()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read ``METAALEXPORT_*``, and apply the profile's overlay to the registry from here on.

        Raises
        ------
        SettingsError
            If a variable is invalid, or a required one is missing.
        """
        env = os.environ if environment is None else environment
        root = Path(env.get("METAALEXPORT_VAR", str(PROJECT_ROOT / "var"))).resolve()
        profile, replay = env.get("METAALEXPORT_PROFILE") or AUTO, env.get("METAALEXPORT_REPLAY", "")
        if profile == AUTO:
            profile, replay = ("replay", replay) if replay else read_last_run(root)
        if profile not in PROFILES:
            raise SettingsError(
                f"METAALEXPORT_PROFILE is {profile!r}; it must be one of {', '.join((*PROFILES, AUTO))}"
            )
        if bad := sorted(set(str(root)) & _NOT_IN_PATHS):
            # dbt models read the state by glob patterns inside SQL text.
            raise SettingsError(
                f"the folder of the state, {root}, has {' '.join(bad)} in its name; set METAALEXPORT_VAR to another"
            )
        # One per profile: findings about the simulator do not apply to the offices.
        overlay = Path(env.get("METAALEXPORT_OVERLAY") or root / profile / "overlay").resolve()
        if overlay.exists() and not overlay.is_dir():
            raise SettingsError(f"METAALEXPORT_OVERLAY names {overlay}, which is not a folder")
        use_overlay(overlay)
        scopes = env.get("METAALEXPORT_SCOPES", "")
        if profile == "replay" and not replay:
            raise SettingsError("the replay profile needs METAALEXPORT_REPLAY=<folder> (make run: REPLAY=<folder>)")
        for name, value in (("METAALEXPORT_SCOPES", scopes), ("METAALEXPORT_REPLAY", replay)):
            if value and not Path(value).exists():
                raise SettingsError(f"{name} names {value}, which does not exist")
        reporters = parse_reporters(
            env.get("METAALEXPORT_REPORTERS", ",".join(DEFAULT_REPORTERS)).split(","), "METAALEXPORT_REPORTERS"
        )
        first_month = env.get("METAALEXPORT_FIRST_MONTH", "")
        return cls(
            profile=profile,
            state=root / profile,
            reporters=reporters,
            first_month=parse_month(first_month, "METAALEXPORT_FIRST_MONTH") if first_month else None,
            user_scopes=Path(scopes).resolve() if scopes else None,
            replay_folder=Path(replay).resolve() if replay else None,
            simulator_url=_url(env, "METAALEXPORT_SIMULATOR_URL") or DEFAULT_SIMULATOR_URL,
            task_retries=_whole_number(env, "METAALEXPORT_TASK_RETRIES", 3, least=0),
            retry_delay_seconds=_whole_number(env, "METAALEXPORT_RETRY_DELAY_SECONDS", 300, least=0),
            ingest_deadline_seconds=_whole_number(env, "METAALEXPORT_INGEST_DEADLINE_SECONDS", 6 * 3600, least=1),
            build_deadline_seconds=_whole_number(env, "METAALEXPORT_BUILD_DEADLINE_SECONDS", 2 * 3600, least=1),
            http_attempts=_whole_number(env, "METAALEXPORT_HTTP_ATTEMPTS", 8, least=1),
            http_base_seconds=_seconds(env, "METAALEXPORT_HTTP_BASE_SECONDS", 2.0),
            datasets=_datasets(env),
            request_budget=_whole_number(env, "METAALEXPORT_REQUEST_BUDGET", 2000, least=1),
            lock_wait_seconds=_seconds(env, "METAALEXPORT_LOCK_WAIT_SECONDS", 900.0),
            overlay=overlay,
            overrides={office: url for office in OFFICES if (url := _url(env, f"METAALEXPORT_{office.upper()}_URL"))},
        )


def read_last_run(root: Path) -> tuple[str, str]:
    """Return profile and replay folder of the last run; the simulator before the first.

    Raises
    ------
    SettingsError
        If the file is damaged: a guess could show simulated figures as real ones.
    """
    path = root / LAST_RUN
    try:
        last = json.loads(path.read_text(encoding="utf-8"))
        profile, replay = last["profile"], str(last["replay"])
        if profile not in PROFILES:
            raise ValueError(profile)
    except (FileNotFoundError, NotADirectoryError):
        return "simulator", ""
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} is damaged, so the profile of the last run is unknown; next: set METAALEXPORT_PROFILE"
            f" ({', '.join(PROFILES)}); `metaalexport run` rewrites the file"
        ) from error
    return profile, str(root / replay) if replay else ""


def write_last_run(settings: Settings) -> None:
    """Record the profile of a run as the default for later commands."""
    root, replay = settings.state.parent, settings.replay_folder
    root.mkdir(parents=True, exist_ok=True)
    # A replay folder next to the state folders is stored relative, as it moves with them.
    if replay is not None and replay.is_relative_to(root.parent):
        replay = Path(os.path.relpath(replay, root))
    write_atomically(root / LAST_RUN, json.dumps({"profile": settings.profile, "replay": str(replay or "")}) + "\n")


def _url(environment: Mapping[str, str], name: str) -> str:
    url = environment.get(name, "")
    try:
        parts = urlsplit(url)
        is_right = not url or bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        is_right = False
    if not is_right:
        raise SettingsError(f"{name} is {url!r}, not http://host[:port] with a port from 1 to 65535")
    return url


def _datasets(environment: Mapping[str, str]) -> tuple[str, ...]:
    codes = tuple(code for code in environment.get("METAALEXPORT_DATASETS", "").replace(" ", "").split(",") if code)
    unknown = [code for code in codes if code not in load_registry()] if codes != ("all",) else []
    if unknown:
        raise SettingsError(
            f"METAALEXPORT_DATASETS names {', '.join(unknown)}; known are {', '.join(load_registry())}, or all"
        )
    return codes


def _whole_number(environment: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environment.get(name, str(default))
    if not re.fullmatch(r"\d+", text) or int(text) < least:
        raise SettingsError(f"{name} is {text!r}, not a whole number of at least {least}")
    return int(text)


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, str(default))
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise SettingsError(f"{name} is {text!r}, not a number of seconds")
    return float(text)
