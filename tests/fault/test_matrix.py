"""Every fault of every protocol, at sampled requests and at every one, has the outcome in ``docs/faults.md``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.fault.loads import Office, cases
from tests.fault.matrix import (
    LOADS,
    NONE,
    SAMPLE,
    STOPS,
    TIMED,
    TRANSPORT,
    Prepared,
    kinds,
    outcomes,
    prepared_case,
    read_page,
    sampled_positions,
    summarise,
    try_kind,
)

pytestmark = pytest.mark.long
NAMES = [case.name for case in cases()]
TIMEOUT_SECONDS = 900
# What every change is tried on: a protocol of pages and one of files. The others differ in parsing, which the contract
# tests cover, and in asynchronous replies.
QUICK = ("CBS OData v4", "Comext bulk 7z")


def _thorough(is_so: bool) -> Any:
    return pytest.mark.thorough if is_so else ()


def test_the_quick_protocols_are_there() -> None:
    assert {*QUICK} < {*NAMES}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=_thorough(name not in QUICK)) for name in NAMES])
def prepared(request: pytest.FixtureRequest) -> Iterator[tuple[Prepared, Office, Path]]:
    with prepared_case(request.param) as found:
        yield found


@pytest.mark.timeout(TIMEOUT_SECONDS)
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=_thorough(kind in TIMED)) for kind in kinds()])
def test_fault_at_sampled_requests_has_a_documented_outcome(prepared: tuple[Prepared, Office, Path], kind: str) -> None:
    load, office, home = prepared
    assert load.data_requests, "no request of data was seen"
    found = summarise(try_kind(load, office, kind, home, sampled_positions(load, kind)))
    documented = outcomes(read_page()[kind, load.case.name])
    # A fault need not apply to the sampled requests.
    assert outcomes(found) <= documented | outcomes(NONE)


@pytest.mark.thorough
@pytest.mark.timeout(TIMEOUT_SECONDS)
@pytest.mark.parametrize("kind", kinds())
def test_fault_at_every_request_has_the_documented_outcomes(prepared: tuple[Prepared, Office, Path], kind: str) -> None:
    load, office, home = prepared
    assert summarise(try_kind(load, office, kind, home)) == read_page()[kind, load.case.name]


def test_outcomes_tell_a_lasting_fault_from_a_single_one() -> None:
    assert outcomes("loads") == {"loads", "lasting loads"}
    assert outcomes("once: loads or stops (A); lasting: stops (A)") == {"loads", "stops (A)", "lasting stops (A)"}


def test_samples_of_successive_transport_faults_are_every_request() -> None:
    load = Prepared(cases()[0], Path(), "", {}, 0, [], 14, [12, 13])
    samples = [sampled_positions(load, kind) for kind in TRANSPORT]
    assert len(samples) > SAMPLE
    assert all(sorted(chain(*samples[n : n + SAMPLE])) == [*range(14)] for n in range(len(samples) - SAMPLE + 1))
    assert sampled_positions(load, "bad_number") == [12, 13]


def test_page_names_every_fault_and_every_protocol() -> None:
    said = read_page()
    assert {*said} == {(kind, name) for kind in kinds() for name in NAMES}
    assert len(said) > 150


def test_page_holds_no_wrong_row_and_no_empty_cell() -> None:
    said = read_page()
    assert said
    assert [key for key, text in said.items() if not text or "WRONG" in text] == []
    assert {name for (_, name), text in said.items() if LOADS in text} == {*NAMES}
    assert {name for (_, name), text in said.items() if STOPS in text} == {*NAMES}
