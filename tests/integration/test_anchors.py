"""The publish gate's checks against published figures and CBS totals stop a wrong candidate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from metaalexport import building, gates, published
from metaalexport.dbt import run_dbt
from metaalexport.run import Run
from metaalexport.settings import Settings

from .conftest import SimulatedOffice, file_hash

pytestmark = [pytest.mark.integration, pytest.mark.long]

FIGURES = ["published_figures_are_met", "published_details_are_met"]
IDENTITIES = ["flow_kinds_sum_to_total", "months_sum_to_year", "sections_sum_to_total"]


@pytest.fixture
def candidate(simulated: SimulatedOffice, tmp_path: Path) -> Iterator[Settings]:
    """Yield settings whose candidate the test may change; restore the candidate afterwards."""
    settings = simulated.settings
    kept = shutil.copy(settings.warehouse, tmp_path / "kept.duckdb")
    yield settings
    shutil.copy(kept, settings.warehouse)


def change(settings: Settings, statement: str) -> None:
    """Run an update on the candidate, and assert that it changes rows."""
    with duckdb.connect(str(settings.warehouse)) as connection:
        ((n_rows,),) = connection.execute(statement).fetchall()
    assert n_rows > 0


def change_totals(settings: Settings, value: str, where: str) -> None:
    """Change the candidate's totals including quasi-transit, and rebuild the models that the gate derives from them."""
    change(
        settings,
        f"update intermediate.int_export_totals set value_eur = {value}"
        f" where concept_code = 'border_crossing_incl_transit' and flow_kind = 'total' and {where}",
    )
    run_dbt(settings, ["run", "--select", "int_total_identities", "anchors"])


def gate(settings: Settings, run_id: str) -> str:
    """Return the publish gate's error message, or an empty string if the candidate passes."""
    before = file_hash(settings.published)
    try:
        building.gate_candidate(Run(settings, run_id, lambda message: None))
    except gates.GateFailedError as error:
        assert file_hash(settings.published) == before
        return str(error)
    return ""


def test_figures_of_periods_that_are_not_loaded_do_not_stop_the_candidate(simulated: SimulatedOffice) -> None:
    """The border-crossing table starts in January 2025, so only the figures of 2025 can be compared."""
    settings = simulated.settings
    outcomes = dict(published.query(settings, "select anchor_code, outcome from ops.anchors").rows)
    assert len(outcomes) == 160
    compared = {code: outcome for code, outcome in outcomes.items() if outcome != "not_loaded"}
    assert compared == {
        f"C01.2025_{part}": "within" for part in ("total", "re_export", "dutch_product", "quasi_transit")
    }
    checks = published.query(
        settings,
        "select check_name, is_passed from ops.checks where run_id = 'first' and gate = 'candidate'"
        f" and check_name in {(*FIGURES, *IDENTITIES)} order by 1",
    ).rows
    assert checks == tuple((name, True) for name in sorted([*FIGURES, *IDENTITIES]))


def test_a_yearly_total_six_per_cent_above_a_final_figure_stops_the_candidate(candidate: Settings) -> None:
    change_totals(candidate, "value_eur * 1.06", "product_code = 'TOTAL'")
    # CBS published this figure half a year after the year and may revise it, so it stops nothing.
    assert "published_figures_are_met" not in gate(candidate, "six_per_cent")
    change(candidate, "update ops.anchors set severity = 'error' where anchor_code = 'C01.2025_total'")
    said = gate(candidate, "six_per_cent_of_a_final_figure")
    assert "published_figures_are_met" in said
    assert "C01.2025_total (All goods, 2025, border_crossing_incl_transit): published 875641 mln euro" in said
    assert "CBS 85429NED, version 202607020630" in said
    assert "at most 4 %" in said
    # The parts are unchanged.
    assert "'n_figures': 1" in said


def test_a_yearly_total_within_the_tolerance_of_its_age_passes_the_figure(candidate: Settings) -> None:
    change_totals(candidate, "value_eur * 1.03", "product_code = 'TOTAL'")
    said = gate(candidate, "three_per_cent")
    assert "published_figures_are_met" not in said
    # Its sections and its parts do not add up to it any more.
    assert "sections_sum_to_total" in said
    assert "flow_kinds_sum_to_total" in said


@pytest.mark.parametrize(
    ("check", "where", "named"),
    [
        ("months_sum_to_year", "product_code = '6' and period_type = 'year'", "product 6, year of 2025-01-01"),
        (
            "sections_sum_to_total",
            "product_code = '7' and period_type = 'month' and period_start = '2025-03-01'",
            "product TOTAL, month of 2025-03-01",
        ),
        (
            "flow_kinds_sum_to_total",
            "product_code = '6' and period_type = 'month' and period_start = '2025-03-01'",
            "product 6, month of 2025-03-01",
        ),
    ],
)
def test_a_sum_that_differs_by_more_than_rounding_stops_the_candidate(
    candidate: Settings, check: str, where: str, named: str
) -> None:
    change_totals(candidate, "value_eur + 20000000", where)
    said = gate(candidate, check)
    assert check in said
    assert f"border_crossing_incl_transit, total, {named}" in said


def test_a_figure_that_the_simulator_does_not_reproduce_stops_only_real_data(candidate: Settings) -> None:
    """The section and the EU figures are twice as large as published."""
    change(
        candidate,
        "update ops.anchors set outcome = 'outside', warehouse_value = 2 * published_value, difference_pct = 100"
        " where anchor_code = 'N05.section_6' or figure_code = 'N08'",
    )
    assert gate(candidate, "simulated") == ""
    change(candidate, "update ops.anchors set holds_in_simulation = true, severity = 'error' where figure_code = 'N08'")
    said = gate(candidate, "held")
    assert "N08.eu (All goods to the EU, 2025, ownership_transfer): published 473313 mln euro" in said
    assert "N08.eu_share" in said
    # The section's figure only warns.
    assert "N05.section_6" not in said
