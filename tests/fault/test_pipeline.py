"""A command that is interrupted inside any of its steps ends, when repeated, as if nothing had happened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from metaalexport.maintenance import TASKS
from tests.fault.pipeline import COMMANDS, PAGE, Command, States, chosen, try_all

# About a dozen builds; one process makes the commands' starting states.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]
ROOT = Path(__file__).resolve().parents[2]
# tests/postgres covers this step with a real PostgreSQL.
ELSEWHERE = {"serve"}
# Every command here runs this step; the office of a matrix has one listing of slices.
WITHOUT_A_ROW = {"plan"}
SLOW = ("load", "build", "rebuild")


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    """Yield the states that the commands start from."""
    states = States(tmp_path_factory.mktemp("states"))
    yield states
    states.close()


@pytest.mark.parametrize(
    "command",
    [
        # Minutes each: every kill repeats all steps from the start. test_interruptions.py kills loads at every step,
        # and the soak test kills builds.
        pytest.param(command, id=command.name, marks=pytest.mark.thorough if command.name in SLOW else ())
        for command in COMMANDS
    ],
)
def test_a_command_killed_inside_each_step_recovers(states: States, command: Command) -> None:
    trials = try_all(states, command, inside=1, is_chained=True)
    assert {trial.shown for trial in trials} <= {"before", "after"}
    assert [trial for trial in trials if not trial.ends_as_clean] == []
    assert {trial.how for trial in trials} == {"kill", "full"}


def test_every_step_of_the_journal_is_in_the_table() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "metaalexport").rglob("*.py")))
    found = set(re.findall(r"run\.step\(\"(\w+)\"", text)) | set(TASKS) | {"gate_landing", "gate_candidate"}
    # `Run.step` itself and the maintenance tasks pass a variable name.
    named = r"(?:run\.step\((?:\"|f\"gate_)|\.step\((?:self\.id|run_id), name)"
    assert len(re.findall(r"\.step\(", text)) == len(re.findall(named, text))
    rows = set(re.findall(r"^\| `\w+` \| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert found - rows == ELSEWHERE | WITHOUT_A_ROW


def test_points_are_inside_each_step_and_at_its_boundaries() -> None:
    names = [
        "os.mkdir a",
        "step start fetch",
        "os.fsync b",
        "os.fsync c",
        "step end fetch",
        "step start land",
        "x",
        "y",
    ]
    assert list(chosen(names, 1, has_boundaries=False)) == [("0:0", ""), ("1:2", "fetch"), ("2:1", "land")]
    assert list(chosen(names, 1, has_boundaries=True)) == [
        ("0:0", ""), ("0:0", ""), ("1:0", "fetch"), ("1:2", "fetch"), ("2:0", "land"), ("2:1", "land"), ("2:2", "land"),
    ]  # fmt: skip
    assert list(chosen(["os.mkdir a", "os.mkdir b"], 1, has_boundaries=False)) == [("0:1", "")]


def test_a_step_that_comes_twice_is_interrupted_the_second_time() -> None:
    names = ["step start land", "x", "step end land", "step start land", "y", "step end land", "step start report"]
    assert list(chosen(names, 1, has_boundaries=False)) == [("2:1", "land"), ("3:0", "report")]
