"""Handling of Ctrl-C and SIGTERM: a clean stop within seconds, else a forced one.

The next run recovers from a kill, so nothing has to be waited for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

# Time allowed to a query or a library that does not react to the signal.
GRACE_SECONDS = 10.0
# Time allowed to a child to stop after SIGTERM.
_CHILD_SECONDS = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


class Stopped(KeyboardInterrupt):
    """A signal requested this process to stop."""


def listen() -> None:
    """Make SIGINT and SIGTERM raise `Stopped` in the main thread, and end the process after a grace period."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # The byte is written even while the main thread is inside a long call into C.
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in _SIGNALS:
        signal.signal(number, _raise_stopped)
    threading.Thread(target=_end_after_grace, args=(reading,), daemon=True).start()


def exit_code() -> int | None:
    """Return the exit code after a signal (130 for Ctrl-C, 143 for SIGTERM); None without one."""
    return 128 + _received[0] if _received else None


def check() -> None:
    """Raise `Stopped` if a library has swallowed a signal to stop."""
    if _received:
        raise Stopped(explain())


def explain() -> str:
    """Return the final message."""
    return (
        f"stopped by {signal.Signals(_received[0]).name}; what is published stays as it is, and nothing was lost;"
        " next: run the same command to continue"
    )


def end_children() -> None:
    """End all running children of this process."""
    import psutil

    family = psutil.Process().children(recursive=True)
    # Python's semaphore tracker ignores signals and ends with its process.
    _end([process for process in family if not _is_tracker(process)])


def end_whole(*pids: int) -> None:
    """End processes with all their descendants, whatever their process groups; return when they are gone."""
    import psutil

    family = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            family += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    _end(family)


def _raise_stopped(number: int, _: FrameType | None) -> Any:
    _received.append(number)
    raise Stopped(f"stopped by {signal.Signals(number).name}")


def _end_after_grace(reading: int) -> None:
    # Other signals, such as SIGCHLD, write here as well.
    while (number := os.read(reading, 1)[0]) not in _SIGNALS:
        pass
    time.sleep(GRACE_SECONDS)
    if not _received:
        _received.append(number)
    end_children()
    sys.stderr.write(f"{explain()}\n")
    sys.stderr.flush()
    os._exit(128 + number)


def _is_tracker(process: psutil.Process) -> bool:
    import psutil

    try:
        return any("resource_tracker" in part for part in process.cmdline())
    except psutil.NoSuchProcess:
        return True


def _end(family: list[psutil.Process]) -> None:
    import psutil

    for send in (psutil.Process.terminate, psutil.Process.kill):
        for process in family:
            try:
                send(process)
            except psutil.NoSuchProcess:
                continue
        until = time.monotonic() + _CHILD_SECONDS
        while family and time.monotonic() < until:
            _, family = psutil.wait_procs(family, timeout=0.05)
            family = [process for process in family if not _is_zombie(process)]


def _is_zombie(process: psutil.Process) -> bool:
    """True if a process has ended but is not reaped by its parent; signals have no effect on it."""
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
