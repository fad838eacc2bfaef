"""Every contract rule in every mode, for every protocol: rows loaded and rejected, findings and the gate's verdict.

A dataset with mode `fail` loads the rows it can and fails the landing gate, so its rows remain inspectable. Only an
unreadable reply raises an error before that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from extract.dataset import CONTRACT_MODES, Dataset
from extract.errors import BadReplyError
from extract.parsing import Codes
from extract.slices import Slice
from tests.contract.loading import Loader, Reply
from tests.contract.offices_of_ours import (
    BULK,
    BULK_HEADER,
    BULK_PART,
    BULK_ROWS,
    CBS,
    CBS_PART,
    CBS_ZIP,
    HEADER,
    SDMX,
    SDMX_PART,
    TEC,
    TEC_HEADER,
    TEC_PART,
    Answers,
    adapter,
    bulk_body,
    bulk_office,
    cbs_csv,
    cbs_office,
    cbs_row,
    cbs_zip_office,
    sdmx_body,
    sdmx_line,
    sdmx_office,
    tec_line,
    tec_office,
    with_contract,
)

MODES = ("warn", "quarantine", "fail")
# SDMX and OData also write missing values as NaN or INF; the last two exceed the range of the fact tables.
NO_NUMBERS = ("onbekend", "NaN", "INF", "-Infinity", "1e400", "1e15")


@dataclass(frozen=True)
class Protocol:
    """A table as a fake office serves it.

    `office` returns all replies for rows in the protocol's own format.
    """

    dataset: Dataset
    part: Slice
    office: Callable[[Path, str], Answers]


def cbs_rows(kind: str) -> list[dict[str, Any]]:
    rows = [cbs_row(number, "L008592") for number in range(4)]
    if kind == "new column":
        rows = [row | {"EXTRA": "x"} for row in rows]
    elif kind == "no column":
        rows = [{name: value for name, value in row.items() if name != "SITC"} for row in rows]
    elif kind in NO_NUMBERS:
        rows[2]["Value"] = kind
    elif kind == "new code":
        rows[1]["Landen"] = "L999999"
    elif kind == "gone code":
        rows[1]["Landen"] = "L008778"
    return rows


def cbs_pages(folder: Path, kind: str) -> Answers:
    return cbs_office(cbs_rows(kind), units={"M001632": "1 000 euro"} if kind == "unit" else None)


def cbs_zip(folder: Path, kind: str) -> Answers:
    rows = cbs_rows(kind)
    units = {"M001632": "1 000 euro"} if kind == "unit" else None
    return cbs_zip_office({"Observations.csv": cbs_csv(rows)}, len(rows), units=units)


def sdmx(folder: Path, kind: str) -> Answers:
    lines = [sdmx_line(p, product=c) for p in ("DE", "WORLD") for c in ("72", "76")]
    header = HEADER
    if kind == "new column":
        header, lines = f"{HEADER},EXTRA", [f"{line},x" for line in lines]
    elif kind == "no column":
        header = HEADER.replace(",flow", "")
        lines = [line.replace(",2,VALUE", ",VALUE") for line in lines]
    elif kind in NO_NUMBERS:
        lines[2] = sdmx_line("WORLD", kind)
    elif kind == "new code":
        lines[1] = sdmx_line("ZZ", product="76")
    elif kind == "gone code":
        lines[1] = sdmx_line("US", product="76")
    return sdmx_office(sdmx_body(*lines, header=header))


def main_host(folder: Path, kind: str) -> Answers:
    lines = [tec_line(partner=p, period=y) for p in ("INT_EU", "WORLD") for y in ("2022", "2023")]
    header = f"{TEC_HEADER},OBS_FLAG,CONF_STATUS"
    if kind == "new column":
        header, lines = f"{header},EXTRA", [f"{line},x" for line in lines]
    elif kind == "no column":
        header, lines = f"{TEC_HEADER},OBS_FLAG", [line[:-1] for line in lines]
    elif kind in NO_NUMBERS:
        lines[2] = tec_line(kind)
    elif kind == "new code":
        lines[1] = tec_line(partner="ZZ", period="2023")
    elif kind == "gone code":
        lines[1] = tec_line(partner="EXT_EU", period="2023")
    return tec_office(sdmx_body(*lines, header=header))


def bulk(folder: Path, kind: str) -> Answers:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*BULK_ROWS, BULK_ROWS[0].replace("AT,AD", "AT,FR"), BULK_ROWS[1].replace("AT,AD", "AT,FR")]
    header = BULK_HEADER
    if kind == "new column":
        header, rows = f"{BULK_HEADER},EXTRA", [f"{row},x" for row in rows]
    elif kind == "no column":
        header = BULK_HEADER.replace(",PRODUCT_BEC5", "")
        rows = [row.replace(",311210,", ",").replace(",31XXXX,", ",") for row in rows]
    elif kind in NO_NUMBERS:
        rows[2] = rows[2].replace(",65,65,", f",{kind},65,")
    elif kind == "new code":
        rows[1] = rows[1].replace("AT,AD", "AT,ZZ")
    elif kind == "gone code":
        rows[1] = rows[1].replace("AT,AD", "AT,US")
    return bulk_office(folder, bulk_body(*rows, header=header), "2024-05-16T11:00:00").answers


PROTOCOLS = {
    "CBS v4": Protocol(CBS, CBS_PART, cbs_pages),
    "CBS zip": Protocol(CBS_ZIP, CBS_PART, cbs_zip),
    "SDMX-CSV": Protocol(SDMX, SDMX_PART, sdmx),
    "SDMX-CSV, main host": Protocol(TEC, TEC_PART, main_host),
    "bulk": Protocol(BULK, BULK_PART, bulk),
}
# The partners in the rows, and one that is absent.
KNOWN: dict[str, Codes] = {
    "CBS v4": {"partner": frozenset({"L008592", "L008778"})},
    "CBS zip": {"partner": frozenset({"L008592", "L008778"})},
    "SDMX-CSV": {"partner": frozenset({"DE", "WORLD", "US"})},
    "SDMX-CSV, main host": {"partner": frozenset({"INT_EU", "WORLD", "EXT_EU"})},
    "bulk": {"partner": frozenset({"AD", "FR", "US"})},
}


@dataclass(frozen=True)
class Outcome:
    """Result of a load."""

    loaded: int
    rejected: dict[str, int]
    findings: list[tuple[str, str, str]]
    passes: bool


def outcome(name: str, folder: Path, kind: str, **rules: Any) -> Outcome:
    protocol = PROTOCOLS[name]
    loader = Loader(with_contract(protocol.dataset, **rules), folder / "state")
    manifest = loader.load(adapter(protocol.office(folder / "office", kind)), protocol.part, declared=KNOWN[name])
    return Outcome(
        manifest.rows_loaded,
        loader.rules(manifest),
        loader.findings(manifest),
        loader.keeps_contract(manifest),
    )


def modes_of(rule: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mode", CONTRACT_MODES[rule])


every_protocol = pytest.mark.parametrize("name", PROTOCOLS)


def test_matrix_covers_every_rule_and_mode() -> None:
    assert set(CONTRACT_MODES) == {
        "new_column",
        "missing_column",
        "type_change",
        "new_code",
        "vanished_code",
        "unit_change",
    }
    assert {mode for modes in CONTRACT_MODES.values() for mode in modes} == set(MODES)


@every_protocol
def test_declared_reply_loads_without_findings(tmp_path: Path, name: str) -> None:
    assert outcome(name, tmp_path, "") == Outcome(4, {}, [], passes=True)


@every_protocol
@modes_of("new_column")
def test_new_column_is_reported_and_rows_load(tmp_path: Path, name: str, mode: str) -> None:
    found = outcome(name, tmp_path, "new column", new_column=mode)
    assert found == Outcome(4, {}, [("new_column", "EXTRA", mode)], passes=mode != "fail")


@modes_of("missing_column")
def test_missing_flag_column_is_reported_and_rows_load(tmp_path: Path, mode: str) -> None:
    found = outcome("SDMX-CSV, main host", tmp_path, "no column", missing_column=mode)
    assert found == Outcome(4, {}, [("missing_column", "CONF_STATUS", mode)], passes=mode != "fail")


@pytest.mark.parametrize(
    ("name", "column"), [("CBS v4", "SITC"), ("CBS zip", "SITC"), ("SDMX-CSV", "flow"), ("bulk", "PRODUCT_BEC5")]
)
@modes_of("missing_column")
def test_missing_required_column_is_an_error_in_every_mode(tmp_path: Path, name: str, column: str, mode: str) -> None:
    with pytest.raises(BadReplyError, match=f"'{column}'") as caught:
        outcome(name, tmp_path, "no column", missing_column=mode)
    assert "lack" in caught.value.problem
    assert caught.value.next_step


@every_protocol
@pytest.mark.parametrize("text", NO_NUMBERS)
@modes_of("type_change")
def test_non_numeric_value_is_rejected_and_reported(tmp_path: Path, name: str, text: str, mode: str) -> None:
    found = outcome(name, tmp_path, text, type_change=mode)
    assert found == Outcome(3, {"not_a_number": 1}, [("type_change", "value", mode)], passes=mode != "fail")


@every_protocol
@modes_of("new_code")
def test_new_code_is_reported_and_quarantined_only_in_quarantine_mode(tmp_path: Path, name: str, mode: str) -> None:
    found = outcome(name, tmp_path, "new code", new_code={"partner": mode, "default": "warn"})
    rejected = {"unknown_partner": 1} if mode == "quarantine" else {}
    assert found == Outcome(4 - len(rejected), rejected, [("new_code", "partner", mode)], passes=mode != "fail")


@every_protocol
@modes_of("new_code")
def test_new_code_without_a_seed_is_compared_with_earlier_loads(tmp_path: Path, name: str, mode: str) -> None:
    protocol = PROTOCOLS[name]
    dataset = with_contract(protocol.dataset, new_code={"partner": mode, "default": "warn"})
    loader = Loader(dataset, tmp_path / "state")
    first = loader.load(adapter(protocol.office(tmp_path / "one", "")), protocol.part)
    assert loader.findings(first) == []
    loader.commit(first)
    manifest = loader.load(adapter(protocol.office(tmp_path / "two", "new code")), protocol.part)
    assert ("new_code", "partner", mode) in loader.findings(manifest)
    assert loader.rules(manifest) == ({"unknown_partner": 1} if mode == "quarantine" else {})
    assert loader.keeps_contract(manifest) is (mode != "fail")


def test_repeated_finding_does_not_warn_again(tmp_path: Path) -> None:
    protocol = PROTOCOLS["SDMX-CSV"]
    loader = Loader(with_contract(protocol.dataset, new_column="warn"), tmp_path)

    def warns(value: str, extra: str) -> bool:
        lines = [f"{sdmx_line('WORLD', value)}{',x' * len(extra.split(','))}"]
        office = sdmx_office(sdmx_body(*lines, header=f"{HEADER},{extra}"))
        manifest = loader.load(adapter(office), protocol.part, declared=KNOWN["SDMX-CSV"])
        assert {(rule, subject) for rule, subject, _ in loader.findings(manifest)} == {
            ("new_column", name) for name in extra.split(",")
        }
        warned = bool(loader.failed_checks(manifest, ["nothing_is_undeclared"]))
        loader.commit(manifest)
        return warned

    assert warns("5", "EXTRA")
    assert not warns("6", "EXTRA")
    assert warns("7", "EXTRA,MORE")


@every_protocol
@modes_of("vanished_code")
def test_vanished_code_is_reported_and_rows_load(tmp_path: Path, name: str, mode: str) -> None:
    protocol = PROTOCOLS[name]
    loader = Loader(with_contract(protocol.dataset, vanished_code=mode), tmp_path / "state")
    declared = KNOWN[name]
    loader.commit(
        loader.load(adapter(protocol.office(tmp_path / "one", "gone code")), protocol.part, declared=declared)
    )
    manifest = loader.load(adapter(protocol.office(tmp_path / "two", "")), protocol.part, declared=declared)
    assert loader.findings(manifest) == [("vanished_code", "partner", mode)]
    assert (manifest.rows_loaded, manifest.rows_rejected) == (4, 0)
    assert loader.keeps_contract(manifest) is (mode != "fail")


@pytest.mark.parametrize("name", ["CBS v4", "CBS zip"])
@modes_of("unit_change")
def test_changed_unit_quarantines_its_measure_or_fails(tmp_path: Path, name: str, mode: str) -> None:
    found = outcome(name, tmp_path, "unit", unit_change=mode)
    rejected = {"unit_change": 1} if mode == "quarantine" else {}
    assert found == Outcome(4 - len(rejected), rejected, [("unit_change", "M001632", mode)], passes=mode != "fail")


@pytest.mark.parametrize(
    ("kind", "contract", "fails"),
    [
        ("unit", {"unit_change": "quarantine"}, False),
        ("new code", {"new_code": {"partner": "quarantine"}}, False),
        ("onbekend", {"type_change": "quarantine"}, True),
    ],
)
def test_many_quarantined_rows_pass_but_many_bad_rows_fail(
    tmp_path: Path, kind: str, contract: dict[str, Any], *, fails: bool
) -> None:
    protocol = PROTOCOLS["CBS v4"]
    loader = Loader(with_contract(protocol.dataset, **contract), tmp_path / "state")
    answers = protocol.office(tmp_path / "office", kind)
    declared = {"partner": frozenset({"L008592", "L008778"})}
    manifest = loader.load(adapter(answers), protocol.part, declared=declared)
    assert manifest.rows_rejected >= 1
    assert loader.failed_checks(manifest, ["few_rows_are_rejected"]) == ({"few_rows_are_rejected"} if fails else set())


@pytest.mark.parametrize("name", ["SDMX-CSV", "SDMX-CSV, main host"])
def test_changed_eurostat_unit_is_an_unknown_measure(tmp_path: Path, name: str) -> None:
    protocol = PROTOCOLS[name]
    answers = protocol.office(tmp_path / "office", "")
    (url,) = (url for url in answers if "/data/" in url and "format=SDMX-CSV" in url)
    (body,) = answers[url]
    assert isinstance(body, bytes)
    answers[url] = [Reply(body.replace(b"VALUE_IN_EUROS", b"VALUE_EUR").replace(b"THS_EUR", b"MIO_EUR"))]
    loader = Loader(protocol.dataset, tmp_path / "state")
    manifest = loader.load(adapter(answers), protocol.part)
    assert (manifest.rows_loaded, loader.rules(manifest)) == (0, {"unknown_measure": 4})


def test_undeclared_unit_is_reported_and_rows_load(tmp_path: Path) -> None:
    unseen = replace(CBS, measures=tuple(replace(measure, unit="") for measure in CBS.measures))
    loader = Loader(unseen, tmp_path / "state")
    manifest = loader.load(adapter(cbs_pages(tmp_path, "")), CBS_PART)
    assert manifest.rows_loaded == 4
    assert {(rule, mode) for rule, _, mode in loader.findings(manifest)} == {("unit_change", "warn")}
    assert loader.keeps_contract(manifest)


def test_violations_of_two_rules_are_both_reported(tmp_path: Path) -> None:
    loader = Loader(with_contract(CBS, type_change="quarantine", new_column="warn"), tmp_path / "state")
    rows = [row | {"EXTRA": 1} for row in cbs_rows("onbekend")]
    rows[0]["Landen"] = "L999999"
    manifest = loader.load(adapter(cbs_office(rows)), CBS_PART, declared=KNOWN["CBS v4"])
    assert loader.findings(manifest) == [
        ("new_code", "partner", "warn"),
        ("new_column", "EXTRA", "warn"),
        ("type_change", "value", "quarantine"),
    ]
    assert loader.keeps_contract(manifest)


def test_code_in_a_rejected_row_is_not_a_new_code(tmp_path: Path) -> None:
    rows = cbs_rows("onbekend")
    rows[2]["Landen"] = "L999999"
    loader = Loader(CBS, tmp_path / "state")
    manifest = loader.load(adapter(cbs_office(rows)), CBS_PART, declared=KNOWN["CBS v4"])
    assert loader.findings(manifest) == [("type_change", "value", "quarantine")]
