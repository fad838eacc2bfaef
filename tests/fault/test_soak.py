"""Samples of the soak tests in `tests.fault.soak`, which run for hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.soak import TROUBLES, rounds, together

# What these tests combine, others try one by one for every change: readers and other runs during a build
# (test_gates.py, test_commands.py), kills (test_pipeline.py), a rebuild (test_rebuild.py).
pytestmark = [pytest.mark.long, pytest.mark.thorough, pytest.mark.timeout(7200)]


def test_releases_with_faults_end_like_a_rebuild_from_raw(tmp_path: Path) -> None:
    sizes = rounds(len(TROUBLES), tmp_path)
    assert len(sizes) == len(TROUBLES)
    # A release adds its replies and the cells that they change; the rest is rebuilt or pruned.
    assert sizes[2].landing - sizes[1].landing < sizes[0].landing / 2
    assert sizes[2].rest < 1.5 * sizes[0].rest


def test_concurrent_users_only_see_publications_of_existing_loads(tmp_path: Path) -> None:
    reader = together(20, tmp_path)
    assert reader.contents
