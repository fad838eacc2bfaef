"""Soak tests: many releases on one state, with faults; and all kinds of users on one state at the same time.

``python -m tests.fault.soak rounds 36 <folder>`` loads 36 releases;
``python -m tests.fault.soak together 600 <folder>`` runs all users on one state for ten minutes.
Both exit with an error if an assertion fails.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import requests

from extract.errors import ExtractError
from extract.landing.store import Landing
from metaalexport import building, candidate, gates, ingest, published
from metaalexport.maintenance import maintain
from metaalexport.rebuild import rebuild_landing
from metaalexport.run import Run
from metaalexport.settings import Settings
from publish.duckdb_file import PublishedFileError, check_published, connect_published
from publish.postgres.roles import LOADER, READER, prepare_server
from publish.postgres.server import PostgresServer
from publish.postgres.serving import publish_postgres
from simulator.server import run_simulator
from tests.postgres.server import running_server
from tests.states import SPARSE

ROOT = Path(__file__).resolve().parents[2]
FIRST_RELEASE = 3
CBS, COMEXT = "cbs_85429ned", "eurostat_ds_045409"
DATASETS = (CBS, COMEXT)
# The fault of a round, in addition to its release.
TROUBLES = (
    "none",
    "broken reply",
    "one office away",
    "withdrawn",
    "withdrawn and reinstated",
    "killed build",
    "other scopes",
)
SCOPES = ROOT / "docs" / "examples" / "scope_pe_film.csv"
IDENTITY = """
select max(abs(total - 1)) from (
    select sum(share) as total from marts.rpt_destination_shares
    where is_complete group by source_code, concept_code, scope_code, reporter_code, month
) as totals
"""
# A single statement reads a single publication, in DuckDB and in PostgreSQL.
LOOK = f"""
select inputs_sha256, content_sha256, ({IDENTITY}) as deviation, (select string_agg(load_id, ' ') from ops.loads)
from ops.publication
"""

EDIT = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("update marts.dim_country set country_name_en = 'mine' where country_code = 'US'")
"""


def quiet(message: str) -> None:
    """Ignore progress messages."""


def say(message: str) -> None:
    """Print a line and flush it."""
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


@dataclass
class Reader:
    """Reads the publication again and again, as a BI tool does.

    Attributes
    ----------
    look : callable
        Returns the single row of `LOOK`.
    is_shared : bool
        True if another program may write into the file; a changed file is then refused, and counted in ``refused``.
    refused : int
        Number of refused reads.
    contents : dict of str to set of str
        Content hashes by hash of inputs; each must have exactly one.
    loads : set of str
        Ids of the loads in all publications that were read.
    """

    look: Callable[[], Sequence[Any]]
    is_shared: bool = False
    reads: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)
    contents: dict[str, set[str]] = field(default_factory=dict)
    loads: set[str] = field(default_factory=set)

    def read_until(self, is_done: threading.Event) -> None:
        """Read twice a second, which leaves the processors to the work, until ``is_done`` is set."""
        while not is_done.wait(0.5):
            try:
                inputs, content, deviation, loads = self.look()
            except PublishedFileError as error:
                self.refused += self.is_shared
                self.errors += [] if self.is_shared else [str(error)]
            except (duckdb.Error, psycopg.Error) as error:
                is_locked = self.is_shared and "lock" in str(error)
                self.refused += is_locked
                self.errors += [] if is_locked else [str(error)]
            else:
                if deviation is None or deviation > 1e-9:
                    self.errors.append(f"shares of {content[:12]} deviate from 1 by {deviation}")
                self.loads.update(loads.split())
                self.contents.setdefault(inputs, set()).add(content)
                self.reads += 1

    def require_right(self) -> None:
        """Assert that there were reads, that none failed, and that equal inputs had equal contents."""
        assert self.errors == [], self.errors[:3]
        assert self.reads > 0
        assert [contents for contents in self.contents.values() if len(contents) > 1] == []


def look_at_file(path: Path, *, is_checked: bool = False) -> Sequence[Any]:
    """Read the published file; ``is_checked`` verifies its hash first."""
    if is_checked:
        check_published(path)
    with connect_published(path) as connection:
        (row,) = connection.execute(LOOK).fetchall()
    return row


def look_at_server(server: PostgresServer) -> Sequence[Any]:
    """Read the marts in PostgreSQL."""
    with server.connect() as connection:
        (row,) = connection.execute(LOOK).fetchall()
    return row


