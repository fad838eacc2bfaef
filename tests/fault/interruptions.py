"""Interrupt a load by SIGKILL at each of its steps or by a full disk, run it again, and report the result.

This module runs in a separate process that never opens DuckDB and has no threads, because each trial is a fork of it.
The simulator runs in another process.

``python -m tests.fault.interruptions <kill|limit|fill> <case> <url> <url of the release before> <folder> [<n>]``
writes one line of JSON per trial; with ``n``, it kills at every n-th point only.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from common.files import hash_file
from extract.errors import StorageError
from extract.landing.layout import MARKER, SCHEMA_FOLDER
from extract.landing.store import Landing
from extract.raw import RawStore
from tests.fault.loads import PATIENT, Case, cases, copy_state, run_load

# Every step of the commit is tried. The steps before it all store one reply or one private file, so a sample is enough.
SAMPLED_POINTS = 16
TIMED_KILLS = 6
# Number of file-size or disk limits that are tried, as fractions of the space that a load needs.
ROOMS = 12
KILLED, ENDED, TOLD = "killed", "ended", "told that the disk is full"
_TOLD_CODE = 3
# Every change that a load makes on disk goes through one of these calls.
SYSTEM_CALLS = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "mkfifo")


@dataclass(frozen=True)
class Trial:
    """One interrupted load.

    Attributes
    ----------
    point : str
        Place of the interruption.
    outcome : str
        `KILLED`, `TOLD`, or `ENDED` if nothing interrupted it.
    shown : str
        State of the landing after the interruption: ``before``, ``after`` or a description of the error.
    ends_as_clean : bool
        True if the next run left the same landing, byte for byte, as an undisturbed run.
    """

    point: str
    outcome: str
    shown: str
    ends_as_clean: bool


class Watched:
    """A DuckDB connection that calls `reach` before each statement, so that a load can be killed there."""

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


def watch(reach: Callable[[str], object]) -> None:
    """Call `reach` before every change on disk. The patch is permanent, because this process is a fork."""

    def before(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            reach(f"os.{name} {arguments[0]}")
            return real(*arguments, **options)

        return call

    for name in SYSTEM_CALLS:
        setattr(os, name, before(name, getattr(os, name)))
    connect = duckdb.connect
    duckdb.connect = lambda *arguments, **options: Watched(connect(*arguments, **options), reach)  # type: ignore[assignment, arg-type]


def fork(work: Callable[[], None]) -> int:
    """Run `work` in a fork; return its process id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    try:
        work()
    except StorageError as error:
        is_clear = "the disk is full" in str(error) and error.dataset and error.where and error.next_step
        os._exit(_TOLD_CODE if is_clear else 1)
    except BaseException:  # noqa: BLE001 - the fork must not continue with its parent's code
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def end_of(process: int) -> int:
    """Wait for a fork; return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Interrupter:
    """Interrupts the load of one case."""

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
        """Run the load in a fork, without an interruption."""
        code = end_of(fork(lambda: self.load(state, url)))
        assert code == 0, f"the load ended with {code}"

    def load(self, state: Path, url: str) -> None:
        """Run the load in this process."""
        run_load(self.case, url, state, policy=PATIENT)

    @property
    def locks(self) -> Path:
        """Folder of the landing's locks."""
        return self.state / "landing" / ".locks"

    def hash(self, state: Path) -> str:
        """Return the content hash of a landing."""
        return Landing(state / "landing").content_hash()

    def points(self) -> list[str]:
        """Return the names of the points that a load passes, in order."""
        log = self.home / "points"
        copy_state(self.base, self.state)

        def work() -> None:
            # The log must not add points: it is opened before the patch and written without a watched call.
            with log.open("w", encoding="utf-8") as handle:
                watch(lambda name: handle.write(name.replace("\n", " ") + "\n"))
                self.load(self.state, self.url)

        assert end_of(fork(work)) == 0
        return log.read_text(encoding="utf-8").splitlines()

    def kill_at(self, number: int, name: str) -> Trial:
        """Kill a load just before the point with index `number`."""

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
        """Kill a load after `seconds`."""
        copy_state(self.base, self.state)
        process = fork(lambda: self.load(self.state, self.url))
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
        return self.judge(f"after {seconds:.3f} s", end_of(process))

    def limit_files(self, size: int) -> Trial:
        """Run a load that may not write a file larger than `size` bytes."""

        def work() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            self.load(self.state, self.url)

        copy_state(self.base, self.state)
        return self.judge(f"files of at most {size:,} bytes", end_of(fork(work)))

    def fill_disk(self, size: int) -> Trial:
        """Run a load on a separate disk of `size` bytes."""

        def mount(*options: str) -> None:
            subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(self.state)], check=True)

        self.state.mkdir(exist_ok=True)
        mount("-o", f"size={size}")
        try:
            shutil.copytree(self.base, self.state, dirs_exist_ok=True)
            code = end_of(fork(lambda: self.load(self.state, self.url)))
            return self.judge(f"a disk of {size:,} bytes", code, lambda: mount("-o", "remount,size=100m"))
        finally:
            subprocess.run(["umount", str(self.state)], check=True)

    def judge(self, point: str, code: int, make_room: Callable[[], None] = lambda: None) -> Trial:
        """Check the state that an interrupted load left, run the load again, and check the state again."""
        outcome = {0: ENDED, -signal.SIGKILL: KILLED, _TOLD_CODE: TOLD}.get(code)
        assert outcome, f"{point}: the load ended with {code}"
        shown = {self.before: "before", self.after: "after"}.get(self.hash(self.state), "neither")
        raw = RawStore(self.state / "raw")
        if broken := [name for name in raw.hashes() if hash_file(raw.path(name)) != name]:
            shown = f"raw bodies that are not what their names say: {broken}"
        make_room()
        self.finish(self.state, self.url)
        folders = [path for path in (self.state / "landing" / self.case.dataset.code).iterdir() if path.is_dir()]
        stray = [path.name for path in folders if path.name != SCHEMA_FOLDER and not (path / MARKER).exists()]
        ends_as_clean = self.hash(self.state) == self.after and not stray
        return Trial(point.replace(str(self.state), "."), outcome, shown, ends_as_clean)

    def kills(self, every: int = 1) -> Iterator[Trial]:
        """Yield a trial per kill: at each (or every n-th) step of the commit, a sample before it, and some moments."""
        names = self.points()
        # The commit is the last step that takes the dataset's lock.
        commit = max(number for number, name in enumerate(names) if name.startswith(f"os.mkdir {self.locks}"))
        step = max(1, commit // SAMPLED_POINTS)
        for number in (*range(0, commit, step * every), *range(commit, len(names) - 1, every), len(names) - 1):
            yield self.kill_at(number, names[number])
        for part in range(0, TIMED_KILLS, every):
            yield self.kill_after(self.seconds * (part + 0.5) / TIMED_KILLS)

    def limits(self) -> Iterator[Trial]:
        """Yield a trial per file-size limit, from very small to large enough."""
        largest = max(path.stat().st_size for path in self.clean.rglob("*") if path.is_file())
        # The landing gate's temporary file is larger than every file that remains.
        for part in range(ROOMS):
            yield self.limit_files(largest * 2**part // 2 ** (ROOMS - 6))

    def fillings(self) -> Iterator[Trial]:
        """Yield a trial per disk size, from a disk that is full at the start to one that is large enough."""
        # A revised month leaves only its changes, but the load needs space for the whole month twice.
        before, after = (disk_use(state) for state in (self.base, self.clean))
        for part in range(ROOMS):
            yield self.fill_disk(before + (after - before) * 2**part // 2 ** (ROOMS - 4) + 16_384)


def disk_use(state: Path) -> int:
    """Return the bytes that a state occupies on a disk with 4 KiB pages."""
    return sum(4096 * (1 + path.stat().st_size // 4096) for path in state.rglob("*"))


def main(how: str, name: str, url: str, url_before: str, folder: str, every: str = "1") -> None:
    """Run the trials of a case, and write each result as a line of JSON."""
    case = next(case for case in cases() if case.name == name)
    interrupter = Interrupter(case, url, url_before, Path(folder))
    kinds: dict[str, Callable[[], Iterator[Trial]]] = {
        "kill": partial(interrupter.kills, int(every)),
        "limit": interrupter.limits,
        "fill": interrupter.fillings,
    }
    for trial in kinds[how]():
        sys.stdout.write(json.dumps(asdict(trial)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
