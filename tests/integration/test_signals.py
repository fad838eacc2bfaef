"""A signal ends a process and all its children within seconds, with the signal's exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.integration

START = """
from metaalexport import __main__, cli, stopping
start, stopping.GRACE_SECONDS = __main__.main, 0.5
"""
# Each prints when it is ready, so that the signal does not come too early.
WORK = {
    "a sleep": "import time; cli.main = lambda: (print('ready', flush=True), time.sleep(60)); start()",
    "an error that swallows it": (
        "import time\ndef work():\n print('ready', flush=True)\n try:\n  time.sleep(60)\n"
        " except BaseException:\n  raise ValueError('of a library')\ncli.main = work; start()"
    ),
    "a loop that hears nothing": (
        "import time\ndef work():\n print('ready', flush=True)\n while True:\n  try:\n   time.sleep(60)\n"
        "  except BaseException:\n   pass\ncli.main = work; start()"
    ),
    "a long query": (
        "import duckdb\ndef work():\n print('ready', flush=True)\n"
        " duckdb.sql('select count(*) from range(1000000000) a, range(1000000000) b where a.range * b.range % 7 = 3')"
        ".fetchall()\ncli.main = work; start()"
    ),
    "a child that nobody waits for": (
        "import subprocess, time\ndef work():\n"
        " subprocess.Popen(['sleep', '3600'], start_new_session=True)\n print('ready', flush=True)\n time.sleep(60)\n"
        "cli.main = work; start()"
    ),
    "a child in a session of its own": (
        "import subprocess, time\ndef work():\n"
        " subprocess.Popen(['sleep', '3600'], start_new_session=True)\n print('ready', flush=True)\n"
        " while True:\n  try:\n   time.sleep(60)\n  except BaseException:\n   pass\ncli.main = work; start()"
    ),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", WORK)
def test_signal_ends_the_process_and_its_children(name: str, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", START + WORK[name]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    started = time.monotonic()
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert process.returncode == 128 + number
    assert said.count(f"stopped by {number.name}; what is published stays as it is") == 1
    assert "Traceback" not in said
    assert len(children) == ("child" in name)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_children_end_with_their_process() -> None:
    command = (
        "import subprocess, sys; subprocess.Popen(['sleep', '3600'], start_new_session=True);"
        " print(1, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    (child,) = psutil.Process(process.pid).children(recursive=True)
    code = f"from metaalexport.stopping import end_whole; end_whole({process.pid}, 2**22 - 3)"
    # From another process: psutil reaps the processes that it waits for.
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
    process.wait(timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
