"""Deviations of one office, table or code on the day: what passes is published, and the rest is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.deviations import (
    ALL,
    DEVIATIONS,
    Deviation,
    Offices,
    read_page,
    run,
    running_offices,
    summarise,
)

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(900)]
# Run for every change: most deviations at once, and an office that is away. The contract tests try each new column,
# unit, repeated row and maintenance page with every protocol.
QUICK = ("everything", "eurostat_503")


@pytest.fixture(scope="module")
def offices() -> Iterator[Offices]:
    with running_offices() as found:
        yield found


def _cases() -> list[Any]:
    return [pytest.param(each, id=each.name, marks=() if each.name in QUICK else pytest.mark.thorough) for each in ALL]


@pytest.mark.parametrize("deviation", _cases())
def test_run_matches_the_page(offices: Offices, deviation: Deviation, tmp_path: Path) -> None:
    outcome = run(offices, deviation, tmp_path / "var")
    assert "Traceback" not in outcome.output
    assert summarise(outcome) == read_page()[deviation.name], outcome.output[-3000:]
    # Every line about a slice is on the screen.
    assert all(line in outcome.output for line in outcome.lines)


@pytest.mark.thorough
def test_deviation_after_a_good_run_removes_nothing(offices: Offices, tmp_path: Path) -> None:
    by_name = {each.name: each for each in DEVIATIONS}
    first = run(offices, by_name["none"], tmp_path / "var")
    assert first.exit_code == 0
    offices.simulator.set_release(13)
    try:
        second = run(offices, by_name["eurostat_503"], tmp_path / "var")
    finally:
        offices.simulator.set_release(12)
    assert second.exit_code == 3
    assert second.metal == first.metal
    assert "eurostat_ds_045409 NL stays at the release of 2026-10-15" in second.output


def test_page_has_every_deviation_and_metal_is_published_where_possible() -> None:
    said = read_page()
    assert [*said] == [each.name for each in ALL]
    # Dutch metal shares are missing only if their office is unreachable. They end at the newest month, or at the next
    # one if the office publishes during the run.
    newest = ("metal shares to 2026-07 of NL", "metal shares to 2026-08 of NL")
    without = {name for name, (_, what, _) in said.items() if not what.startswith(newest)}
    assert without == {"eurostat_503", "no_network"}
    assert {exit_code for exit_code, _, _ in said.values()} == {"0", "1", "3"}
