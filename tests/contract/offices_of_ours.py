"""Small fake offices: one complete set of replies per protocol, for tests to modify."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from extract.dataset import Dataset
from extract.offices import OFFICES
from extract.offices.cbs.selection import observation_filter
from extract.offices.comext import bulk as comext_bulk
from extract.offices.eurostat.requests import data_urls
from extract.registry import get_dataset
from extract.slices import Slice
from tests.contract.loading import Answer, CountingAdapter, as_json, seven_zip

Answers = dict[str, list[Answer]]

# --- CBS ----------------------------------------------------------------------------------------------------------

CBS = replace(get_dataset("cbs_85429ned"), bulk=False, fallback="")
CBS_ZIP = replace(CBS, bulk=True)
CBS_PART = Slice(CBS.code, "NL", CBS.first_period)
CBS_HOSTS = OFFICES["cbs"].hosts()
CBS_TABLE = f"{CBS_HOSTS['v4']}/85429NED"
CBS_ZIP_URL = f"{CBS_HOSTS['bulk']}/85429NED"
CBS_OBSERVATIONS = f"{CBS_TABLE}/Observations?$filter={observation_filter(CBS, CBS_PART)}"
CBS_COUNT = CBS_OBSERVATIONS.replace("/Observations", "/Observations/$count")
CBS_VERSION = "202607020630"


def cbs_row(number: int, partner: str = "L008778", value: Any = 5, **others: Any) -> dict[str, Any]:
    return {
        "Id": number,
        "Measure": CBS.measure_codes[number % 4],
        "ValueAttribute": "None",
        "Value": value,
        "StringValue": None,
        "Landen": partner,
        "SITC": "A018678",
        "Perioden": "2026MM04",
        **others,
    }


def cbs_metadata(version: str = CBS_VERSION, units: dict[str, str] | None = None, count: int = 0) -> Answers:
    measures = [
        {"Identifier": m.code, "Unit": (units or {}).get(m.code, m.unit), "Index": m.index} for m in CBS.measures
    ]
    return {
        f"{CBS_TABLE}/Properties": [as_json(Version=version, ObservationCount=count, Title=CBS.title_nl)],
        f"{CBS_TABLE}/Dimensions": [as_json(value=[{"Identifier": name} for name in CBS.dimensions])],
        f"{CBS_TABLE}/MeasureCodes": [as_json(value=measures)],
        **{f"{CBS_TABLE}/{name}Codes": [as_json(value=[])] for name in CBS.dimensions},
    }


def cbs_office(rows: list[dict[str, Any]], **metadata: Any) -> Answers:
    return {
        **cbs_metadata(**metadata),
        CBS_OBSERVATIONS: [as_json(value=rows)],
        CBS_COUNT: [str(len(rows)).encode()],
    }


def as_text(value: Any) -> str:
    return "" if value is None else str(value).replace(".", ",")


def cbs_csv(rows: list[dict[str, Any]], delimiter: str = ";") -> bytes:
    """Write observations in the format of the bulk file: decimal comma, the value after the dimensions."""
    order = ("Id", "Measure", *CBS.dimensions, "Value", "StringValue", "ValueAttribute")
    names = [*order, *(name for name in rows[0] if name not in order)] if rows else list(order)
    names = [name for name in names if not rows or name in rows[0]]
    lines = [delimiter.join(names), *(delimiter.join(as_text(row[name]) for name in names) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def cbs_zip_office(members: dict[str, bytes], count: int, **metadata: Any) -> Answers:
    return {**cbs_metadata(count=count, **metadata), CBS_ZIP_URL: [zipped(members)]}


# --- Eurostat, SDMX -----------------------------------------------------------------------------------------------

SDMX = get_dataset("eurostat_ds_045409")
SDMX_PART = Slice(SDMX.code, "NL", "2025-01", "2025-02", products=("72", "76"))
COMEXT = OFFICES["eurostat"].hosts()["comext"]
MAIN = OFFICES["eurostat"].hosts()["main"]
LISTING = f"{COMEXT}/sdmx/2.1/dataflow/ESTAT"
CONSTRAINT = f"{COMEXT}/sdmx/2.1/contentconstraint/ESTAT/DS-045409"
STAMP = "15/09/26 11:00:00"
HEADER = "DATAFLOW,LAST UPDATE,freq,reporter,partner,product,flow,indicators,TIME_PERIOD,OBS_VALUE"
OFFERED: dict[str, tuple[str, ...]] = {
    "freq": ("A", "M"),
    "reporter": ("NL", "DE"),
    "partner": ("US", "DE", "FR", "WORLD"),
    "product": ("72", "76", "TOTAL"),
    "flow": ("1", "2"),
    "indicators": ("VALUE_IN_EUROS", "QUANTITY_IN_100KG", "SUPPLEMENTARY_QUANTITY"),
}


def sdmx_line(
    partner: str = "US",
    value: str = "5",
    *,
    product: str = "72",
    month: str = "2025-01",
    measure: str = "VALUE_IN_EUROS",
    stamp: str = STAMP,
) -> str:
    return f"ESTAT:DS-045409(1.0),{stamp},M,NL,{partner},{product},2,{measure},{month},{value}"


def sdmx_body(*lines: str, header: str = HEADER) -> bytes:
    return "".join(f"{line}\r\n" for line in (header, *lines)).encode()


def listing(stamp: str = "2026-09-15T11:00:00+0200", structure: str = "2026-09-11T11:00:00+0200") -> bytes:
    annotations = "".join(
        f"<c:Annotation><c:AnnotationTitle>{text}</c:AnnotationTitle><c:AnnotationType>{kind}</c:AnnotationType>"
        "</c:Annotation>"
        for kind, text in (("UPDATE_DATA", stamp), ("UPDATE_STRUCTURE", structure))
    )
    return (
        '<m:Structure xmlns:m="m" xmlns:s="s" xmlns:c="c"><s:Dataflow id="DS-045409"><c:Annotations>'
        f"{annotations}</c:Annotations></s:Dataflow></m:Structure>"
    ).encode()


def constraint(offered: Mapping[str, tuple[str, ...]] | None = None) -> bytes:
    axes = "".join(
        f'<c:KeyValue id="{name}">{"".join(f"<c:Value>{code}</c:Value>" for code in values)}</c:KeyValue>'
        for name, values in (OFFERED if offered is None else offered).items()
    )
    return f'<m:Structure xmlns:m="m" xmlns:c="c">{axes}</m:Structure>'.encode()


def sdmx_urls(part: Slice = SDMX_PART, offered: Mapping[str, tuple[str, ...]] | None = None) -> list[str]:
    codes = {name: frozenset(values) for name, values in (OFFERED if offered is None else offered).items()}
    return data_urls(COMEXT, SDMX, part, codes, "2026-09")[0]


def sdmx_office(
    *bodies: Answer, part: Slice = SDMX_PART, offered: Mapping[str, tuple[str, ...]] | None = None
) -> Answers:
    urls = sdmx_urls(part, offered)
    assert len(urls) == len(bodies)
    return {
        LISTING: [listing()],
        CONSTRAINT: [constraint(offered)],
        **{url: [body] for url, body in zip(urls, bodies, strict=True)},
    }


# --- Eurostat, main host ------------------------------------------------------------------------------------------

TEC = get_dataset("eurostat_ext_tec01")
TEC_PART = Slice(TEC.code, "NL", "2022-01", "2023-12")
TEC_HEADER = "DATAFLOW,LAST UPDATE,freq,stk_flow,nace_r2,sizeclas,partner,unit,geo,TIME_PERIOD,OBS_VALUE"
TEC_OFFERED: dict[str, tuple[str, ...]] = {"sizeclas": ("TOTAL", "LT10"), "geo": ("NL",)}
TEC_VERSION_QUERY = "freq=A&stk_flow=EXP&nace_r2=C24&partner=INT_EU&unit=THS_EUR&geo=NL"


def tec_line(value: str = "5", flags: str = ",,", *, partner: str = "WORLD", period: str = "2022") -> str:
    return f"ESTAT:EXT_TEC01(1.0),{STAMP},A,EXP,C24,TOTAL,{partner},THS_EUR,NL,{period},{value}{flags}"


def tec_office(body: Answer) -> Answers:
    codes = {name: frozenset(values) for name, values in TEC_OFFERED.items()}
    (url,), _ = data_urls(MAIN, TEC, TEC_PART, codes, "2026-09")
    version = f"{MAIN}/statistics/1.0/data/ext_tec01?format=JSON&lang=EN&{TEC_VERSION_QUERY}&lastTimePeriod=1"
    stamped = as_json(
        updated="2026-09-15T11:00:00+0200",
        id=[],
        size=[],
        dimension={},
        value={},
        extension={"annotation": [{"type": "UPDATE_STRUCTURE", "date": "2026-01-01T11:00:00+0100"}]},
    )
    return {
        version: [stamped],
        f"{MAIN}/sdmx/2.1/contentconstraint/ESTAT/ext_tec01": [constraint(TEC_OFFERED)],
        url: [body],
    }


# --- Comext's bulk files ------------------------------------------------------------------------------------------

BULK = get_dataset("eurostat_comext_bulk")
BULK_PART = Slice(BULK.code, "*", "2024-02", "2024-02")
# The header and two rows observed in a current file.
BULK_HEADER = (
    "REPORTER,PARTNER,TRADE_TYPE,PRODUCT_NC,PRODUCT_SITC,PRODUCT_CPA21,PRODUCT_CPA22,PRODUCT_BEC,PRODUCT_BEC5,"
    "PRODUCT_SECTION,FLOW,STAT_PROCEDURE,SUPPL_UNIT,PERIOD,VALUE_EUR,VALUE_NAC,QUANTITY_KG,QUANTITY_SUPPL_UNIT"
)
BULK_ROWS = (
    "AT,AD,E,35069190,59229,2052,2059,220,311210,06,2,1,NO_SU,202402,65,65,3,0",
    "AT,AD,E,39XXXXXX,582XX,XXXX,XXXX,700,31XXXX,07,2,1,NO_SU,202402,89,89,0,0",
)


def bulk_body(*rows: str, header: str = BULK_HEADER) -> bytes:
    return "".join(f"{line}\n" for line in (header, *rows)).encode()


@dataclass(frozen=True)
class BulkOffice:
    """URLs of the listing and of a month's archive, and all replies."""

    listing: str
    file: str
    answers: Answers


