"""The journal of the pipeline's steps."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from metaalexport import journal as journal_module
from metaalexport.journal import Journal


def test_successful_step_is_recorded_as_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with journal.step("run-1", "fetch", "cbs_85429ned") as note:
        note.detail = "12 requests"
    (row,) = journal.read("runs")
    assert (row["step"], row["outcome"], row["detail"]) == ("fetch", "done", "12 requests")
    assert row["started_at"] <= row["finished_at"]


def test_failed_step_is_recorded_with_its_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="no such month"), journal.step("run-1", "fetch", "cbs_85429ned"):
        raise ValueError("no such month")
    (row,) = journal.read("runs")
    assert (row["outcome"], row["detail"]) == ("failed", "ValueError: no such month")


def test_unwritable_record_does_not_hide_the_first_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_module, "write_atomically", refuse)
    with (
        pytest.raises(ValueError, match="no such month") as caught,
        Journal(tmp_path).step("run-1", "fetch", "cbs_85429ned"),
    ):
        raise ValueError("no such month")
    assert "No space left on device" in caught.value.__notes__[0]


def test_unwritable_record_of_a_successful_step_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_module, "write_atomically", refuse)
    with pytest.raises(OSError, match="No space left"), Journal(tmp_path).step("run-1", "fetch", "cbs_85429ned"):
        pass


DAMAGED = {
    "cut": b'{"run_id": "r", "st',
    "text": b"hello\n",
    "list": b"[1]\n",
    "bytes": b"\x00\xff\xfe",
    "other": b'{"a": 1}\n',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("kind", ["runs", "checks", "accepted", "held"])
def test_damaged_record_is_ignored_and_can_be_set_aside(tmp_path: Path, kind: str, content: bytes) -> None:
    journal = Journal(tmp_path)
    journal.prepare()
    with journal.step("run-1", "fetch", "cbs_85429ned"):
        pass
    path = tmp_path / ("held.jsonl" if kind == "held" else f"{kind}/damaged.jsonl")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    assert [row["step"] for row in journal.read("runs")] == ["fetch"]
    assert journal.accepted("load") == {}
    assert journal.damaged() == [path]
    (aside,) = journal.set_damaged_aside()
    assert aside.read_bytes() == content
    assert journal.damaged() == []


def test_record_keeps_the_line_separators_of_an_office(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with journal.step("run-1", "fetch", "cbs_85429ned") as note:
        note.detail = "one\u2028two\x85three\nfour"
    assert journal.damaged() == []
    assert journal.read("runs")[0]["detail"] == note.detail
    assert json.loads(next((tmp_path / "runs").iterdir()).read_text(encoding="utf-8"))["detail"] == note.detail
