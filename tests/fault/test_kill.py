"""A load that is killed at any of its steps shows nothing half, and the next run ends as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.fault.kill import SAMPLED_POINTS, TIMED_KILLS
from tests.fault.loads import BEFORE, NOW

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def office(release: int) -> Iterator[str]:
    """Serve a release in another process."""
    command = [sys.executable, "-m", "tests.fault.office", str(release)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), "the simulator did not start"
            yield url
        finally:
            process.kill()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["CBS OData v4", "CBS bulk zip", "Comext SDMX"])
def test_load_killed_at_any_step_ends_like_one_that_was_not(tmp_path: Path, name: str) -> None:
    with ExitStack() as stack:
        before, now = (stack.enter_context(office(release)) for release in (BEFORE, NOW))
        command = [sys.executable, "-m", "tests.fault.kill", name, now, before, str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) > SAMPLED_POINTS + TIMED_KILLS + 20
    assert sum(trial["was_killed"] for trial in trials) > SAMPLED_POINTS + 20
    assert [trial for trial in trials if trial["shown"] not in ("before", "after")] == []
    assert [trial for trial in trials if not trial["ends_as_clean"]] == []
    # The marker is what shows a load: there were kills on both sides of it.
    assert {trial["shown"] for trial in trials} == {"before", "after"}
