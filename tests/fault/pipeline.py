"""Interrupts each command of the pipeline at each of its steps, runs it again, and reports the result.

The steps are recorded in a run without interruption, so that a new step is included automatically. Interruptions of a
load at every change on disk are in `tests.fault.interruptions`.

``python -m tests.fault.pipeline <folder>`` tries all points (hours), and writes the table of ``docs/reliability.md``.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.landing.store import Landing
from metaalexport import ingest, published
from metaalexport.journal import Journal
from metaalexport.run import Run
from metaalexport.settings import Settings
from publish.duckdb_file import check_published
from simulator.server import run_simulator
from tests.fault.interruptions import watch
from tests.states import SPARSE

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
BEFORE, NOW = 11, 12
DATASETS = ("cbs_85429ned", "eurostat_ds_045409")
# Smaller than any file of rows, so that each step that writes one fails.
SMALL_FILE_BYTES = 50_000
# The table of the page stands between these.
BEGIN, END = "<!-- written by tests/fault/pipeline.py -->\n", "<!-- end of what is written -->"
TABLE_HEAD = "| command | step | killed | full disk | each met | readers saw | ends like an undisturbed run |"
_ROW = re.compile(r"\| `(\w+)` \|")
_START = re.compile(r"step start (\w+)")


@dataclass(frozen=True)
class Command:
    """A command, and the states before and after it.

    Attributes
    ----------
    words : tuple of str
        Command line; ``{load_id}`` and ``{folder}`` are replaced.
    base : str
        State that it starts from; see `States`.
    then : tuple of str
        Commands to run before the final states are compared.
    inside : int
        Points inside each step that are tried from a fresh state.
    """

    name: str
    words: tuple[str, ...]
    base: str
    then: tuple[str, ...] = ()
    inside: int = 4


COMMANDS = (
    Command("load", ("load", "eurostat_ds_045409"), "old"),
    Command("build", ("build",), "loaded", ("publish",)),
    Command("publish", ("publish",), "built"),
    Command("report", ("report",), "whole"),
    Command("export", ("export", "--to", "{folder}/export", "--force", "dim_country"), "whole"),
    Command("maintain", ("maintain",), "whole"),
    Command("withdraw", ("withdraw", "{load_id}", "--reason", "a trial"), "whole"),
    Command("reinstate", ("reinstate", "{load_id}"), "withdrawn"),
    # Each trial takes minutes, and its steps are those of the other commands.
    Command("rebuild", ("rebuild",), "raw", inside=2),
)


@dataclass(frozen=True)
class Seen:
    """Comparable content of a state.

    Attributes
    ----------
    landing, marts : str
        Content hashes; ``marts`` is empty if there is no published file.
    withdrawn : tuple of str
        Load ids.
    files : tuple of str
        Report and export, if they exist.
    """

    landing: str
    marts: str
    withdrawn: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One interruption.

    Attributes
    ----------
    step : str
        Step that was interrupted; empty before the first one.
    how : str
        ``kill`` or ``full``.
    shown : str
        State of published file and landing at that time: ``before``, ``after``, or an error.
    ends_as_clean : bool
        True if the command, run again, ended in the state of an undisturbed run.
    """

    command: str
    step: str
    how: str
    shown: str
    ends_as_clean: bool