def bulk_office(folder: Path, content: bytes | dict[str, bytes], modified: str = "2024-04-16T11:00:00") -> BulkOffice:
    members = {"full_202402.dat": content} if isinstance(content, bytes) else content
    archive = seven_zip(folder / "full_v2_202402.7z", members).read_bytes()
    return bulk_office_of(archive, modified)


def bulk_office_of(archive: bytes, modified: str = "2024-04-16T11:00:00") -> BulkOffice:
    url = (
        f"{MAIN}/files?format=csv&dir={quote(comext_bulk.FOLDER, safe='')}&hierarchy=false&sizeFormat=NONE"
        "&dateFormat=ISO"
    )
    file = f"{MAIN}/files?file={quote(comext_bulk.FOLDER + '/full_v2_202402.7z', safe='')}"
    return BulkOffice(url, file, {url: [bulk_listing(len(archive), modified)], file: [archive]})


def bulk_listing(size: int, modified: str) -> bytes:
    return (
        "NAME,TYPE,SIZE,MODIFIED\r\n"
        f"full_v2_202402.7z,FILE,{size},{modified}\r\n"
        "full_v2_202352.7z,FILE,9,2024-04-16T11:00:00\r\n"
        "tariff202402.7z,FILE,9,2024-04-16T11:00:00\r\n"
    ).encode()


def adapter(answers: Answers) -> CountingAdapter:
    return CountingAdapter(answers)


def with_contract(dataset: Dataset, **rules: Any) -> Dataset:
    """Return the dataset with some rules of its contract changed."""
    return replace(dataset, contract=replace(dataset.contract, **rules))
