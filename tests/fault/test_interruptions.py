"""An interrupted load shows no partial result, and the next run ends as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.fault.interruptions import ENDED, KILLED, ROOMS, SAMPLED_POINTS, TIMED_KILLS, TOLD, Trial
from tests.fault.loads import BEFORE, NOW

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 600
# A paged load, and loads of files.
PAGED, FILES, OTHERS = "CBS OData v4", "Comext bulk 7z", ("CBS bulk zip", "Comext SDMX")


def cases(quick: str, *others: str) -> pytest.MarkDecorator:
    """Parametrize a test by case; every change is tried on the first."""
    return pytest.mark.parametrize(
        "name", [quick, *(pytest.param(name, marks=pytest.mark.thorough) for name in others)]
    )


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


def interrupt(how: str, name: str, home: Path, every: int = 1) -> list[Trial]:
    """Run all trials of a kind; assert that none shows a partial result and that the next run ends cleanly."""
    with ExitStack() as stack:
        before, now = (stack.enter_context(office(release)) for release in (BEFORE, NOW))
        command = [sys.executable, "-m", "tests.fault.interruptions", how, name, now, before, str(home), str(every)]
        limit = TIMEOUT_SECONDS - 20
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    trials = [Trial(**json.loads(line)) for line in done.stdout.splitlines()]
    assert [trial for trial in trials if trial.shown not in ("before", "after")] == []
    assert [trial for trial in trials if not trial.ends_as_clean] == []
    return trials


@pytest.mark.timeout(TIMEOUT_SECONDS)
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.thorough), 4])
@cases(PAGED, FILES, *OTHERS)
def test_a_load_killed_at_any_step_ends_like_an_undisturbed_load(tmp_path: Path, name: str, every: int) -> None:
    trials = interrupt("kill", name, tmp_path, every)
    assert len(trials) > (SAMPLED_POINTS + TIMED_KILLS + 20) / every
    assert sum(trial.outcome == KILLED for trial in trials) > (SAMPLED_POINTS + 20) / every
    # The marker file makes a load visible: kills happened both before and after it.
    assert {trial.shown for trial in trials} == {"before", "after"}


@pytest.mark.timeout(TIMEOUT_SECONDS)
@cases(FILES, PAGED)
def test_a_load_with_a_file_size_limit_reports_it_and_succeeds_once_the_limit_is_gone(
    tmp_path: Path, name: str
) -> None:
    trials = interrupt("limit", name, tmp_path)
    assert len(trials) == ROOMS
    assert (trials[0].outcome, trials[-1].outcome) == (TOLD, ENDED)
    assert {trial.shown for trial in trials if trial.outcome == TOLD} == {"before"}


@pytest.mark.timeout(TIMEOUT_SECONDS)
@cases(PAGED, FILES)
def test_a_load_on_a_full_disk_reports_it_and_succeeds_once_there_is_space(tmp_path: Path, name: str) -> None:
    probe = tmp_path / "probe"
    probe.mkdir()
    tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(probe)], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {tried.stderr.strip()}")
    subprocess.run(["umount", str(probe)], check=True)
    home = tmp_path / "home"
    home.mkdir()
    trials = interrupt("fill", name, home)
    assert len(trials) == ROOMS
    assert (trials[0].outcome, trials[-1].outcome) == (TOLD, ENDED)
    assert {trial.shown for trial in trials if trial.outcome == TOLD} == {"before"}
