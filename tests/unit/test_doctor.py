"""The doctor's report on the machine and on offices that match or differ. All replies are made up."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest

from extract.errors import OfficeRefusedError
from extract.examine import Examination, Examined
from extract.http import OfficeSession
from extract.offices.cbs import examine as cbs_examine
from extract.offices.eurostat import examine as eurostat_examine
from extract.registry import get_dataset
from metaalexport import asking as offices_asked
from metaalexport import doctor, verified
from metaalexport.doctor import check_machine, examine_offices
from metaalexport.rehearsal import Rehearsed
from metaalexport.run import Run
from metaalexport.settings import PROJECT_ROOT, Settings
from tests.contract.loading import CountingAdapter, Loader, Reply, as_json
from tests.contract.offices_of_ours import (
    BULK,
    BULK_ROWS,
    CBS,
    CBS_HOSTS,
    CBS_TABLE,
    COMEXT,
    SDMX,
    Answers,
    bulk_body,
    bulk_office,
    cbs_metadata,
    cbs_row,
    constraint,
    sdmx_body,
    sdmx_line,
)


@pytest.fixture
def state(tmp_path: Path) -> Settings:
    return Settings("simulator", tmp_path / "state")


def test_machine_has_all_packages(state: Settings) -> None:
    checks = {check.name: check for check in check_machine(state)}
    assert {"Python", "duckdb", "py7zr", "time zones", "registry", "disk", "memory", "state folder"} <= set(checks)
    assert all(checks[name].is_right for name in ("Python", "duckdb", "py7zr", "registry", "state folder"))
    assert state.state.is_dir()


def test_full_disk_is_reported_with_a_next_step(state: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 30))
    (check,) = (check for check in check_machine(state) if check.name == "disk")
    assert not check.is_right
    assert "1 GB free" in check.found
    assert "METAALEXPORT_VAR" in check.next_step


def test_low_memory_and_missing_write_permission_are_reported(state: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 18}[name])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    wrong = {check.name for check in check_machine(state) if not check.is_right}
    assert {"memory", "state folder"} <= wrong


def found_of(settings: Settings) -> dict[str, str]:
    return {check.name: check.found for check in check_machine(settings)}


def test_machine_names_variables_and_proxies_without_their_values(
    state: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://me:secret@db/airflow",
        "DBT_TARGET": "secret",
        "PGPASSWORD": "secret",
        "HTTPS_PROXY": "http://me:secret@proxy.example",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    found = found_of(state)
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "DBT_TARGET", "PGPASSWORD"):
        assert name in found["variables ignored"]
    assert "HTTPS_PROXY" in found["proxies"]
    assert "secret" not in "".join(found.values())


def test_shell_without_utf8_is_reported(state: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", SimpleNamespace(encoding="iso8859-1"))
    assert found_of(state)["encoding"] == "iso8859-1: shows ? for other characters; set LC_ALL=C.UTF-8"


def test_state_that_cannot_be_created_is_reported_and_other_checks_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    checks = {check.name: check for check in check_machine(Settings("simulator", tmp_path / "file" / "simulator"))}
    assert not checks["state folder"].is_right
    assert "Not a directory" in checks["state folder"].found
    assert "METAALEXPORT_VAR" in checks["state folder"].next_step
    assert "free under" in checks["disk"].found


def test_read_only_checkout_is_reported(state: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != PROJECT_ROOT)
    checks = {check.name: check for check in check_machine(state)}
    assert checks["checkout"].found == f"{PROJECT_ROOT} cannot be written"
    assert checks["state folder"].is_right


def test_log_next_to_the_published_file_is_reported_with_a_next_step(state: Settings) -> None:
    state.state.mkdir(parents=True)
    log = state.published.with_name(f"{state.published.name}.wal")
    log.touch()
    (check,) = (check for check in check_machine(state) if check.name == "published file")
    assert not check.is_right
    assert str(log) in check.found
    assert check.next_step == "metaalexport publish"


def test_missing_package_and_time_zones_are_reported(state: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_version(package: str) -> str:
        raise PackageNotFoundError(package)

    def no_zone(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(doctor, "version", no_version)
    monkeypatch.setattr(doctor, "ZoneInfo", no_zone)
    wrong = {check.name: check.found for check in check_machine(state) if not check.is_right}
    assert wrong["duckdb"] == "not installed"
    assert wrong["time zones"] == "missing"


def judged(results: list[Examined]) -> dict[str, str]:
    return {result.endpoint: result.outcome for result in results}


def cbs_answers(**metadata: Any) -> Answers:
    rows = [cbs_row(0)]
    answers = cbs_metadata(**metadata)
    codes = {"Landen": [{"Identifier": "T001047"}], "SITC": [{"Identifier": "A018678"}], "Perioden": []}
    answers |= {f"{CBS_TABLE}/{name}Codes": [as_json(value=values)] for name, values in codes.items()}
    query = f"$filter=Measure in ({','.join(repr(code) for code in CBS.measure_codes)})"
    answers[f"{CBS_TABLE}/Observations/$count?{query}"] = [b"12"]
    answers[f"{CBS_TABLE}/Observations?{query}&$top=3"] = [as_json(value=rows)]
    return answers


def test_cbs_as_declared_is_reported_per_endpoint(tmp_path: Path) -> None:
    loader = Loader(CBS, tmp_path)
    results = cbs_examine.examine(loader.session(CountingAdapter(cbs_answers())), CBS_HOSTS, CBS)
    assert judged(results) == {
        "v4 Properties": "as declared",
        "v4 Dimensions": "as declared",
        "v4 MeasureCodes": "as declared",
        "v4 LandenCodes": "as declared",
        "v4 SITCCodes": "as declared",
        "v4 PeriodenCodes": "as declared",
        "v4 $count": "answers",
        "v4 Observations": "as declared",
    }
    assert {record.purpose for record in loader.raw.records()} == {f"doctor: {name}" for name in judged(results)}


def test_cbs_other_unit_gives_the_corrected_registry_line(tmp_path: Path) -> None:
    answers = cbs_answers(units={"M001648": "1 000 euro"})
    plain = replace(CBS, discover=())
    results = cbs_examine.examine(Loader(CBS, tmp_path).session(CountingAdapter(answers)), CBS_HOSTS, plain)
    (differing,) = (result for result in results if result.outcome == "differs")
    assert differing.endpoint == "v4 MeasureCodes"
    assert "M001648 has unit '1 000 euro'" in differing.detail
    assert differing.registry_line.startswith("- {code: M001648, unit: 1 000 euro,")


def test_cbs_other_dimensions_and_a_missing_total_are_reported(tmp_path: Path) -> None:
    answers = cbs_answers()
    answers[f"{CBS_TABLE}/Dimensions"] = [as_json(value=[{"Identifier": n} for n in ("Landen", "GN", "Perioden")])]
    answers[f"{CBS_TABLE}/LandenCodes"] = [as_json(value=[{"Identifier": "L008778"}])]
    plain = replace(CBS, discover=())
    results = cbs_examine.examine(Loader(CBS, tmp_path).session(CountingAdapter(answers)), CBS_HOSTS, plain)
    differing = {result.endpoint: result for result in results if result.outcome == "differs"}
    assert set(differing) == {"v4 Dimensions", "v4 LandenCodes"}
    assert differing["v4 Dimensions"].registry_line == "dimensions: {Landen: partner, GN: gn, Perioden: period}"
    assert "no code ['T001047']" in differing["v4 LandenCodes"].detail


def test_cbs_catalogue_search_finds_a_table_with_the_declared_products(tmp_path: Path) -> None:
    wanted = replace(CBS, products=("A018678",), discover=("goederenhandel",))
    answers = cbs_answers(units={"M001648": "1 000 euro"})
    catalogue = f"{CBS_HOSTS['v4']}/Datasets?$select=Identifier,Title,Status,Modified"
    entries = [
        {"Identifier": name, "Title": f"Internationale goederenhandel {name}"} for name in ("85429NED", "85430NED")
    ]
    answers[catalogue] = [as_json(value=entries)]
    codes = f"{CBS_HOSTS['v4']}/85430NED/SITCCodes?$filter=startswith(Identifier,'A018678')&$top=1"
    answers[codes] = [as_json(value=[{"Identifier": "A018678"}])]
    results = cbs_examine.examine(Loader(CBS, tmp_path).session(CountingAdapter(answers)), CBS_HOSTS, wanted)
    assert results[-1].endpoint == "candidate 85430NED"
    assert results[-1].registry_line == "identifier: 85430NED"


def test_cbs_catalogue_search_without_products_uses_title_and_dimensions(tmp_path: Path) -> None:
    wanted = replace(CBS, discover=("goederenhandel",))
    answers = cbs_answers()
    dimensions = answers[f"{CBS_TABLE}/Dimensions"]
    answers[f"{CBS_TABLE}/Properties"] = [Reply(b"gone", 404)]
    catalogue = f"{CBS_HOSTS['v4']}/Datasets?$select=Identifier,Title,Status,Modified"
    titles = {"85998NED": CBS.title_nl, "85999NED": CBS.title_nl, "86000NED": "Internationale goederenhandel"}
    answers[catalogue] = [as_json(value=[{"Identifier": name, "Title": title} for name, title in titles.items()])]
    answers[f"{CBS_HOSTS['v4']}/85998NED/Dimensions"] = [as_json(value=[{"Identifier": "Perioden"}])]
    answers[f"{CBS_HOSTS['v4']}/85999NED/Dimensions"] = dimensions
    results = cbs_examine.examine(Loader(CBS, tmp_path).session(CountingAdapter(answers)), CBS_HOSTS, wanted)
    candidates = [result for result in results if result.endpoint.startswith("candidate")]
    assert [result.registry_line for result in candidates] == ["identifier: 85999NED"]


def test_cbs_failed_catalogue_keeps_the_results_of_the_table(tmp_path: Path) -> None:
    answers = cbs_answers(units={"M001648": "1 000 euro"})
    results = cbs_examine.examine(Loader(CBS, tmp_path).session(CountingAdapter(answers)), CBS_HOSTS, CBS)
    assert (judged(results)["v4 MeasureCodes"], judged(results)["v4 catalogue"]) == ("differs", "fails")


def test_cbs_failed_endpoint_does_not_end_the_examination(tmp_path: Path) -> None:
    answers = cbs_answers()
    answers[f"{CBS_TABLE}/MeasureCodes"] = [Reply(b"gone", 404)]
    plain = replace(CBS, discover=())
    results = cbs_examine.examine(Loader(CBS, tmp_path).session(CountingAdapter(answers)), CBS_HOSTS, plain)
    assert judged(results)["v4 MeasureCodes"] == "fails"
    assert judged(results)["v4 Observations"] == "as declared"


def test_cbs_reply_of_another_shape_differs_without_ending_the_examination(tmp_path: Path) -> None:
    answers = cbs_answers()
    answers[f"{CBS_TABLE}/Dimensions"] = [as_json(values=[])]
    plain = replace(CBS, discover=())
    results = cbs_examine.examine(Loader(CBS, tmp_path).session(CountingAdapter(answers)), CBS_HOSTS, plain)
    (differing,) = (result for result in results if result.outcome == "differs")
    assert "another shape: it lacks 'value'" in differing.detail


def eurostat_answers() -> Answers:
    base = f"{COMEXT}/sdmx/2.1"
    flow = b'<m:Structure xmlns:m="m"><s:Dataflow xmlns:s="s" id="DS-045409"/></m:Structure>'
    dimensions = "".join(
        f'<s:Dimension id="{name}" position="{number}"/>' for number, name in enumerate(SDMX.dimensions, start=1)
    )
    definition = f'<m:Structure xmlns:m="m" xmlns:s="s">{dimensions}</m:Structure>'.encode()
    key = "M.NL..72.2.VALUE_IN_EUROS"
    data = f"{base}/data/DS-045409/{key}?lastNObservations=1"
    body = sdmx_body(sdmx_line())
    query = "freq=M&reporter=NL&product=72&flow=2&indicators=VALUE_IN_EUROS"
    stat = as_json(updated="2026-09-15T11:00:00+0200", id=[], size=[], dimension={}, value={})
    return {
        f"{base}/dataflow/ESTAT/DS-045409/1.0?detail=allstubs": [flow],
        f"{base}/datastructure/ESTAT/DS-045409": [definition],
        f"{base}/contentconstraint/ESTAT/DS-045409": [constraint()],
        f"{data}&format=SDMX-CSV&compressed=false": [body],
        f"{data}&format=SDMX-CSV&compressed=true": [body],
        f"{data}&format=TSV&compressed=false": [b"freq\\TIME_PERIOD\t2026-01 \n"],
        f"{COMEXT}/statistics/1.0/data/DS-045409?format=JSON&lang=EN&{query}&lastTimePeriod=1": [stat],
    }


def test_eurostat_as_declared_is_reported_per_endpoint(tmp_path: Path) -> None:
    loader = Loader(SDMX, tmp_path)
    results = eurostat_examine.examine(loader.session(CountingAdapter(eurostat_answers())), loader.hosts, SDMX)
    assert judged(results) == {
        "dataflow": "answers",
        "datastructure": "as declared",
        "contentconstraint": "as declared",
        "data as SDMX-CSV": "as declared",
        "data as SDMX-CSV, gzip": "as declared",
        "data as TSV": "answers",
        "data as JSON-stat": "as declared",
    }


def test_eurostat_differences_are_reported_with_the_line_to_change(tmp_path: Path) -> None:
    answers = eurostat_answers()
    definition = f"{COMEXT}/sdmx/2.1/datastructure/ESTAT/DS-045409"
    (body,) = answers[definition]
    assert isinstance(body, bytes)
    answers[definition] = [body.replace(b'"indicators"', b'"indicator"')]
    answers[f"{COMEXT}/sdmx/2.1/contentconstraint/ESTAT/DS-045409"] = [constraint({"partner": ("US",)})]
    loader = Loader(SDMX, tmp_path)
    results = eurostat_examine.examine(loader.session(CountingAdapter(answers)), loader.hosts, SDMX)
    differing = {result.endpoint: result for result in results if result.outcome == "differs"}
    assert set(differing) == {"datastructure", "contentconstraint"}
    assert "indicator: indicator" in differing["datastructure"].registry_line
    assert "'partner': ['WORLD']" in differing["contentconstraint"].detail


def test_bulk_listing_and_smallest_file_are_examined(tmp_path: Path) -> None:
    office = bulk_office(tmp_path, bulk_body(*BULK_ROWS))
    historical = office.listing.replace("COMEXT_DATA%2FPRODUCTS", "COMEXT_HISTORICAL_DATA%2FPRODUCTS_1988_2001")
    loader = Loader(BULK, tmp_path / "state")
    adapter = CountingAdapter({**office.answers, historical: office.answers[office.listing]})
    results = eurostat_examine.examine(loader.session(adapter), loader.hosts, BULK)
    assert judged(results) == {"files listing": "as declared", "bulk file full_v2_202402.7z": "as declared"}


def test_examination_records_nothing_for_a_missing_reply(tmp_path: Path) -> None:
    visit = Examination(Loader(CBS, tmp_path).session(CountingAdapter({})), CBS.code)
    reply = visit.ask("an endpoint", "https://x.example", lambda path, kind: None)
    visit.note("an endpoint", reply)
    visit.compare("an endpoint", reply, lambda found: ("", ""))
    assert [(result.endpoint, result.outcome) for result in visit.results] == [("an endpoint", "fails")]
    assert "HTTP 404" in visit.results[0].detail


def test_unreachable_office_is_fully_retried_only_once(tmp_path: Path) -> None:
    adapter = CountingAdapter({f"https://x.example/{n}": [Reply(b"busy", 503)] * 9 for n in "abcd"})
    session = Loader(CBS, tmp_path).session(adapter)
    session.policy = replace(session.policy, attempts=3)
    visit = Examination(session, CBS.code)
    for name in "abcd":
        assert visit.ask(name, f"https://x.example/{name}", lambda path, kind: None) is None
    assert [result.outcome for result in visit.results] == ["fails"] * 4
    assert [sum(url.endswith(name) for url in adapter.urls) for name in "abcd"] == [3, 1, 1, 0]
    assert "not requested" in visit.results[-1].detail


def test_office_is_away_only_if_no_endpoint_answers() -> None:
    failed, answered = Examined(CBS.code, "a", "u", "fails"), Examined(CBS.code, "b", "u", "answers")
    other = Examined(SDMX.code, "c", "u", "answers")
    assert doctor.is_away([failed, other], "cbs")
    assert not doctor.is_away([failed, answered], "cbs")
    assert not doctor.is_away([failed, other], "eurostat")
    assert not doctor.is_away([], "cbs")


def test_evidence_is_kept_only_of_full_agreement(tmp_path: Path) -> None:
    live = Settings("live", tmp_path / "live")
    loader = Loader(CBS, live.state)
    session = loader.session(CountingAdapter({"https://x.example/a": [b"{}"]}))
    session.run_id = "run"
    visit = Examination(session, CBS.code)
    visit.note("an endpoint", visit.ask("an endpoint", "https://x.example/a", lambda path, kind: None))
    good = [Rehearsed(CBS.code, "NL", "2025"), Rehearsed(SDMX.code, "NL", "2025")]
    differs = Examined(SDMX.code, "columns", "u", "differs")
    assert doctor.keep_evidence(live, [*visit.results, differs], good, "run") == [CBS.code]
    assert verified.is_verified(live, get_dataset(CBS.code))
    assert not verified.is_verified(live, SDMX)
    (request,) = loader.raw.records()
    kept = json.loads((live.state / "verified.json").read_text(encoding="utf-8"))
    assert kept[CBS.code]["requests"] == {request.request_id: "https://x.example/a"}
    bad = [replace(good[0], reason="the landing gate")]
    assert doctor.keep_evidence(live, visit.results, bad, "run") == []
    assert not verified.is_verified(live, get_dataset(CBS.code))


def test_offices_are_examined_in_sequence_and_an_error_does_not_stop_the_rest(
    state: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []

    @contextmanager
    def asking(run: Run, dataset: Any) -> Iterator[tuple[OfficeSession, dict[str, str]]]:
        held.append(dataset.office)
        yield Loader(dataset, tmp_path).session(CountingAdapter(cbs_answers())), CBS_HOSTS

    def fail(*_: Any) -> list[Examined]:
        raise OfficeRefusedError("no listing", dataset="x", where="https://x.example")

    monkeypatch.setattr(offices_asked, "asking", asking)
    monkeypatch.setattr(eurostat_examine, "examine", fail)
    said: list[str] = []
    results = list(examine_offices(state, [SDMX.code, CBS.code], "run", said.append))
    assert held == ["cbs", "eurostat"]
    assert said == [f"{code}: requesting every endpoint" for code in (CBS.code, SDMX.code)]
    assert results[-1] == Examined(SDMX.code, "examination", "https://x.example", "fails", "no listing")
