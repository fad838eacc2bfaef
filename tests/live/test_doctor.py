"""`doctor --live` forecasts a run, and the overlay that it writes corrects what can be corrected."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from extract.landing.store import Landing
from metaalexport.settings import Settings
from simulator.server import run_simulator
from tests.live.deviations import (
    CN,
    DATASETS,
    DEVIATIONS,
    NEW_COUNTRY,
    OTHER_UNIT,
    PAGE,
    RELEASE,
    REPORTERS,
    Deviation,
    Offices,
    environment_of,
    read_page,
    summarise,
)
from tests.live.deviations import run as run_all
from tests.live.proxy import Exchange, UnmarkedSimulator, as_it_is, running_proxy
from tests.states import SPARSE

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(600)]
QUICK = ("none", "no_network", "everything")
BORDER, METAL = "cbs_85429ned", "eurostat_ds_045409"
TOTALS = ("WORLD", "INT_EU27_2020", "EXT_EU27_2020")
COMMAND_SECONDS = 300
CBS = (f"{BORDER} NL", "cbs_81234ned NL")
SITC = tuple(f"eurostat_ds_059331 {reporter}" for reporter in REPORTERS)
INDUSTRY = ("eurostat_sts_inpr_m NL", "eurostat_sts_inpr_m DE")
EUROSTAT = (*(f"{METAL} {reporter}" for reporter in REPORTERS), *SITC, *INDUSTRY)
SLICES = (*CBS, *EUROSTAT)
# Slices that a run would not load, by deviation; the other deviations miss none.
MISSING: dict[str, tuple[str, ...]] = {
    "cbs_404": CBS[1:],
    "no_flags": INDUSTRY,
    "eurostat_503": EUROSTAT,
    "no_network": SLICES,
    "cbs_unit": CBS[:1],
    "sitc_150": SITC,
    "maintenance": (f"{METAL} DE",),
    "repeated_row": SITC,
    "no_constraint": SITC,
    "not_listed": SITC,
    "cbs_html": CBS,
    "cbs_503": CBS,
    "everything": (*CBS[1:], *SITC, *INDUSTRY),
}


@dataclass(frozen=True)
class Said:
    """Exit code and output of a command; the last line of `doctor` is its forecast."""

    code: int
    output: str

    @property
    def sentence(self) -> str:
        return self.output.strip().splitlines()[-1]

    @property
    def metal(self) -> dict[str, bool]:
        """True for each reporter whose metal shares would be published, by the forecast."""
        return {name: f"{name} metal yes" in self.sentence for name in REPORTERS}


@pytest.fixture(scope="module")
def offices() -> Iterator[Offices]:
    simulator = UnmarkedSimulator(release=RELEASE, parameters=SPARSE)
    with run_simulator(simulator) as url, running_proxy(url) as proxy:
        yield Offices(simulator, url, proxy)


@pytest.fixture(autouse=True)
def _as_they_are(offices: Offices) -> Iterator[None]:
    yield
    offices.proxy.deviate, offices.proxy.route = as_it_is, str


def call(offices: Offices, root: Path, *arguments: str, **environment: Any) -> Said:
    deviation = environment.pop("deviation", DEVIATIONS[0])
    done = subprocess.run(
        [str(Path(sys.executable).with_name("metaalexport")), *arguments],
        env={**environment_of(offices, root, deviation), **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return Said(done.returncode, done.stdout + done.stderr)


def doctor(offices: Offices, root: Path, *options: str, datasets: tuple[str, ...] = DATASETS) -> Said:
    return call(offices, root, "doctor", "--live", *options, METAALEXPORT_DATASETS=",".join(datasets))


def live(offices: Offices, root: Path) -> Settings:
    return Settings.from_environment(environment_of(offices, root))


@pytest.mark.parametrize(
    "deviation",
    [pytest.param(each, id=each.name, marks=() if each.name in QUICK else pytest.mark.thorough) for each in DEVIATIONS],
)
def test_doctor_forecasts_published_and_missing_slices(offices: Offices, deviation: Deviation, tmp_path: Path) -> None:
    offices.proxy.deviate, offices.proxy.route = deviation.deviate, deviation.route
    said = call(offices, tmp_path, "doctor", "--live", deviation=deviation)
    missing = MISSING.get(deviation.name, ())
    assert said.code == (0 if not missing else 1 if missing == SLICES else 3), said.output
    assert said.metal == {name: f"{METAL} {name}" not in missing for name in REPORTERS}
    assert {line.split(" is missing: ")[0] for line in said.output.splitlines() if " is missing: " in line} == {
        *missing
    }
    assert list(Landing(live(offices, tmp_path).landing).committed()) == []


def test_doctor_forecast_matches_the_recorded_runs() -> None:
    if not PAGE.exists():
        pytest.skip("docs/deviations.md is not written yet")
    for name, (code, what, _) in read_page().items():
        if name in {each.name for each in DEVIATIONS}:
            missing = MISSING.get(name, ())
            assert code == ("0" if not missing else "1" if missing == SLICES else "3"), name
            metal = {name: f" {name}" in what for name in REPORTERS}
            assert metal == {name: f"{METAL} {name}" not in missing for name in REPORTERS}, name


def test_doctor_names_only_the_reporter_without_any_total(offices: Offices, tmp_path: Path) -> None:
    def without_totals(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        return [row for row in rows if row["partner"] not in TOTALS]

    def deviate(exchange: Exchange) -> Exchange:
        is_meant = f"{CN}/M.EU27_2020" in exchange.path and exchange.status == 200
        return exchange.rows(without_totals) if is_meant else exchange

    offices.proxy.deviate = deviate
    said = doctor(offices, tmp_path, datasets=(METAL,))
    assert said.code == 3
    assert said.sentence.startswith(
        "a live run would publish: NL metal yes, DE metal yes, EU27_2020 metal no because total_is_present: "
    )


def test_doctor_compares_cbs_totals_with_published_figures(offices: Offices, tmp_path: Path) -> None:
    # The simulated re-exports differ from those of 2024 and 2025; only a live run is compared with real figures.
    live_run = doctor(offices, tmp_path, datasets=("cbs_85427ned",))
    assert live_run.code == 0, live_run.output
    assert re.search(
        r"anchor N02\.re_export: the office states [\d,]+ mln euros, 328,299 were published", live_run.output
    )


def test_doctor_writes_a_new_country_and_uses_the_line_that_a_user_completes(offices: Offices, tmp_path: Path) -> None:
    offices.proxy.deviate = NEW_COUNTRY
    said = doctor(offices, tmp_path, "--write", datasets=(METAL,))
    assert said.code == 0, said.output
    assert "partner QN is in no list and counts as unmapped" in said.output
    path = tmp_path / "live" / "overlay" / "office_partners.csv"
    assert f"written to {path}: eurostat,QN,unmapped," in said.output
    before = path.read_bytes()
    again = doctor(offices, tmp_path, "--write", datasets=(METAL,))
    assert "nothing to write" in again.output
    assert path.read_bytes() == before
    path.write_text(before.decode().replace("QN,unmapped,,", "QN,country,VN,Viet Nam"), encoding="utf-8")
    completed = doctor(offices, tmp_path, datasets=(METAL,))
    assert completed.code == 0
    assert "QN" not in completed.output
    # A typing error is reported with file and line.
    path.write_text(before.decode().replace("QN,unmapped,,", "QN,country,Vietnam,"), encoding="utf-8")
    wrong = doctor(offices, tmp_path, datasets=(METAL,))
    assert wrong.code == 1
    assert "line 2: destination_code is 'Vietnam'" in " ".join(wrong.output.split())
    assert str(path) in wrong.output.replace("\n", "")


def test_overlay_written_by_doctor_corrects_a_changed_unit(offices: Offices, tmp_path: Path) -> None:
    offices.proxy.deviate = OTHER_UNIT
    said = doctor(offices, tmp_path, datasets=(BORDER,))
    assert said.code == 1
    assert f"{BORDER} no because contract_is_kept" in said.sentence
    assert "`metaalexport doctor --live --write` may correct it" in said.output
    assert not (tmp_path / "live" / "overlay").exists()
    load = ("load", BORDER, "--from", "2025-01")
    assert call(offices, tmp_path, *load).code == 1
    assert doctor(offices, tmp_path, "--write", datasets=(BORDER,)).code == 1
    healed = doctor(offices, tmp_path, "--write", datasets=(BORDER,))
    assert (healed.code, f"{BORDER} yes" in healed.sentence, "nothing to write" in healed.output) == (0, True, True)
    loaded = call(offices, tmp_path, *load)
    assert loaded.code == 0, loaded.output
    # The rules changed: the landing gate checks the stopped load again, without a download.
    assert "nothing downloaded" in loaded.output
    (manifest,) = Landing(live(offices, tmp_path).landing).committed()
    measures = tmp_path / "live" / "landing" / BORDER / manifest.load_id / "measures.parquet"
    factors = duckdb.sql(f"select distinct stated_unit, factor from '{measures}'").fetchall()
    assert factors == [("1 000 euro", 1000.0)]


def test_moved_table_is_found_by_its_title_and_loaded_through_the_overlay(offices: Offices, tmp_path: Path) -> None:
    def deviate(exchange: Exchange) -> Exchange:
        if "85429NED" in exchange.path:
            return exchange.answered(404, b'{"error": {"code": "404", "message": "Not found"}}', "application/json")
        return exchange if "/csv/" in exchange.path else exchange.rewritten("85429NED", "85999NED")

    offices.proxy.deviate = deviate
    offices.proxy.route = lambda path: path.replace("85999NED", "85429NED")
    said = doctor(offices, tmp_path, "--write", datasets=(BORDER,))
    assert said.code == 1
    assert f"{BORDER} no because HTTP 404" in said.sentence
    overlay = tmp_path / "live" / "overlay" / "registry" / f"{BORDER}.yml"
    assert yaml.safe_load(overlay.read_text(encoding="utf-8")) == {"identifier": "85999NED"}
    healed = doctor(offices, tmp_path, datasets=(BORDER,))
    assert healed.code == 0, healed.output
    assert call(offices, tmp_path, "load", BORDER, "--from", "2025-01").code == 0
    assert len(list(Landing(live(offices, tmp_path).landing).committed(BORDER))) == 1
    # The evidence is kept with its requests and holds only for the examined declaration.
    verified = json.loads((tmp_path / "live" / "verified.json").read_text(encoding="utf-8"))
    assert any("/85999NED/" in url for url in verified[BORDER]["requests"].values())
    overlay.unlink()
    offices.proxy.deviate, offices.proxy.route = as_it_is, str
    call(offices, tmp_path, "load", BORDER, "--from", "2025-01")
    rows = [json.loads(line) for line in (tmp_path / "live" / "ops" / "datasets.jsonl").read_text().splitlines()]
    assert {row["is_verified"] for row in rows if row["dataset_code"] == BORDER} == {False}


@pytest.mark.thorough
def test_run_matches_the_forecast_after_doctor_writes_the_overlay(offices: Offices, tmp_path: Path) -> None:
    root = tmp_path / "var"
    environment_of(offices, root)
    assert call(offices, root, "prepare", METAALEXPORT_AIRFLOW_ADMIN_PASSWORD="of-the-tests").code == 0
    offices.proxy.deviate = OTHER_UNIT
    assert doctor(offices, root, "--write").code == 3
    offices.proxy.deviate = OTHER_UNIT
    foretold = doctor(offices, root)
    assert foretold.code == 0, foretold.output
    outcome = run_all(offices, Deviation("cbs_unit", "", OTHER_UNIT), root)
    assert summarise(outcome)[0] == "0", outcome.output[-2000:]
    assert {name for name, months in outcome.metal.items() if months} == {n for n, yes in foretold.metal.items() if yes}
