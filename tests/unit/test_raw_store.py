"""The raw store keeps received bytes once, read-only, under their hash. All bodies are made up."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.files import hash_file, write_atomically
from extract.errors import RawIntegrityError
from extract.raw import RawStore, RequestRecord


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path / "raw")


def a_record(request_id: str, dataset: str = "cbs_85429ned") -> RequestRecord:
    return RequestRecord(
        request_id, dataset, "count", "https://x.example/n", 200, "text/plain", "00", 2, "", "live", 1, "België ok"
    )


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_put_blocks_are_joined_under_their_hash(store: RawStore) -> None:
    digest = hashlib.sha256(b"abcdef").hexdigest()
    assert store.put([b"abc", b"", b"def"]) == (digest, 6)
    assert files_below(store.root) == [f"objects/{digest[:2]}/{digest}"]
    assert store.path(digest).read_bytes() == b"abcdef"


def test_put_no_blocks_stores_the_empty_body(store: RawStore) -> None:
    assert store.put([]) == (hashlib.sha256().hexdigest(), 0)


def test_put_body_is_read_only_for_all_users(store: RawStore) -> None:
    sha256, _ = store.put([b"abc"])
    assert stat.S_IMODE(store.path(sha256).stat().st_mode) == 0o444


def test_put_same_bytes_twice_keeps_the_first_copy_untouched(store: RawStore) -> None:
    first, _ = store.put([b"abc"])
    before = store.path(first).stat()
    second, size = store.put([b"a", b"bc"])
    after = store.path(first).stat()
    assert (second, size) == (first, 3)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(files_below(store.root)) == 1


def test_partial_body_of_a_killed_run_is_removed_only_after_a_day(store: RawStore) -> None:
    old, young = store.root / "incoming" / "old", store.root / "incoming" / "young"
    day = 24 * 3600
    for path, age in ((old, day + 60), (young, day - 600)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    RawStore(store.root)
    assert not old.exists()
    assert young.read_bytes() == b"half"


def test_put_failed_source_leaves_nothing(store: RawStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"abc"
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        store.put(broken())
    assert files_below(store.root) == []


@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(st.binary(max_size=64), max_size=6))
def test_put_any_bytes_can_be_read_back(tmp_path_factory: pytest.TempPathFactory, blocks: list[bytes]) -> None:
    store = RawStore(tmp_path_factory.mktemp("raw"))
    sha256, size = store.put(blocks)
    path = store.verified_path(sha256, dataset="d")
    assert path.read_bytes() == b"".join(blocks)
    assert size == path.stat().st_size
    assert list(store.hashes()) == [sha256]


def test_verified_path_good_body_is_returned(store: RawStore) -> None:
    sha256, _ = store.put([b"abc"])
    assert store.verified_path(sha256, dataset="cbs_85429ned") == store.path(sha256)


def test_verified_path_changed_byte_is_refused_with_the_file_named(store: RawStore) -> None:
    sha256, _ = store.put([b"abc"])
    path = store.path(sha256)
    path.chmod(0o644)
    path.write_bytes(b"abd")
    with pytest.raises(RawIntegrityError) as caught:
        store.verified_path(sha256, dataset="cbs_85429ned")
    message = str(caught.value)
    for part in ("cbs_85429ned", "was changed on disk", str(path), hashlib.sha256(b"abd").hexdigest(), "backup"):
        assert part in message


def test_verified_path_missing_body_is_refused_with_the_file_named(store: RawStore) -> None:
    absent = "0" * 64
    with pytest.raises(RawIntegrityError, match="is missing") as caught:
        store.verified_path(absent, dataset="cbs_85429ned")
    assert caught.value.where == str(store.path(absent))


def test_hash_file_larger_than_a_block_equals_hashlib(tmp_path: Path) -> None:
    body = bytes(range(256)) * 8192  # 2 MiB: more than one block
    path = tmp_path / "body"
    path.write_bytes(body)
    assert hash_file(path) == hashlib.sha256(body).hexdigest()


def test_record_is_read_back_equal_and_in_time_order(store: RawStore) -> None:
    later, earlier = a_record("20260102T000000-b"), a_record("20260101T000000-a")
    store.record(later)
    store.record(earlier)
    assert list(store.records()) == [earlier, later]


def test_records_skip_the_empty_schema_file(store: RawStore) -> None:
    store.ensure_schema()
    store.record(a_record("1"))
    assert [record.request_id for record in store.records()] == ["1"]
    assert files_below(store.root / "requests") == ["_schema/none.json", "cbs_85429ned/1.json"]


def test_records_of_an_empty_store_are_empty(store: RawStore) -> None:
    assert list(store.records()) == []
    assert list(store.hashes()) == []


@pytest.mark.parametrize("text", ["", '{"request_id": "a', "[1]\n", '{"request_id": "a"}\n', "\xff"])
def test_damaged_records_are_skipped_and_can_be_set_aside(store: RawStore, text: str) -> None:
    store.record(a_record("b"))
    path = store.root / "requests" / "cbs_85429ned" / "a.json"
    path.write_bytes(text.encode("latin-1"))
    assert list(store.records()) == [a_record("b")]
    assert store.damaged() == [path]
    (aside,) = store.set_damaged_aside()
    assert aside.read_bytes() == text.encode("latin-1")
    assert (store.damaged(), list(store.records())) == ([], [a_record("b")])


def test_damaged_note_of_a_kept_body_is_ignored(store: RawStore) -> None:
    sha256, _ = store.put([b"abc"])
    store.remember("cbs_85429ned", "a structure", sha256)
    assert store.recall("cbs_85429ned", "a structure") == store.path(sha256)
    (note,) = (store.root / "kept").rglob("*.json")
    note.write_text('{"name": "a str')
    assert store.recall("cbs_85429ned", "a structure") is None


def test_damaged_history_is_named_and_stays_in_place(store: RawStore) -> None:
    kept = [store.keep_event("cbs_85429ned", {"event": "committed", "load_id": x, "at": "2026-01-01"}) for x in "abc"]
    kept[1].write_text('{"event"')
    assert [event["load_id"] for _, event in store.events()] == ["a", "c"]
    assert store.damaged("history") == [kept[1]]
    store.set_damaged_aside()
    assert kept[1].exists()


def test_write_atomically_replaces_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "marker.json"
    write_atomically(target, "one\n")
    write_atomically(target, "två\n")
    assert target.read_bytes() == "två\n".encode()
    assert files_below(tmp_path) == ["deep/marker.json"]


def test_write_atomically_crash_before_the_rename_keeps_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "marker.json"
    write_atomically(target, "one\n")

    def crash(self: Path, other: Path) -> Path:
        raise OSError("power cut")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="power cut"):
        write_atomically(target, "two\n")
    assert target.read_text("utf-8") == "one\n"


def test_write_atomically_failed_write_leaves_no_temporary(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "marker.json", "half a surrogate pair: \ud800")
    assert files_below(tmp_path) == []
