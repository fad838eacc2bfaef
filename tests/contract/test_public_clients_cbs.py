"""The public CBS clients read the simulator unmodified: ``cbsodata`` over v3 and ``cbsodata4`` over v4.

Only the transport is redirected: a request for a CBS host goes to the simulator with the real host name in its ``Host``
header. The links in the replies therefore point to the real host, and are redirected in turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import cbsodata
import cbsodata4
import httpx
import pandas as pd
import pytest
import requests
from cbsodata4 import datasets as cbsodata4_datasets
from cbsodata4 import httpx_client as cbsodata4_http

from simulator.cbs import TABLES
from simulator.server import Simulator, run_simulator

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    # Small pages force the clients to follow links.
    simulator = Simulator(page_size=1000)
    simulator.cbs.v3.page_size = 500
    # cbsodata4 times out after five seconds; the first catalogue request counts the observations of all tables.
    simulator.answer("/odata/v1/Datasets")
    return simulator


@pytest.fixture(scope="module")
def server(simulator: Simulator) -> Iterator[str]:
    with run_simulator(simulator) as base_url:
        yield base_url


@pytest.fixture
def v3(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirect ``requests`` to the simulator."""
    send = requests.adapters.HTTPAdapter.send

    def redirected(self: Any, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        asked = urlsplit(str(request.url))
        assert asked.hostname == "opendata.cbs.nl"
        request.headers["Host"] = str(asked.hostname)
        request.url = urlunsplit(("http", urlsplit(server).netloc, asked.path, asked.query, ""))
        # The client sets no timeout.
        return send(self, request, *args, **{**options, "timeout": 60, "proxies": {}})

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirected)


