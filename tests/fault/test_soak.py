"""Some releases with trouble, and everybody at one state: a sample of what `tests.fault.soak` does for hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.soak import TROUBLES, rounds, together

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


def test_releases_with_trouble_end_as_the_raw_store_alone_has_it(tmp_path: Path) -> None:
    sizes = rounds(3, tmp_path)
    # What a release adds is its replies and what they changed; all else is made anew or removed in time.
    assert sizes[2].landing - sizes[1].landing < sizes[0].landing / 2
    assert sizes[2].rest < 1.5 * sizes[0].rest


@pytest.mark.thorough
@pytest.mark.timeout(7200)
def test_each_trouble_comes_once(tmp_path: Path) -> None:
    assert len(rounds(len(TROUBLES), tmp_path)) == len(TROUBLES)


def test_everybody_at_one_state_sees_publications_of_loads_that_exist(tmp_path: Path) -> None:
    reader = together(20, tmp_path)
    assert reader.contents
