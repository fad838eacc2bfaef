"""Public Eurostat clients read the simulator unmodified: only the host of their requests differs."""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from simulator.server import run_simulator

eurostat = pytest.importorskip("eurostat")
sdmx = pytest.importorskip("sdmx")

REAL_HOST = "https://ec.europa.eu"
MAIN = "/eurostat/api/dissemination"
COMEXT = "/eurostat/api/comext/dissemination"

pytestmark = [pytest.mark.enable_socket, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

# Dataset, root of its host, filter by dimension, first period.
CASES = [
    ("STS_INPR_M", MAIN, {"nace_r2": "C24+C25", "s_adj": "SCA", "unit": "I21", "geo": "NL+IE"}, "2026-05"),
    ("ERT_BIL_EUR_M", MAIN, {"statinfo": "AVG", "currency": "USD+GBP+BGN"}, "2025-11"),
    ("EXT_TEC01", MAIN, {"stk_flow": "EXP", "nace_r2": "C24", "sizeclas": "TOTAL+GE250", "geo": "NL+MT"}, "2021"),
    (
        "DS-045409",
        COMEXT,
        {
            "freq": "M",
            "reporter": "NL",
            "partner": "US+WORLD",
            "product": "72+7204",
            "flow": "2",
            "indicators": "VALUE_IN_EUROS+QUANTITY_IN_100KG",
        },
        "2026-05",
    ),
]
IDS = [case[0] for case in CASES]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with run_simulator() as base_url:
        yield base_url


@pytest.fixture
def redirected(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Redirect requests for the real host to the simulator, and fail on any other."""
    send = requests.Session.send

    def send_to_simulator(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        assert request.url is not None
        request.url = request.url.replace(REAL_HOST, server)
        assert request.url.startswith(server), request.url
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", send_to_simulator)
    return server


def names_of(server: str, root: str, code: str) -> list[str]:
    text = requests.get(f"{server}{root}/sdmx/2.1/datastructure/ESTAT/{code}", timeout=30).text
    return [part.split('"')[0] for part in text.split('<s:Dimension id="')[1:]]


def read_csv(server: str, root: str, code: str, asked: dict[str, str], start: str) -> dict[tuple[str, ...], float]:
    """Return cells of the simulator's SDMX-CSV by key and period; NaN for a confidential cell."""
    names = names_of(server, root, code)
    key = ".".join(asked.get(name, "") for name in names)
    reply = requests.get(
        f"{server}{root}/sdmx/2.1/data/{code}/{key}",
        params={"format": "SDMX-CSV", "startPeriod": start},
        timeout=120,
    )
    rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
    assert rows
    return {tuple(row[name] for name in (*names, "TIME_PERIOD")): float(row["OBS_VALUE"] or "nan") for row in rows}


def is_same(left: dict[tuple[str, ...], float], right: dict[tuple[str, ...], float]) -> bool:
    return left.keys() == right.keys() and all(
        left[key] == right[key] or (math.isnan(left[key]) and math.isnan(right[key])) for key in left
    )


# -- eurostat (PyPI) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "root", "asked", "start"), CASES, ids=IDS)
def test_eurostat_reads_the_same_cells(
    redirected: str, code: str, root: str, asked: dict[str, str], start: str
) -> None:
    ours = read_csv(redirected, root, code, asked, start)
    filters = {name: text.split("+") for name, text in asked.items()}
    frame = eurostat.get_data_df(code, filter_pars={"startPeriod": start, **filters})
    names = names_of(redirected, root, code)
    # The client names the last dimension after the backslash of the header.
    frame.columns = [*names, *frame.columns[len(names) :]]
    long = frame.melt(id_vars=names, var_name="time", value_name="value")
    theirs = {
        tuple(str(row[name]) for name in (*names, "time")): float("nan" if row["value"] is None else row["value"])
        for row in long.to_dict("records")
    }
    # The client gives every series every period: unpublished cells are NaN there and absent in the CSV.
    assert {key for key, value in theirs.items() if not math.isnan(value)} == {
        key for key, value in ours.items() if not math.isnan(value)
    }
    assert is_same({key: theirs[key] for key in ours}, ours)


def test_eurostat_reads_flags(redirected: str) -> None:
    frame = eurostat.get_data_df(
        "sts_inpr_m",
        flags=True,
        filter_pars={"startPeriod": "2026-06", "nace_r2": "C24", "geo": ["NL", "IE"], "s_adj": "SCA", "unit": "I21"},
    )
    rows = {row[r"geo\TIME_PERIOD"]: row for row in frame.to_dict("records")}
    assert rows["NL"]["2026-06_value"] > 0
    assert (rows["NL"]["2026-06_flag"], rows["NL"]["2026-08_flag"]) == ("", "p")
    assert math.isnan(float(rows["IE"]["2026-08_value"] or "nan"))
    assert rows["IE"]["2026-08_flag"] == ": C"


def test_eurostat_reads_the_table_of_contents(redirected: str) -> None:
    main = eurostat.get_toc_df(agency="EUROSTAT").set_index("code")
    assert {"STS_INPR_M", "EXT_TEC01", "EXT_TEC03", "ERT_BIL_EUR_M", "EXT_ST_EU27_2020SITC"} <= set(main.index)
    assert main.loc["STS_INPR_M", "title"] == "Production in industry - monthly data"
    assert main.loc["STS_INPR_M", "last update of data"] == "2026-10-15T11:00:00+0200"
    assert (main.loc["STS_INPR_M", "data start"], main.loc["STS_INPR_M", "data end"]) == ("2021-01", "2026-08")
    comext = eurostat.get_toc_df(agency="COMEXT").set_index("code")
    assert comext.loc["DS-045409", "title"] == "EU trade since 1988 by HS2-4-6 and CN8"
    one = eurostat.get_toc_df(agency=["EUROSTAT"], dataset="EXT_TEC03")
    assert list(one["code"]) == ["EXT_TEC03"]


def test_eurostat_reads_structures(redirected: str) -> None:
    assert eurostat.get_pars("sts_inpr_m") == ["freq", "indic_bt", "nace_r2", "s_adj", "unit", "geo"]
    assert eurostat.get_pars("DS-045409")[-1] == "indicators"
    assert {"C24", "C25", "C28"} <= set(eurostat.get_par_values("sts_inpr_m", "nace_r2"))
    assert eurostat.get_par_values("DS-045409", "flow") == ["1", "2"]
    names = eurostat.get_dic("sts_inpr_m")
    assert ("s_adj", "Seasonal adjustment", None) in names
    labels = eurostat.get_dic("sts_inpr_m", "nace_r2", full=False, frmt="dict")
    assert labels["C24"] == "Manufacture of basic metals"
    assert set(labels) == set(eurostat.get_par_values("sts_inpr_m", "nace_r2"))


def test_eurostat_polls_an_asynchronous_job(redirected: str) -> None:
    filters = {"startPeriod": "2024-01", "endPeriod": "2024-12", "freq": "M", "reporter": "NL", "flow": "2"}
    frame = eurostat.get_data_df("DS-045409", filter_pars=filters)
    assert list(frame.columns[-12:]) == [f"2024-{month:02}" for month in range(1, 13)]
    assert len(frame) > 10_000


# -- sdmx1 ------------------------------------------------------------------------------------------------


def client_of(root: str) -> Any:
    return sdmx.Client("ESTAT" if root == MAIN else "ESTAT_COMEXT")


@pytest.mark.parametrize(("code", "root", "asked", "start"), CASES, ids=IDS)
def test_sdmx1_reads_the_same_cells(redirected: str, code: str, root: str, asked: dict[str, str], start: str) -> None:
    ours = read_csv(redirected, root, code, asked, start)
    message = client_of(root).data(code, key=asked, params={"startPeriod": start})
    series = sdmx.to_pandas(message)
    names = [*names_of(redirected, root, code), "TIME_PERIOD"]
    theirs = {tuple(str(part) for part in key): float(value) for key, value in series.reorder_levels(names).items()}
    assert is_same(theirs, ours)


def test_sdmx1_reads_the_structure_specific_format(redirected: str) -> None:
    client = client_of(MAIN)
    structure = client.datastructure("STS_INPR_M").structure["STS_INPR_M"]
    options = {"startPeriod": "2026-06"}
    key = "M.PRD.C24.SCA.I21.IE+NL"
    generic = sdmx.to_pandas(client.data("STS_INPR_M", key=key, params=options))
    # The client cannot request a format, but it can read the file.
    body = requests.get(
        f"{redirected}{MAIN}/sdmx/2.1/data/STS_INPR_M/{key}",
        params={**options, "format": "SDMX_2.1_STRUCTURED"},
        timeout=30,
    ).content
    specific = sdmx.to_pandas(sdmx.read_sdmx(io.BytesIO(body), structure=structure))
    assert len(specific) == 6
    assert specific.sort_index().equals(generic.reorder_levels(specific.index.names).sort_index())


def test_sdmx1_reads_attributes(redirected: str) -> None:
    message = client_of(MAIN).data("STS_INPR_M", key="M.PRD.C24.SCA.I21.IE+NL", params={"startPeriod": "2026-06"})
    frame = sdmx.to_pandas(message, attributes="o").reset_index()
    flags = {
        (row["geo"], row["TIME_PERIOD"]): (row["OBS_FLAG"], row["CONF_STATUS"]) for row in frame.to_dict("records")
    }
    assert flags["IE", "2026-06"] == ("", "C")
    assert flags["NL", "2026-08"] == ("p", "")


@pytest.mark.parametrize(("code", "root"), [("STS_INPR_M", MAIN), ("EXT_TEC03", MAIN), ("DS-045409", COMEXT)])
def test_sdmx1_reads_structures(redirected: str, code: str, root: str) -> None:
    client = client_of(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        flows = client.dataflow(code)
        structures = client.datastructure(code)
    assert code in flows.dataflow
    names = [dimension.id for dimension in structures.structure[code].dimensions]
    assert names == [*names_of(redirected, root, code), "TIME_PERIOD"]
    codelist = "GEO" if root == MAIN else "CXT_FREE_ISO"
    assert "NL" in structures.codelist[codelist]


def test_sdmx1_fetches_the_file_of_the_retired_footer(redirected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host retired this format in 2023, but the client still supports it."""
    fault = {"match": "/data/ERT_BIL_EUR_M", "kind": "async_footer", "times": 1}
    requests.post(f"{redirected}/_simulator/faults", json=fault, timeout=10)
    # The client waits half a minute before it requests the file.
    monkeypatch.setattr("sdmx.source.estat.sleep", lambda seconds: None)
    message = client_of(MAIN).data("ERT_BIL_EUR_M", key="M.AVG.NAC.USD", params={"startPeriod": "2026-05"})
    assert len(sdmx.to_pandas(message)) == 4
