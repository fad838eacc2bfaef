"""Kills a load at each of its steps with SIGKILL, runs it again, and tells what the landing then holds.

A process of its own, which never opens DuckDB and has no thread: each trial is a fork of it. The simulator runs in
another one.

``python -m tests.fault.kill <case> <url> <url of the release before> <folder>`` writes one line of JSON a trial.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from extract.landing import MARKER, SCHEMA_FOLDER, Landing
from extract.raw import RawStore, hash_file
from tests.fault.loads import POLICY, Case, cases, copy_state, run_load

# Each step of the commit is tried. Those before it, which store one reply or one private file after the other, are
# alike, and are sampled.
SAMPLED_POINTS = 25
TIMED_KILLS = 8
# Everything by which a load changes the disk goes through one of these.
SYSTEM_CALLS = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "mkfifo")


@dataclass(frozen=True)
class Trial:
    """One killed load.

    Attributes
    ----------
    point : str
        Where it was killed.
    was_killed : bool
        False if it had ended by then.
    shown : str
        What the landing showed after the kill: ``before`` or ``after``, or what is wrong.
    ends_as_clean : bool
        Whether the next run left the landing that an undisturbed run leaves, byte for byte.
    """

    point: str
    was_killed: bool
    shown: str
    ends_as_clean: bool


class Watched:
    """A DuckDB connection whose statements are points at which a load can be killed."""

    def __init__(self, inner: duckdb.DuckDBPyConnection, reach: Callable[[str], None]) -> None:
        self._inner, self._reach = inner, reach

    def execute(self, *arguments: Any) -> Any:
        self._reach("duckdb.execute")
        return self._inner.execute(*arguments)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def watch(reach: Callable[[str], None]) -> None:
    """Call `reach` before everything that changes the disk. For this process and ever: it is a fork."""

    def before(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            reach(f"os.{name} {arguments[0]}")
            return real(*arguments, **options)

        return call

    for name in SYSTEM_CALLS:
        setattr(os, name, before(name, getattr(os, name)))
    connect = duckdb.connect
    duckdb.connect = lambda *arguments, **options: Watched(connect(*arguments, **options), reach)  # type: ignore[assignment]


def fork(work: Callable[[], None]) -> int:
    """Start work in a fork; returns its process id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    try:
        work()
    except BaseException:  # noqa: BLE001 - the fork must not go on with what its parent does
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def end_of(process: int) -> int:
    """Wait for a fork: its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Killer:
    """Tries one case."""

    def __init__(self, case: Case, url: str, url_before: str, home: Path) -> None:
        self.case, self.url, self.home = case, url, home
        self.base, self.clean, self.state = home / "base", home / "clean", home / "state"
        self.finish(self.base, url_before)
        self.before = self.hash(self.base)
        copy_state(self.base, self.clean)
        started = time.monotonic()
        self.finish(self.clean, url)
        self.seconds = time.monotonic() - started
        self.after = self.hash(self.clean)
        assert self.before != self.after, "the release brings nothing new"

    def finish(self, state: Path, url: str) -> None:
        """Run the load to its end."""
        code = end_of(fork(lambda: self.load(state, url)))
        assert code == 0, f"the load ended with {code}"

    def load(self, state: Path, url: str) -> None:
        """Run the load in this process."""
        run_load(self.case, url, state, policy=POLICY)

    @property
    def locks(self) -> Path:
        """Folder of the landing's locks."""
        return self.state / "landing" / ".locks"

    def hash(self, state: Path) -> str:
        """Return the content hash of a landing."""
        return Landing(state / "landing").content_hash()

    def points(self) -> list[str]:
        """Return the names of the points that a load passes."""
        log = self.home / "points"
        copy_state(self.base, self.state)

        def work() -> None:
            # Opened before it is watched, and written without a system call that is watched.
            with log.open("w", encoding="utf-8") as handle:
                watch(lambda name: print(name.replace("\n", " "), file=handle))
                self.load(self.state, self.url)

        assert end_of(fork(work)) == 0
        return log.read_text(encoding="utf-8").splitlines()

    def kill_at(self, number: int, name: str) -> Trial:
        """Kill a load just before its n-th point."""

        def work() -> None:
            left = [number]

            def reach(_: str) -> None:
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

            watch(reach)
            self.load(self.state, self.url)

        copy_state(self.base, self.state)
        return self.judge(name, end_of(fork(work)))

    def kill_after(self, seconds: float) -> Trial:
        """Kill a load after some time, wherever it is."""
        copy_state(self.base, self.state)
        process = fork(lambda: self.load(self.state, self.url))
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
        return self.judge(f"after {seconds:.3f} s", end_of(process))

    def judge(self, point: str, code: int) -> Trial:
        """Look at what a killed load left, run it again, and look once more."""
        assert code in (0, -signal.SIGKILL), f"{point}: the load ended with {code}"
        shown = {self.before: "before", self.after: "after"}.get(self.hash(self.state), "neither")
        raw = RawStore(self.state / "raw")
        if broken := [name for name in raw.hashes() if hash_file(raw.path(name)) != name]:
            shown = f"raw bodies that are not what their names say: {broken}"
        self.finish(self.state, self.url)
        folders = [path for path in (self.state / "landing" / self.case.dataset.code).iterdir() if path.is_dir()]
        stray = [path.name for path in folders if path.name != SCHEMA_FOLDER and not (path / MARKER).exists()]
        ends_as_clean = self.hash(self.state) == self.after and not stray
        return Trial(point.replace(str(self.state), "."), code != 0, shown, ends_as_clean)

    def trials(self) -> Iterator[Trial]:
        """Yield what came of each kill."""
        names = self.points()
        # The commit takes the lock of the dataset, for the last time.
        commit = max(number for number, name in enumerate(names) if name.startswith(f"os.mkdir {self.locks}"))
        step = max(1, commit // SAMPLED_POINTS)
        for number in (*range(0, commit, step), *range(commit, len(names))):
            yield self.kill_at(number, names[number])
        for part in range(TIMED_KILLS):
            yield self.kill_after(self.seconds * (part + 0.5) / TIMED_KILLS)


def main(name: str, url: str, url_before: str, folder: str) -> None:
    """Try a case, and write what came of it."""
    home = Path(folder)
    case = next(case for case in cases() if case.name == name)
    for trial in Killer(case, url, url_before, home).trials():
        print(json.dumps(asdict(trial)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
