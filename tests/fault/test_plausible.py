"""Plausible errors of an office: the outcome of each is as ``docs/plausible-errors.md`` documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.plausible import (
    DATASETS,
    MARKED,
    PLANTS,
    SILENT,
    STOPPED,
    Prepared,
    prepare,
    read_page,
    trials,
    try_plant,
)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=DATASETS)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with prepare(request.param, tmp_path_factory.mktemp("plausible")) as found:
        yield found


@pytest.mark.timeout(300)
def test_an_ordinary_release_is_neither_stopped_nor_marked(prepared: Prepared) -> None:
    stops, marks = prepared.findings(prepared.observations)
    assert stops == []
    assert not {*marks} & {check.name for check in prepared.history_checks()}


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_each_error_has_the_documented_outcome(prepared: Prepared, tmp_path: Path) -> None:
    said = read_page()
    found = {
        (plant.name, months): try_plant(prepared, plant, months, tmp_path) for plant, months in trials(prepared.dataset)
    }
    assert len(found) > 25
    assert found == {key: said[prepared.dataset.code, *key] for key in found}


def test_no_error_of_a_whole_dataset_is_published_silently() -> None:
    whole = {plant.name for plant in PLANTS if plant.is_whole}
    said = {key: text for key, text in read_page().items() if key[1] in whole}
    assert len(said) > 40
    assert [key for key, text in said.items() if text.startswith(SILENT)] == []
    # In a release that repeats the last one, only the stamp is wrong.
    assert {key[1] for key, text in said.items() if text.startswith(MARKED)} <= {"a stale release"}
    assert sum(text.startswith(STOPPED) for text in said.values()) > 40