class States:
    """The states that commands start from; each is built once.

    ``old``: release 11 published; ``loaded``: release 12 landed; ``built``: its candidate; ``whole``: published, with
    its report; ``withdrawn``: without its newest load; ``raw``: nothing but the raw store, and dbt's cache of the
    parsed project, which would cost each trial some seconds.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        with run_simulator(release=BEFORE, parameters=SPARSE) as url:
            settings = self._settings("old", url)
            self._load(settings, "old")
            for name in ("build", "publish", "report"):
                self.run(settings, (name,), url)
        self.context = run_simulator(release=NOW, parameters=SPARSE)
        self.url = self.context.__enter__()
        settings = self._copy("old", "loaded")
        self._load(settings, "new")
        newest = list(Landing(settings.landing).committed("eurostat_ds_045409"))[-1]
        self.load_id = newest.load_id
        self.run(self._copy("loaded", "built"), ("build",))
        whole = self._copy("built", "whole")
        self.run(whole, ("publish",))
        self.run(whole, ("report",))
        self.run(self._copy("whole", "withdrawn"), ("withdraw", self.load_id, "--reason", "a trial"))
        raw = self._settings("raw")
        shutil.copytree(whole.raw, raw.raw)
        (raw.dbt / "target").mkdir(parents=True)
        shutil.copy(whole.dbt / "target" / "partial_parse.msgpack", raw.dbt / "target")

    def close(self) -> None:
        """Stop the simulator."""
        self.context.__exit__(None, None, None)

    def start(self, command: Command, name: str) -> Settings:
        """Return the settings of a copy of the state that a command starts from."""
        return self._copy(command.base, name)

    def run(
        self, settings: Settings, words: tuple[str, ...], url: str = "", *way: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; ``way`` says how it is recorded or interrupted."""
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("METAALEXPORT_", "AIRFLOW"))},
            "METAALEXPORT_VAR": str(settings.state.parent),
            "METAALEXPORT_PROFILE": "simulator",
            "METAALEXPORT_SIMULATOR_URL": url or self.url,
            "METAALEXPORT_DATASETS": ",".join(DATASETS),
            "METAALEXPORT_REPORTERS": "NL",
            "METAALEXPORT_FIRST_MONTH": "2025-01",
        }
        program = ["tests.fault.pipeline", "child", *way, "--"] if way else ["metaalexport"]
        done = subprocess.run(
            [sys.executable, "-m", *program, *words],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert way or done.returncode == 0, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def words(self, command: Command, settings: Settings) -> tuple[str, ...]:
        """Return the command line of a command in a state."""
        return tuple(word.format(load_id=self.load_id, folder=settings.state.parent) for word in command.words)

    def _settings(self, name: str, url: str = "") -> Settings:
        return Settings(
            profile="simulator",
            state=self.home / name / "simulator",
            reporters=("NL",),
            first_month="2025-01",
            simulator_url=url or getattr(self, "url", ""),
            datasets=DATASETS,
        )

    def _copy(self, base: str, name: str) -> Settings:
        shutil.rmtree(self.home / name, ignore_errors=True)
        shutil.copytree(self.home / base, self.home / name)
        return self._settings(name)

    def _load(self, settings: Settings, run_id: str) -> None:
        for dataset in DATASETS:
            for part in ingest.plan_loads(Run(settings), dataset):
                ingest.load_slice(Run(settings, run_id, lambda message: None), part)


def look(settings: Settings) -> Seen:
    """Return the content of a state as its readers see it.

    Raises
    ------
    PublishedFileError
        If the published file was changed.
    """
    landing = Landing(settings.landing)
    marts = ""
    if settings.published.exists():
        check_published(settings.published)
        marts = str(published.query(settings, "select content_sha256 from ops.publication").rows[0][0])
    export = settings.state.parent / "export"
    files = [
        name for name, path in (("report", settings.report), ("export", export / "datapackage.json")) if path.exists()
    ]
    withdrawn = tuple(each.load.load_id for each in landing.withdrawn())
    return Seen(landing.content_hash(), marts, withdrawn, tuple(files))


def points(states: States, command: Command) -> tuple[list[str], Seen, Seen]:
    """Run a command without interruption; return its points, and the content before and after it."""
    settings = states.start(command, "watched")
    before = look(settings)
    log = states.home / "points.log"
    done = states.run(settings, states.words(command, settings), "", "count", str(log))
    assert done.returncode == 0, done.stdout + done.stderr
    for name in command.then:
        states.run(settings, (name,))
    return log.read_text(encoding="utf-8").splitlines(), before, look(settings)


def chosen(names: list[str], inside: int, *, has_boundaries: bool) -> Iterator[tuple[str, str]]:
    """Yield addresses of points with their step: the boundaries of each step, and some inside of it.

    An address is ``<number of the step>:<point in the step>``; the points before the first step have number 0. The
    number of points of a step differs a little from run to run, so that points are not counted across steps. A step
    that comes several times, such as once per load, is interrupted the last time that it comes.
    """
    starts = [(0, ""), *((at, found[1]) for at, name in enumerate(names) if (found := _START.match(name)))]
    ends = [*(at for at, _ in starts[1:]), len(names)]
    lengths = [end - start for (start, _), end in zip(starts, ends, strict=True)]
    steps = {step: number for number, (_, step) in enumerate(starts) if lengths[number]}
    for step, number in steps.items():
        for part in range(0 if has_boundaries else 1, inside + 1):
            yield f"{number}:{lengths[number] * part // (inside + 1)}", step
    if has_boundaries:
        yield f"{len(starts) - 1}:{lengths[-1] - 1}", starts[-1][1]


def try_all(states: States, command: Command, *, inside: int, is_chained: bool) -> list[Trial]:
    """Kill a command at each chosen point, and run it on a full disk.

    Parameters
    ----------
    is_chained : bool
        True if each kill starts from the state that the previous one left; the command then completes once, at the end.
    """
    names, before, after = points(states, command)
    settings, trials = states.start(command, "trial"), list[Trial]()

    def shown() -> str:
        try:
            seen = look(settings)
        except Exception as error:  # noqa: BLE001 - whatever a reader would meet
            return f"{type(error).__name__}: {error}"
        if seen == before:
            return "before"
        # Figures and withdrawals are as before or as after; other files may have come already.
        is_between = seen.marts in (before.marts, after.marts) and seen.withdrawn in (before.withdrawn, after.withdrawn)
        return "after" if is_between else "neither"

    def finish() -> bool:
        is_done = command.name in ("withdraw", "reinstate") and look(settings).withdrawn == after.withdrawn
        if not is_done:
            states.run(settings, states.words(command, settings))
        for name in command.then:
            states.run(settings, (name,))
        left = [*settings.state.glob("*.tmp*"), *(settings.state / "gates").glob("*")]
        return look(settings) == after and not left

    kills = dict(chosen(names, inside, has_boundaries=not is_chained))
    pending = [*kills.items(), ("full", "")]
    for number, (point, step) in enumerate(pending):
        if not is_chained:
            settings = states.start(command, "trial")
        way = ("full", str(SMALL_FILE_BYTES)) if point == "full" else ("kill", point)
        done = states.run(settings, states.words(command, settings), "", *way)
        if point == "full":
            assert done.returncode in (0, 1, 3), f"{command.name}: {done.returncode}: {done.stderr}"
            assert "Traceback" not in done.stderr, done.stderr
        else:
            # In a chain, the command can end before the point, as less is left to do.
            assert done.returncode in (0, 1, -signal.SIGKILL), f"{command.name}: {done.returncode}: {done.stderr}"
            assert is_chained or done.returncode == -signal.SIGKILL, f"{command.name} passed no point {point}"
        saw = shown()
        is_last = number == len(pending) - 1
        ends_well = finish() if is_last or not is_chained else True
        trials.append(Trial(command.name, step, "full" if point == "full" else "kill", saw, ends_well))
        result = f"{step or 'before its first step'}, {saw}{'' if ends_well else ', DOES NOT END WELL'}"
        sys.stderr.write(f"{command.name} {number + 1} of {len(pending)}: {result}\n")
    return trials


def write_page(trials: list[Trial], way: str) -> None:
    """Write the results of all trials into the page; keep the rows of other commands."""
    met = {"each": "a fresh state", "chain": "what the one before left"}[way]
    head, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    tail = rest[rest.index(END) :]
    tried = {trial.command for trial in trials}
    rows = [line for line in rest.splitlines() if (row := _ROW.match(line)) and row[1] not in tried]
    for command, step in dict.fromkeys((trial.command, trial.step) for trial in trials):
        of_step = [trial for trial in trials if (trial.command, trial.step) == (command, step)]
        kills, full = (sum(trial.how == how for trial in of_step) for how in ("kill", "full"))
        saw = ", ".join(sorted({trial.shown for trial in of_step}))
        ends = "yes" if all(trial.ends_as_clean for trial in of_step) else "NO"
        name = f"`{step}`" if step else "before its first step, or all of it"
        rows.append(f"| `{command}` | {name} | {kills or '–'} | {full or '–'} | {met} | {saw} | {ends} |")
    order = [command.name for command in COMMANDS]
    rows.sort(key=lambda line: order.index(_ROW.match(line)[1]))  # type: ignore[index]
    PAGE.write_text(
        head + begin + "\n".join(["", TABLE_HEAD, "|---|---|---|---|---|---|---|", *rows, ""]) + tail, encoding="utf-8"
    )


@contextmanager
def _watched_steps(reach: Any) -> Iterator[None]:
    """Call `reach` at the start and the end of each step of the journal."""
    real = Journal.step

    @contextmanager
    def step(self: Journal, run_id: str, name: str, subject: str) -> Iterator[Any]:
        reach(f"step start {name}")
        with real(self, run_id, name, subject) as note:
            yield note
        reach(f"step end {name}")

    Journal.step = step  # type: ignore[method-assign, assignment]
    yield


def child(how: str, value: str, words: list[str]) -> None:
    """Run a command in this process: ``count`` its points into a file, ``kill`` it at one, or on a ``full`` disk."""
    from metaalexport import cli

    target = tuple(map(int, value.split(":"))) if how == "kill" else None
    here = (0, -1)
    # Opened before the system calls are recorded.
    log = open(value, "w", encoding="utf-8") if how == "count" else None  # noqa: SIM115, PTH123 - open until the end

    def reach(name: str) -> None:
        nonlocal here
        here = (here[0] + 1, 0) if _START.match(name) else (here[0], here[1] + 1)
        if log is not None:
            log.write(name.replace("\n", " ")[:200] + "\n")
            log.flush()
        elif target is not None and here >= target:
            os.kill(os.getpid(), signal.SIGKILL)

    if how == "full":
        # The write then fails with an error, as on a full disk, instead of a signal that ends the process.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), int(value)))
    else:
        watch(reach)
    sys.argv = ["metaalexport", *words]
    with _watched_steps(reach):
        cli.main()


def main(folder: str, way: str = "each", *names: str) -> None:
    """Try all commands, and write the page.

    Parameters
    ----------
    way : str
        ``each``: every trial starts from a fresh state; ``chain``: see `try_all`, in a fifth of the time.
    names : str
        Commands to try, by default all; the page keeps the rows of the others.
    """
    states = States(Path(folder))
    trials: list[Trial] = []
    try:
        for command in (each for each in COMMANDS if each.name in names or not names):
            is_chained = way == "chain"
            trials += try_all(states, command, inside=1 if is_chained else command.inside, is_chained=is_chained)
            sys.stdout.write(f"{command.name}: {len(trials)} trials so far\n")
            sys.stdout.flush()
            write_page(trials, way)
    finally:
        states.close()
    bad = [trial for trial in trials if trial.shown not in ("before", "after") or not trial.ends_as_clean]
    sys.stdout.write("".join(f"{json.dumps(trial.__dict__)}\n" for trial in bad))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        separator = sys.argv.index("--")
        child(sys.argv[2], sys.argv[3], sys.argv[separator + 1 :])
    else:
        main(*sys.argv[1:])