@contextmanager
def reading(*looks: Callable[[], Sequence[Any]]) -> Iterator[list[Reader]]:
    """Read in several ways while the block runs, then assert that all reads were correct."""
    readers, is_done = [Reader(look) for look in looks], threading.Event()
    threads = [threading.Thread(target=reader.read_until, args=(is_done,), daemon=True) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        is_done.set()
        for thread in threads:
            thread.join(timeout=60)
    for reader in readers:
        reader.require_right()


@contextmanager
def serving() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Run a PostgreSQL server; yield it as its loader and as its reader."""
    with running_server() as admin:
        prepare_server(admin, database="marts", loader_password=LOADER, reader_password=READER)
        served = replace(admin, database="marts")
        yield replace(served, user=LOADER, password=LOADER), replace(served, user=READER, password=READER)


def make_settings(home: Path, url: str) -> Settings:
    """Return settings of a small state: NL, from January 2025."""
    return Settings(
        "simulator", home / "simulator", reporters=("NL",), first_month="2025-01", simulator_url=url,
        http_attempts=1, datasets=DATASETS,
    )  # fmt: skip


def command(settings: Settings, *words: str) -> subprocess.Popen[bytes]:
    """Start a command on a state."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("METAALEXPORT_", "AIRFLOW"))},
        "METAALEXPORT_VAR": str(settings.state.parent),
        "METAALEXPORT_PROFILE": "simulator",
        "METAALEXPORT_SIMULATOR_URL": settings.simulator_url,
        "METAALEXPORT_DATASETS": ",".join(DATASETS),
        "METAALEXPORT_REPORTERS": "NL",
        "METAALEXPORT_FIRST_MONTH": "2025-01",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "metaalexport", *words],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def load(settings: Settings, dataset: str, run_id: str, *, again: bool = False) -> str | None:
    """Load the slice of a dataset; return its load id, or None if nothing is newer."""
    (part,) = ingest.plan_loads(Run(settings), dataset)
    manifest = ingest.load_slice(Run(settings, run_id, quiet), part, again=again)
    return manifest.load_id if manifest else None


def publish(settings: Settings, run_id: str) -> str:
    """Build, test, gate and publish; return the content hash."""
    building.build_candidate(Run(settings, run_id, quiet))
    building.test_candidate(Run(settings, run_id, quiet))
    building.gate_candidate(Run(settings, run_id, quiet))
    building.record_operations(Run(settings, run_id))
    content = building.publish_candidate(Run(settings, run_id, quiet)).content_sha256
    check_published(settings.published)
    assert published.query(settings, IDENTITY).rows[0][0] < 1e-9
    return content


@dataclass(frozen=True)
class Sizes:
    """Bytes of a state: raw replies, landing area, and the rest, which is rebuilt or pruned."""

    raw: int
    landing: int
    rest: int

    @classmethod
    def of(cls, settings: Settings) -> Sizes:
        """Return the sizes of a state."""

        def size(folder: Path) -> int:
            return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

        raw, landing = size(settings.raw), size(settings.landing)
        return cls(raw, landing, size(settings.state) - raw - landing)

    def __str__(self) -> str:
        """Return the sizes in MB as text."""
        return f"raw {self.raw / 1e6:.1f} MB, landing {self.landing / 1e6:.1f} MB, rest {self.rest / 1e6:.1f} MB"


def rounds(number: int, home: Path, seed: int = 2026) -> list[Sizes]:
    """Load releases with faults, publish each, and rebuild everything from the raw store at the end.

    Readers read the published file and PostgreSQL all the time.

    Returns
    -------
    list of Sizes
        Bytes of the state after each round.
    """
    dice, sizes = random.Random(seed), list[Sizes]()
    with run_simulator(release=FIRST_RELEASE, parameters=SPARSE) as url, serving() as (filled, read):

        def fault(**values: str) -> None:
            requests.post(f"{url}/_simulator/faults", json=[values], timeout=10).raise_for_status()

        def publish_and_serve(run_id: str) -> str:
            content = publish(settings, run_id)
            publish_postgres(settings.published, filled, extensions=home / "extensions", progress=quiet)
            return content

        settings = make_settings(home, url)
        for dataset in DATASETS:
            load(settings, dataset, "first")
        publish_and_serve("first")
        with reading(partial(look_at_file, settings.published), partial(look_at_server, read)) as readers:
            for turn in range(1, number + 1):
                # Each fault occurs once before any is repeated.
                trouble = TROUBLES[turn % len(TROUBLES)] if turn <= len(TROUBLES) else dice.choice(TROUBLES)
                run_id = f"round_{turn}"
                body = {"number": FIRST_RELEASE + turn}
                requests.post(f"{url}/_simulator/release", json=body, timeout=60).raise_for_status()
                if trouble == "broken reply":
                    fault(match="/data/DS-045409", kind=dice.choice(("negative_value", "missing_partners", "truncate")))
                elif trouble == "one office away":
                    fault(match="/odata", kind="http_503")
                _load_all(settings, run_id)
                requests.delete(f"{url}/_simulator/faults", timeout=10).raise_for_status()
                if trouble.startswith("withdrawn"):
                    newest = list(Landing(settings.landing).committed(dice.choice(DATASETS)))[-1].load_id
                    ingest.withdraw_load(Run(settings, run_id, quiet), newest, "a trial")
                    if trouble.endswith("reinstated"):
                        ingest.reinstate_load(Run(settings, run_id), newest)
                elif trouble == "killed build":
                    process = command(settings, "build")
                    time.sleep(dice.uniform(3, 15))
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                elif trouble == "other scopes":
                    settings = replace(settings, user_scopes=None if settings.user_scopes else SCOPES)
                content = publish_and_serve(run_id)
                maintain(settings, run_id, progress=quiet)
                sizes.append(Sizes.of(settings))
                reads = " and ".join(str(reader.reads) for reader in readers)
                say(f"round {turn}: {trouble}, content {content[:12]}, {sizes[-1]}, {reads} reads")
        same_from_raw(settings, home / "anew", content)
    return sizes