@pytest.fixture
def v4(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Redirect ``httpx`` to the simulator."""
    handle = httpx.HTTPTransport.handle_request

    def redirected(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "datasets.cbs.nl"
        there = urlsplit(server)
        request.url = request.url.copy_with(scheme="http", host=there.hostname, port=there.port)
        return handle(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", redirected)
    cbsodata4_http.fetch_json.cache_clear()
    cbsodata4_datasets.get_datasets.cache_clear()
    yield
    cbsodata4_http.fetch_json.cache_clear()
    cbsodata4_datasets.get_datasets.cache_clear()


def own_rows(simulator: Simulator, path: str, condition: str = "") -> list[dict[str, Any]]:
    """Return all rows of a resource of the simulator, without HTTP."""
    rows: list[dict[str, Any]] = []
    query = "$format=json" if path.startswith("/OData") else ""
    if condition:
        query += f"&$filter={quote(condition)}"
    while path:
        content = json.loads(simulator.answer(path, query).body)
        rows += content["value"]
        link = content.get("odata.nextLink") or content.get("@odata.nextLink") or ""
        path, _, query = link.removeprefix("http://127.0.0.1").partition("?")
    return rows


# -- cbsodata ---------------------------------------------------------------------------------------------


def with_titles(simulator: Simulator, table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace keys by titles, as the client does."""
    for name in TABLES[table].dimension_names:
        titles = {r["Key"]: r["Title"] for r in own_rows(simulator, f"/ODataFeed/odata/{table}/{name}")}
        for row in rows:
            row[name] = titles[row[name]]
    return rows


@pytest.mark.usefixtures("v3")
@pytest.mark.parametrize(
    ("table", "condition"),
    [
        ("85770NED", ""),
        ("81234ned", ""),
        ("85427NED", "Landen eq 'L008778'"),
        ("85429NED", "substringof('JJ',Perioden) and SITC eq 'A018678'"),
        ("83926NED", "SITC eq 'T001082  ' and startswith(Landen,'L0087')"),
    ],
)
@pytest.mark.parametrize("typed", [True, False])
def test_cbsodata_reads_the_same_rows(simulator: Simulator, table: str, condition: str, typed: bool) -> None:
    found = cbsodata.get_data(table, typed=typed, filters=condition or None)
    # The client excludes the requested set from its list and reads the other one: typed=False returns numbers.
    resource = "UntypedDataSet" if typed else "TypedDataSet"
    ours = own_rows(simulator, f"/ODataFeed/odata/{table}/{resource}", condition)
    assert len(found) > 500
    assert found == with_titles(simulator, table, ours)


@pytest.mark.usefixtures("v3")
def test_cbsodata_selects_columns(simulator: Simulator) -> None:
    found = cbsodata.get_data("85770NED", select=["Perioden", "ProducentenprijsindexPPI_1"])
    assert {tuple(row) for row in found} == {("Perioden", "ProducentenprijsindexPPI_1")}
    assert len(found) == 4 * 5 * 74
    assert found[0]["Perioden"] == "2021 januari"


@pytest.mark.usefixtures("v3")
def test_cbsodata_reads_the_metadata(simulator: Simulator) -> None:
    for table in ("85427NED", "83926NED", "81234ned"):
        info = cbsodata.get_info(table)
        assert info["Identifier"] == table
        assert info["Title"] == TABLES[table].title
        for name in ("DataProperties", *TABLES[table].dimension_names):
            assert cbsodata.get_meta(table, name) == own_rows(simulator, f"/ODataFeed/odata/{table}/{name}")


@pytest.mark.usefixtures("v3")
def test_cbsodata_lists_the_tables() -> None:
    assert {record["Identifier"] for record in cbsodata.get_table_list()} == set(TABLES)
    found = cbsodata.get_table_list(select=["Identifier"], filters="substringof('land',Title) and Language eq 'nl'")
    assert {"Identifier": "85442NED"} in found
    assert all(set(record) == {"Identifier"} for record in found)


@pytest.mark.usefixtures("v3")
def test_cbsodata_raises_for_an_unknown_table() -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        cbsodata.get_info("99999NED")


# -- cbsodata4 --------------------------------------------------------------------------------------------


def same_cells(frame: pd.DataFrame, rows: list[dict[str, Any]]) -> bool:
    """Return True if a frame holds the same observations in the same order; missing numbers are NaN."""
    columns = [name for name in rows[0] if name != "Value"]
    keys = frame[columns].astype(object).where(frame[columns].notna(), None).to_dict(orient="records")
    values = [None if pd.isna(value) else value for value in frame["Value"]]
    return keys == [{name: row[name] for name in columns} for row in rows] and values == [r["Value"] for r in rows]


@pytest.mark.usefixtures("v4")
@pytest.mark.parametrize(
    ("table", "filters"),
    [
        ("85770NED", {}),
        ("81234ned", {}),
        ("85806NED", {}),
        ("85427NED", {"Landen": "L008778"}),
        ("85429NED", {"Landen": ["L008592", "L008778"], "SITC": "A018678"}),
        ("85683NED", {"Landen": "T001047"}),
    ],
)
def test_cbsodata4_reads_the_same_rows(
    simulator: Simulator, tmp_path: Path, table: str, filters: dict[str, Any]
) -> None:
    frame = cbsodata4.get_observations(table, download_dir=tmp_path / table, **filters)
    conditions = []
    for name, wanted in filters.items():
        keys = wanted if isinstance(wanted, list) else [wanted]
        conditions.append("(" + " or ".join(f"{name} eq '{key}'" for key in keys) + ")")
    ours = own_rows(simulator, f"/odata/v1/CBS/{table}/Observations", " and ".join(conditions))
    assert len(ours) > 1000
    assert same_cells(frame.sort_values("Id"), ours)


@pytest.mark.usefixtures("v4")
def test_cbsodata4_reads_the_metadata(simulator: Simulator) -> None:
    for table in ("85427NED", "81234ned", "85440NED", "83926NED"):
        meta = cbsodata4.get_metadata(table)
        assert meta.identifier == table
        assert meta.title == TABLES[table].title
        assert meta.dimension_identifiers == list(TABLES[table].dimension_names)
        assert meta.time_dimension_identifiers == ["Perioden"]
        assert meta.measurecode_mapping == {m.code: m.title for m in TABLES[table].measures}
        for name in TABLES[table].dimension_names:
            codes = own_rows(simulator, f"/odata/v1/CBS/{table}/{name}Codes")
            assert meta.get_dimension_mapping(name) == {code["Identifier"]: code["Title"] for code in codes}


@pytest.mark.usefixtures("v4")
def test_cbsodata4_lists_the_tables() -> None:
    found = cbsodata4.get_datasets()
    assert set(found["Identifier"]) == {*TABLES, "80590ned"}
    modified = found.set_index("Identifier")["Modified"]
    assert modified["85427NED"].isoformat() == "2026-10-02T06:30:00+02:00"
    assert [record["Identifier"] for record in cbsodata4.get_catalogs()["value"]] == ["CBS"]


@pytest.mark.usefixtures("v4")
def test_cbsodata4_builds_wide_data_with_labels_and_dates(tmp_path: Path) -> None:
    filters = {"AlleProdComCoderingen": "A014686", "Afzetgebieden": "A044076"}
    wide = cbsodata4.get_wide_data("85770NED", download_dir=tmp_path / "wide", **filters)
    assert len(wide) == 68 + 5
    assert {m.title for m in TABLES["85770NED"].measures} <= set(wide.columns)
    long = cbsodata4.get_observations("85770NED", download_dir=tmp_path / "long", **filters)
    dressed = cbsodata4.add_date_column(cbsodata4.add_unit_column(cbsodata4.add_label_columns(long)))
    assert set(dressed["AfzetgebiedenLabel"]) == {"Afzet buitenland"}
    assert set(dressed["Unit"]) == {"2021=100", "%"}
    assert set(dressed["Perioden_freq"]) == {"M", "Y"}


@pytest.mark.usefixtures("v4")
def test_cbsodata4_finds_no_observations_of_a_discontinued_table(tmp_path: Path) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        cbsodata4.get_observations("83926NED", download_dir=tmp_path / "old")
