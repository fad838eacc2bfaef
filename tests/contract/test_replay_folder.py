"""A folder of recordings: files are selected by content, and one bad file does not affect the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.registry import get_dataset
from extract.replay import open_replay

COMEXT = get_dataset("eurostat_ds_045409")
CBS = get_dataset("cbs_85429ned")
HEADER = (
    "DATAFLOW,LAST UPDATE,freq,reporter,partner,product,flow,indicators,TIME_PERIOD,OBS_VALUE,OBS_FLAG,CONF_STATUS\n"
)
MONTHS = "ESTAT:DS-045409(1.0),15/10/26 11:00:00,M,NL,US,72,2,VALUE_IN_EUROS,2026-03,5,,\n"
YEARS = "ESTAT:DS-045409(1.0),15/10/26 11:00:00,A,NL,US,72,2,VALUE_IN_EUROS,2025,9,,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "months.csv").write_text(HEADER + MONTHS, encoding="utf-8")
    return tmp_path


def test_annual_file_is_left_out_with_its_frequency(folder: Path) -> None:
    (folder / "a_years.csv").write_text(HEADER + YEARS, encoding="utf-8")
    replay = open_replay(folder, COMEXT, ("NL",))
    assert [(part.first_month, part.products) for part in replay.slices] == [("2026-03", ("72",))]
    assert replay.left_out == ((folder / "a_years.csv", "its freq is A, not M"),)


@pytest.mark.parametrize(
    "text",
    [
        HEADER.replace("TIME_PERIOD", "PERIOD") + MONTHS,
        HEADER + MONTHS + "ESTAT:DS-045409(1.0),15/10/26 11:00:00,M,NL\n" * 40_000,
        HEADER + MONTHS.replace("15/10/26 11:00:00", "yesterday"),
    ],
    ids=["a column is missing", "lines are cut", "a stamp that is none"],
)
def test_bad_file_is_left_out_and_others_are_read(folder: Path, text: str) -> None:
    (folder / "a_bad.csv").write_text(text, encoding="utf-8")
    replay = open_replay(folder, COMEXT, ("NL",))
    assert len(replay.slices) == 1
    ((path, reason),) = replay.left_out
    assert path.name == "a_bad.csv"
    assert reason


def test_files_of_other_datasets_are_ignored(folder: Path) -> None:
    (folder / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (folder / "binary.csv").write_bytes(b"\x00\xff" * 100)
    assert open_replay(folder, COMEXT, ("NL",)).left_out == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tableId": "85429NED"}'])
def test_unreadable_manifest_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text, encoding="utf-8")
    replay = open_replay(tmp_path, CBS, ("NL",))
    assert replay.slices == ()
    assert [path.name for path, _ in replay.left_out] == ["index.json"]