def _load_all(settings: Settings, run_id: str) -> None:
    for dataset in DATASETS:
        try:
            load(settings, dataset, run_id)
        except (ExtractError, gates.GateFailedError) as error:
            say(f"  {dataset}: {str(error).splitlines()[0][:120]}")


def same_from_raw(settings: Settings, home: Path, content: str) -> None:
    """Rebuild from the raw store alone, and assert that landing and marts are equal."""
    shutil.rmtree(home, ignore_errors=True)
    anew = replace(settings, state=home / "simulator")
    shutil.copytree(settings.raw, anew.raw)
    problems = rebuild_landing(Run(anew, "anew", quiet))
    assert problems == [], problems[:3]
    assert Landing(anew.landing).content_hash() == Landing(settings.landing).content_hash()
    assert publish(anew, "anew") == content


def together(seconds: float, home: Path, seed: int = 2026) -> Reader:
    """Run readers, an editor, killed builds, a second run, a scheduler and new releases on one state."""
    dice, is_done = random.Random(seed), threading.Event()
    with run_simulator(release=FIRST_RELEASE, parameters=SPARSE) as url:
        settings = make_settings(home, url)
        for dataset in DATASETS:
            load(settings, dataset, "first")
        publish(settings, "first")
        release = [FIRST_RELEASE]

        def new_releases() -> None:
            release[0] += 1
            requests.post(f"{url}/_simulator/release", json={"number": release[0]}, timeout=60).raise_for_status()
            for dataset in DATASETS:
                command(settings, "load", dataset).wait()

        def an_editor() -> None:
            # A tool that opens the file for writing, with permission to do so.
            settings.published.chmod(0o644)
            subprocess.run(
                [sys.executable, "-c", EDIT, str(settings.published)], check=False, stderr=subprocess.DEVNULL
            )

        def killed_builds() -> None:
            process = command(settings, "build")
            time.sleep(dice.uniform(1, 20))
            process.kill()
            process.wait()

        def builds() -> None:
            command(settings, "build").wait()
            command(settings, "publish").wait()

        def a_scheduler() -> None:
            command(settings, "run").wait()

        def repeat(work: Callable[[], None], pause: float) -> None:
            while not is_done.wait(pause):
                try:
                    work()
                except (duckdb.Error, OSError) as error:
                    say(f"  {work.__name__}: {str(error).splitlines()[0][:120]}")

        pauses = {new_releases: 10.0, an_editor: 20.0, killed_builds: 30.0, builds: 1.0, a_scheduler: 2.0}
        threads = [threading.Thread(target=repeat, args=each) for each in pauses.items()]
        reader = Reader(partial(look_at_file, settings.published, is_checked=True), is_shared=True)
        threads.append(threading.Thread(target=reader.read_until, args=(is_done,)))
        for thread in threads:
            thread.start()
        is_done.wait(seconds)
        is_done.set()
        for thread in threads:
            thread.join(timeout=300)
        made = f"{len(reader.contents)} publications of {release[0]} releases"
        say(f"{reader.reads} reads, {reader.refused} refused, {made}")
        histories = settings.raw.glob("history/*/*.json")
        ever = {json.loads(path.read_text(encoding="utf-8"))["load_id"] for path in histories}
        assert reader.loads <= ever, reader.loads - ever
        reader.require_right()
        for dataset in DATASETS:
            load(settings, dataset, "last")
        content = publish(settings, "last")
        assert candidate.is_published(settings)
        same_from_raw(settings, home / "anew", content)
    return reader


def main(what: str, amount: str, folder: str) -> None:
    """Run one of the two soak tests."""
    if what == "rounds":
        sizes = rounds(int(amount), Path(folder))
        say(f"after the first round: {sizes[0]}; after the last: {sizes[-1]}")
    else:
        together(float(amount), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
