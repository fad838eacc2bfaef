"""The landing area: a load exists once its marker exists, and equal replies give byte-identical loads.

The replies are made up, in the format of the recorded ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common.files import write_atomically
from extract import load
from extract.dataset import Dataset
from extract.errors import BadReplyError, ExtractError, RawIntegrityError
from extract.landing import store as landing_module
from extract.landing.changes import write_state
from extract.landing.layout import COMMON_TABLES, MARKER, OBSERVATIONS, STAGED, change_columns, landing_tables
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from extract.offices.base import Fetched, OfficeVersion, Payload
from extract.raw import RawStore
from extract.registry import get_dataset, load_registry
from extract.slices import Slice

CBS = get_dataset("cbs_85429ned")
EUROSTAT = get_dataset("eurostat_ds_045409")
CBS_SLICE = Slice(CBS.code, "NL", "2015-01")
EUROSTAT_SLICE = Slice(EUROSTAT.code, "NL", "2025-01", "2025-02", products=("72", "76"))
CBS_VERSION = OfficeVersion("202607020630", "2026-07-02T04:30:00Z")
EUROSTAT_VERSION = OfficeVersion("15/09/26 11:00:00", "2026-09-15T09:00:00Z")
HEADER = "DATAFLOW,LAST UPDATE,freq,reporter,partner,product,flow,indicators,TIME_PERIOD,OBS_VALUE"
STAGED_TABLES = {OBSERVATIONS, *COMMON_TABLES}
COMMITTED_TABLES = {"changes", *COMMON_TABLES}


def cbs_bodies(*observations: dict[str, Any]) -> list[tuple[str, bytes]]:
    def body(rows: Any) -> bytes:
        return json.dumps({"value": rows}).encode()

    measures = [{"Identifier": measure.code, "Unit": measure.unit} for measure in CBS.measures]
    periods = [
        {"Identifier": "2026MM03", "Title": "2026 maart", "DimensionGroupId": "0", "Status": "Voorlopig"},
        {"Identifier": "2026MM04", "Title": "2026 april", "DimensionGroupId": "0", "Status": "Voorlopig"},
    ]
    return [("measures", body(measures)), ("codes:Perioden", body(periods)), ("observations", body(observations))]


def observation(number: int, value: Any, period: str = "2026MM04") -> dict[str, Any]:
    return {
        "Id": number,
        "Measure": "D001636",
        "ValueAttribute": "None",
        "Value": value,
        "StringValue": None,
        "Landen": "L008592",
        "SITC": "A018678",
        "Perioden": period,
    }


def eurostat_body(*lines: str) -> bytes:
    return "".join(line + "\n" for line in (HEADER, *lines)).encode()


def line(partner: str, product: str, value: str, month: str = "2025-01", indicator: str = "VALUE_IN_EUROS") -> str:
    return f"ESTAT:DS-045409(1.0),15/09/26 11:00:00,M,NL,{partner},{product},2,{indicator},{month},{value}"


@pytest.fixture
def raw(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path / "raw")


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


Fetch = Callable[..., Fetched]


@pytest.fixture
def fetch(raw: RawStore) -> Fetch:
    def make(bodies: list[tuple[str, bytes]], version: OfficeVersion) -> Fetched:
        payloads = [
            Payload(
                f"request-{number}", purpose, raw.put([body])[0], f"https://x.example/{number}", "2026-09-20T00:00:00Z"
            )
            for number, (purpose, body) in enumerate(bodies)
        ]
        return Fetched(version, tuple(payloads), "sdmx" if "/" in version.version else "odata_v4")

    return make


StageCbs = Callable[..., LoadManifest]


@pytest.fixture
def stage_cbs(landing: Landing, raw: RawStore, fetch: Fetch) -> StageCbs:
    def make(value: int = 10, version: OfficeVersion = CBS_VERSION) -> LoadManifest:
        fetched = fetch(cbs_bodies(observation(0, value)), version)
        return load.stage(landing, raw, CBS, CBS_SLICE, fetched, transport="live")

    return make


def rows(folder: Path, table: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.sql(f"select * exclude (load_id) from '{folder / table}.parquet'").fetchall()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def parquet(tables: set[str]) -> set[str]:
    return {f"{table}.parquet" for table in tables}


def tree_hash(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.parquet")}


def test_ensure_schema_empty_tables_have_the_declared_columns(landing: Landing) -> None:
    landing.ensure_schema(EUROSTAT)
    landing.ensure_schema(EUROSTAT)
    folder = landing.root / EUROSTAT.code / "_schema"
    assert files(folder) == parquet(COMMITTED_TABLES) | {MARKER, "tables.json"}
    with duckdb.connect() as connection:
        for table, columns in landing_tables(EUROSTAT).items():
            described = connection.sql(f"describe select * from '{folder / table}.parquet'").fetchall()
            assert {row[0]: row[1] for row in described} == columns
            assert connection.sql(f"select count(*) from '{folder / table}.parquet'").fetchall() == [(0,)]
    assert list(landing.committed()) == []


def test_stage_load_tables_have_the_declared_columns(landing: Landing, stage_cbs: StageCbs) -> None:
    folder, _ = landing.staged(stage_cbs().load_id)
    with duckdb.connect() as connection:
        for table, columns in {OBSERVATIONS: change_columns(CBS), **COMMON_TABLES}.items():
            described = connection.sql(f"describe select * from '{folder / table}.parquet'").fetchall()
            assert {row[0]: row[1] for row in described} == columns


@pytest.mark.parametrize("text", ["", '{"load_id": "c', "{}", '"x"'])
def test_damaged_manifest_is_named_with_a_remedy(landing: Landing, stage_cbs: StageCbs, text: str) -> None:
    manifest = stage_cbs()
    folder, _ = landing.staged(manifest.load_id)
    whole = (folder / STAGED).read_text("utf-8")
    (folder / STAGED).write_text(text, "utf-8")
    with pytest.raises(ExtractError, match="is damaged") as caught:
        landing.staged(manifest.load_id)
    assert (caught.value.where, caught.value.next_step) == (str(folder / STAGED), "load the dataset again")
    (folder / STAGED).write_text(whole, "utf-8")
    landing.commit(manifest.load_id, CBS)
    marker = landing.folder(manifest) / MARKER
    marker.chmod(0o644)
    marker.write_text(text, "utf-8")
    with pytest.raises(ExtractError, match="is damaged") as caught:
        list(landing.committed())
    assert (caught.value.dataset, caught.value.where) == (CBS.code, str(marker))
    assert "restore it from a backup" in caught.value.next_step


def test_staged_load_is_invisible_before_commit(landing: Landing, stage_cbs: StageCbs) -> None:
    manifest = stage_cbs()
    assert list(landing.committed()) == []
    assert not landing.folder(manifest).exists()
    assert landing.staged(manifest.load_id) == (landing.root / ".staging" / "loads" / manifest.load_id, manifest)


def test_stage_manifest_counts_and_lineage_are_exact(landing: Landing, raw: RawStore, fetch: Fetch) -> None:
    fetched = fetch(cbs_bodies(observation(0, 10), observation(1, "x"), observation(2, 12)), CBS_VERSION)
    manifest = load.stage(landing, raw, CBS, CBS_SLICE, fetched, transport="live")
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (3, 2, 1)
    assert manifest.payload_sha256s == [payload.sha256 for payload in fetched.payloads]
    assert manifest.request_ids == ["request-0", "request-1", "request-2"]
    assert (manifest.office_version, manifest.vintage_at) == ("202607020630", "2026-07-02T04:30:00Z")
    assert manifest.slice == CBS_SLICE.to_dict()
    assert manifest.is_simulated is False


@pytest.mark.parametrize(("transport", "expected"), [("simulator", True), ("live", False), ("replay", False)])
def test_stage_transport_decides_is_simulated(
    landing: Landing, raw: RawStore, fetch: Fetch, transport: str, *, expected: bool
) -> None:
    fetched = fetch(cbs_bodies(observation(0, 10)), CBS_VERSION)
    assert load.stage(landing, raw, CBS, CBS_SLICE, fetched, transport=transport).is_simulated is expected


def test_stage_again_replaces_an_earlier_attempt(landing: Landing, stage_cbs: StageCbs) -> None:
    manifest = stage_cbs()
    folder, _ = landing.staged(manifest.load_id)
    (folder / "half.parquet").write_bytes(b"rest of a killed run")
    stage_cbs()
    # `state` holds the result of earlier loads, for the landing gate and the commit.
    assert files(folder) == parquet(STAGED_TABLES | {"state"}) | {STAGED}


def test_stage_changed_raw_bytes_are_refused(landing: Landing, raw: RawStore, fetch: Fetch) -> None:
    fetched = fetch(cbs_bodies(observation(0, 10)), CBS_VERSION)
    path = raw.path(fetched.payloads[-1].sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"10", b"99"))
    with pytest.raises(RawIntegrityError, match=path.name):
        load.stage(landing, raw, CBS, CBS_SLICE, fetched, transport="live")
    assert list(landing.root.glob("*")) == []


def test_stage_unparsable_reply_names_the_file_and_commits_nothing(
    landing: Landing, raw: RawStore, fetch: Fetch
) -> None:
    bodies = cbs_bodies(observation(0, 10))
    bodies[-1] = ("observations", bodies[-1][1] + b' {"value": [{]}')
    fetched = fetch(bodies, CBS_VERSION)
    with pytest.raises(BadReplyError, match="cannot be parsed") as caught:
        load.stage(landing, raw, CBS, CBS_SLICE, fetched, transport="live")
    assert fetched.payloads[-1].sha256 in caught.value.where
    assert not list(landing.root.rglob("manifest.json"))


def test_stage_apostrophe_in_the_state_folder_is_harmless(tmp_path: Path, raw: RawStore, fetch: Fetch) -> None:
    landing = Landing(tmp_path / "'s-Hertogenbosch")
    landing.ensure_schema(CBS)
    fetched = fetch(cbs_bodies(observation(0, 10)), CBS_VERSION)
    assert load.stage(landing, raw, CBS, CBS_SLICE, fetched, transport="live").rows_loaded == 1


def test_commit_moves_the_load_and_writes_the_marker(landing: Landing, stage_cbs: StageCbs) -> None:
    staged = stage_cbs()
    manifest = landing.commit(staged.load_id, CBS)
    assert manifest == replace(staged, rows_changed=1)
    assert files(landing.folder(manifest)) == parquet(COMMITTED_TABLES) | {MARKER}
    assert not (landing.root / ".staging" / "loads" / manifest.load_id).exists()
    assert list(landing.committed()) == [manifest]
    marker = json.loads((landing.folder(manifest) / MARKER).read_text("utf-8"))
    assert LoadManifest(**marker) == manifest


def test_commit_writes_the_marker_last(landing: Landing, stage_cbs: StageCbs, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = stage_cbs()
    seen: list[set[str]] = []
    real = write_atomically

    def watch(path: Path, text: str) -> None:
        seen.append(files(path.parent))
        real(path, text)

    monkeypatch.setattr(landing_module, "write_atomically", watch)
    landing.commit(manifest.load_id, CBS)
    assert seen == [parquet(COMMITTED_TABLES)]


def test_commit_next_load_recovers_from_a_crash_between_rename_and_marker(
    landing: Landing, stage_cbs: StageCbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = stage_cbs()

    def crash(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(landing_module, "write_atomically", crash)
        with pytest.raises(KeyboardInterrupt):
            landing.commit(manifest.load_id, CBS)
    assert landing.folder(manifest).exists()
    assert list(landing.committed()) == []

    committed = landing.commit(stage_cbs().load_id, CBS)
    assert committed == replace(manifest, rows_changed=1)
    assert list(landing.committed()) == [committed]
    assert rows(landing.folder(manifest), "changes") != []


def test_commit_retry_recovers_from_a_crash_before_the_marker(
    landing: Landing, stage_cbs: StageCbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = stage_cbs()

    def crash(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(landing_module, "write_atomically", crash)
        with pytest.raises(KeyboardInterrupt):
            landing.commit(manifest.load_id, CBS)
    # Airflow repeats the killed task, not the task before it.
    committed = landing.commit(manifest.load_id, CBS)
    assert committed == replace(manifest, rows_changed=1)
    assert list(landing.committed()) == [committed]


def test_commit_repeated_after_it_finished_changes_nothing(landing: Landing, stage_cbs: StageCbs) -> None:
    manifest = stage_cbs()
    committed = landing.commit(manifest.load_id, CBS)
    assert landing.commit(manifest.load_id, CBS) == committed


def test_commit_crash_before_rename_leaves_no_visible_load(
    landing: Landing, stage_cbs: StageCbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = stage_cbs()

    def crash(descriptor: int) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="disk full"):
            landing.commit(manifest.load_id, CBS)
    assert list(landing.committed()) == []
    assert landing.commit(manifest.load_id, CBS) == replace(manifest, rows_changed=1)


def test_commit_same_load_staged_twice_keeps_the_first_bytes(landing: Landing, stage_cbs: StageCbs) -> None:
    first = landing.commit(stage_cbs().load_id, CBS)
    before = tree_hash(landing.folder(first)), (landing.folder(first) / MARKER).stat().st_mtime_ns
    again = landing.commit(stage_cbs().load_id, CBS)
    assert again == first
    assert (tree_hash(landing.folder(first)), (landing.folder(first) / MARKER).stat().st_mtime_ns) == before
    assert list((landing.root / ".staging" / "loads").iterdir()) == []


def test_committed_loads_come_oldest_vintage_first(landing: Landing, stage_cbs: StageCbs) -> None:
    landing.ensure_schema(CBS)
    stamps = ["2026-05-01T04:30:00Z", "2026-06-01T04:30:00Z", "2026-07-02T04:30:00Z"]
    for value, stamp in enumerate(stamps):
        landing.commit(stage_cbs(value, OfficeVersion(stamp, stamp)).load_id, CBS)
    assert [manifest.vintage_at for manifest in landing.committed()] == stamps
    assert [manifest.vintage_at for manifest in landing.committed(CBS.code)] == stamps
    assert list(landing.committed(EUROSTAT.code)) == []


NEXT_VERSION = OfficeVersion("202608030630", "2026-08-03T04:30:00Z")


def committed_ids(landing: Landing) -> list[str]:
    return [load.load_id for load in landing.committed()]


def test_withdrawn_load_is_hidden_and_kept_unchanged(landing: Landing, stage_cbs: StageCbs) -> None:
    first, second = (landing.commit(stage_cbs(*arguments).load_id, CBS) for arguments in ((10,), (99, NEXT_VERSION)))
    before = tree_hash(landing.folder(second))
    landing.withdraw(second.load_id, reason="ten times too high", withdrawn_at="2026-08-04T08:00:00Z")
    assert committed_ids(landing) == [first.load_id]
    (withdrawal,) = landing.withdrawn(CBS.code)
    assert (withdrawal.load, withdrawal.reason) == (second, "ten times too high")
    assert landing.withdrawn("another") == []
    kept = landing.root / ".withdrawn" / "loads" / second.load_id
    assert tree_hash(kept) == before
    # Readers search two levels below the landing area.
    assert [path.parent.name for path in landing.root.glob("*/*/load.json")] == [first.load_id]
    landing.tidy(CBS.code)
    assert tree_hash(kept) == before
    landing.reinstate(second.load_id)
    assert committed_ids(landing) == [first.load_id, second.load_id]
    assert tree_hash(landing.folder(second)) == before
    assert landing.withdrawn() == []


def test_load_after_a_withdrawal_is_compared_with_the_load_before_it(landing: Landing, stage_cbs: StageCbs) -> None:
    landing.commit(stage_cbs(10).load_id, CBS)
    wrong = landing.commit(stage_cbs(99, NEXT_VERSION).load_id, CBS)
    landing.withdraw(wrong.load_id, reason="wrong", withdrawn_at="2026-08-04T08:00:00Z")
    corrected = OfficeVersion("202608050630", "2026-08-05T04:30:00Z")
    same_as_first = landing.commit(stage_cbs(10, corrected).load_id, CBS)
    assert (same_as_first.rows_changed, same_as_first.rows_withdrawn) == (0, 0)
    with pytest.raises(BadReplyError, match="is loaded already"):
        landing.reinstate(wrong.load_id)
    assert [withdrawal.load.load_id for withdrawal in landing.withdrawn()] == [wrong.load_id]


def test_load_with_newer_loads_cannot_be_withdrawn(landing: Landing, stage_cbs: StageCbs) -> None:
    first, second = (landing.commit(stage_cbs(*arguments).load_id, CBS) for arguments in ((10,), (11, NEXT_VERSION)))
    with pytest.raises(ExtractError, match="withdraw the newest load first") as caught:
        landing.withdraw(first.load_id, reason="wrong", withdrawn_at="2026-08-04T08:00:00Z")
    assert second.load_id in str(caught.value)
    assert committed_ids(landing) == [first.load_id, second.load_id]


def test_withdrawn_load_is_not_reinstated_automatically(landing: Landing, stage_cbs: StageCbs) -> None:
    load_id = landing.commit(stage_cbs(99).load_id, CBS).load_id
    landing.withdraw(load_id, reason="wrong", withdrawn_at="2026-08-04T08:00:00Z")
    assert stage_cbs(99).load_id == load_id
    with pytest.raises(ExtractError, match=f"reinstate {load_id}"):
        landing.commit(load_id, CBS)
    assert committed_ids(landing) == []


@pytest.mark.parametrize("act", ["withdraw", "reinstate"])
def test_unknown_load_is_named(landing: Landing, act: str) -> None:
    arguments = {"reason": "wrong", "withdrawn_at": "2026-08-04T08:00:00Z"} if act == "withdraw" else {}
    with pytest.raises(ExtractError, match="cbs_85429ned__nl__nothing"):
        getattr(landing, act)("cbs_85429ned__nl__nothing", **arguments)


def test_make_load_id_same_replies_give_the_same_id(fetch: Fetch) -> None:
    bodies = cbs_bodies(observation(0, 10))
    first, second = fetch(bodies, CBS_VERSION), fetch(bodies, CBS_VERSION)
    later = replace(
        second, payloads=tuple(replace(p, request_id="other", retrieved_at="2030") for p in second.payloads)
    )
    ids = {load.make_load_id(CBS, CBS_SLICE, fetched) for fetched in (first, second, later)}
    assert len(ids) == 1
    assert ids.pop().startswith("cbs_85429ned__nl__20260702T0430__")


def test_make_load_id_any_difference_gives_another_id(fetch: Fetch) -> None:
    fetched = fetch(cbs_bodies(observation(0, 10)), CBS_VERSION)
    other_bytes = fetch(cbs_bodies(observation(0, 11)), CBS_VERSION)
    other_version = replace(fetched, version=OfficeVersion("202607020631", CBS_VERSION.vintage_at))
    reordered = replace(fetched, payloads=fetched.payloads[::-1])
    ids = {
        load.make_load_id(CBS, CBS_SLICE, fetched),
        load.make_load_id(CBS, CBS_SLICE, other_bytes),
        load.make_load_id(CBS, CBS_SLICE, other_version),
        load.make_load_id(CBS, CBS_SLICE, reordered),
        load.make_load_id(CBS, replace(CBS_SLICE, last_month="2026-04"), fetched),
        load.make_load_id(CBS, replace(CBS_SLICE, partners=("L008592",)), fetched),
    }
    assert len(ids) == 6


def stage_hashes(
    folder: Path, raw: RawStore, dataset: Dataset, part: Slice, fetched: Fetched, times: int
) -> list[dict[str, str]]:
    hashes = []
    for number in range(times):
        target = Landing(folder / str(number))
        manifest = load.stage(target, raw, dataset, part, fetched, transport="live")
        hashes.append(tree_hash(target.staged(manifest.load_id)[0]))
    assert set(hashes[0]) - parquet({"rejected_cells"}) == parquet(STAGED_TABLES | {"state"})
    return hashes


def test_stage_cbs_page_twice_gives_byte_identical_parquet(raw: RawStore, fetch: Fetch, tmp_path: Path) -> None:
    values: list[Any] = [number if number % 50 else f"text {number}" for number in range(5000)]
    fetched = fetch(cbs_bodies(*(observation(n, value) for n, value in enumerate(values))), CBS_VERSION)
    first, second = stage_hashes(tmp_path, raw, CBS, CBS_SLICE, fetched, times=2)
    assert first == second


def test_stage_eurostat_file_twice_gives_byte_identical_parquet(raw: RawStore, fetch: Fetch, tmp_path: Path) -> None:
    lines = [line("US", "72", str(n) if n % 40 else "c") for n in range(4000)]
    fetched = fetch([("observations", eurostat_body(*lines))], EUROSTAT_VERSION)
    first, second = stage_hashes(tmp_path, raw, EUROSTAT, EUROSTAT_SLICE, fetched, times=2)
    assert first == second


def test_stage_cbs_many_pages_again_gives_byte_identical_parquet(raw: RawStore, fetch: Fetch, tmp_path: Path) -> None:
    pages = [
        ("observations", json.dumps({"value": [observation(page * 1000 + n, n) for n in range(1000)]}).encode())
        for page in range(8)
    ]
    fetched = fetch([*cbs_bodies()[:2], *pages], CBS_VERSION)
    hashes = stage_hashes(tmp_path, raw, CBS, CBS_SLICE, fetched, times=8)
    assert all(other == hashes[0] for other in hashes)


def test_stage_eurostat_many_files_again_gives_byte_identical_parquet(
    raw: RawStore, fetch: Fetch, tmp_path: Path
) -> None:
    months = [f"2025-{month:02d}" for month in range(1, 9)]
    bodies = [
        ("observations", eurostat_body(*(line("US", "72", str(n), month) for n in range(1500)), f"malformed,{month}"))
        for month in months
    ]
    fetched = fetch(bodies, EUROSTAT_VERSION)
    hashes = stage_hashes(tmp_path, raw, EUROSTAT, EUROSTAT_SLICE, fetched, times=8)
    assert all(other == hashes[0] for other in hashes)


def test_stage_coverage_of_an_open_slice_reaches_the_newest_month(landing: Landing, stage_cbs: StageCbs) -> None:
    folder, _ = landing.staged(stage_cbs().load_id)
    ((reporter, product, first, last, all_partners, panel),) = rows(folder, "coverage")
    assert (reporter, product, str(first), str(last)) == ("NL", "*", "2015-01-01", "2026-04-01")
    assert (all_partners, panel) == (True, "*")


def test_stage_coverage_of_an_open_slice_reaches_a_withdrawn_month(
    landing: Landing, raw: RawStore, fetch: Fetch, stage_cbs: StageCbs
) -> None:
    landing.commit(stage_cbs().load_id, CBS)
    older = cbs_bodies(observation(0, 10, period="2026MM03"))
    version = OfficeVersion("202608010630", "2026-08-01T04:30:00Z")
    manifest = load.stage(landing, raw, CBS, CBS_SLICE, fetch(older, version), transport="live")
    folder, _ = landing.staged(manifest.load_id)
    assert str(rows(folder, "coverage")[0][3]) == "2026-04-01"
    loads = landing.of_panel(CBS.code, "*")
    assert write_state(CBS, loads, folder / "coverage.parquet", folder / "before.parquet") == 1


def test_stage_non_numeric_value_leaves_the_cell_unchanged(
    landing: Landing, raw: RawStore, fetch: Fetch, stage_cbs: StageCbs
) -> None:
    landing.commit(stage_cbs().load_id, CBS)
    bodies = cbs_bodies(observation(0, "n/a"), observation(1, 12, period="2026MM03"))
    version = OfficeVersion("202608010630", "2026-08-01T04:30:00Z")
    manifest = load.stage(landing, raw, CBS, CBS_SLICE, fetch(bodies, version), transport="live")
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (2, 1, 1)
    manifest = landing.commit(manifest.load_id, CBS)
    assert (manifest.rows_changed, manifest.rows_withdrawn) == (1, 0)
    assert files(landing.folder(manifest)) == parquet(COMMITTED_TABLES) | {MARKER}


def test_stage_coverage_of_a_closed_slice_matches_the_request(landing: Landing, raw: RawStore, fetch: Fetch) -> None:
    part = replace(EUROSTAT_SLICE, partners=("US", "WORLD"))
    fetched = fetch([("observations", eurostat_body(line("US", "72", "5")))], EUROSTAT_VERSION)
    folder, _ = landing.staged(load.stage(landing, raw, EUROSTAT, part, fetched, transport="live").load_id)
    assert [(row[1], str(row[2]), str(row[3]), row[4]) for row in rows(folder, "coverage")] == [
        ("72", "2025-01-01", "2025-02-01", False),
        ("76", "2025-01-01", "2025-02-01", False),
    ]


def test_slice_survives_a_manifest_round_trip() -> None:
    part = replace(EUROSTAT_SLICE, partners=("US",), recorded_urls=("https://x.example",))
    assert Slice.from_dict(json.loads(json.dumps(part.to_dict()))) == part


def test_fetched_survives_a_json_round_trip(fetch: Fetch) -> None:
    fetched = fetch(cbs_bodies(observation(0, 10)), CBS_VERSION)
    assert Fetched.from_dict(json.loads(json.dumps(fetched.to_dict()))) == fetched


@pytest.mark.parametrize("code", load_registry())
def test_landing_columns_of_every_dataset_start_with_the_load_id(code: str) -> None:
    tables = landing_tables(get_dataset(code))
    assert set(tables) == COMMITTED_TABLES
    assert all(next(iter(columns)) == "load_id" for columns in tables.values())
    assert list(tables["changes"])[:3] == ["load_id", "request_no", "change_kind"]
