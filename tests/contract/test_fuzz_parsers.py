"""Good replies, broken at random: each raises a complete domain error or yields correct rows.

A seed gives the same cases in the same order; ``FUZZ_SECONDS`` limits the time for all protocols together. A failure
names its case, and ``FUZZ_CASE`` runs that case alone.
"""

from __future__ import annotations

import gzip
import math
import os
import random
import re
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common.sql import sql_tuple
from extract.dataset import Dataset
from extract.errors import ExtractError
from extract.landing.layout import cell_key
from extract.offices import OFFICES
from extract.offices.cbs import examine as cbs_examine
from extract.offices.cbs.office import CbsOffice
from extract.offices.comext import bulk as comext_bulk
from extract.offices.eurostat import examine as eurostat_examine
from extract.offices.eurostat.formats import inspect_data
from extract.registry import get_dataset
from extract.replay import open_replay
from extract.slices import Slice
from tests.contract import test_comext_lists as lists
from tests.contract import test_formats as formats
from tests.contract import test_requests as asynchronous
from tests.contract.loading import Answer, CountingAdapter, Loader, Reply, as_json, seven_zip
from tests.contract.mutations import ADD_NO_ROWS, fitting
from tests.contract.offices_of_ours import (
    BULK,
    BULK_PART,
    BULK_ROWS,
    CBS,
    CBS_HOSTS,
    CBS_PART,
    CBS_ZIP,
    CBS_ZIP_URL,
    COMEXT,
    LISTING,
    MAIN,
    SDMX,
    SDMX_PART,
    TEC,
    TEC_HEADER,
    TEC_PART,
    Answers,
    bulk_body,
    bulk_office,
    cbs_csv,
    cbs_office,
    cbs_row,
    cbs_zip_office,
    listing,
    sdmx_body,
    sdmx_line,
    sdmx_office,
    sdmx_urls,
    tec_line,
    tec_office,
    zipped,
)
from tests.contract.test_specimens import BANKRUPTCIES, CAPITAL, CONSUMPTION, SERVICES, SPECIMENS, TRADE, v3_sets
from tests.unit import test_doctor as examinations

SEED = os.environ.get("FUZZ_SEED", "1")
SECONDS = float(os.environ.get("FUZZ_SECONDS", "10"))
CASE = os.environ.get("FUZZ_CASE", "")
# More failures than these add no information.
MOST_SHOWN = 20

Pack = Callable[[bytes], bytes]
Codes = dict[str, frozenset[str]]
Run = Callable[[Loader, CountingAdapter, Slice, Codes], Any]


@dataclass(frozen=True)
class Target:
    """A set of good replies, and the function that reads them.

    Attributes
    ----------
    packed : dict of str to (bytes, callable)
        Replies that are archives: their content, and the function that packs it.
    """

    dataset: Dataset
    part: Slice
    answers: Answers
    run: Run
    packed: dict[str, tuple[bytes, Pack]]


def load(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> list[Any]:
    """Load as a run does; return the landed rows, excluding those with codes reported as new."""
    if not part.recorded_urls:
        OFFICES[loader.dataset.office].probe(loader.session(adapter), loader.hosts, loader.dataset, part)
    manifest = loader.load(adapter, part, declared=codes)
    assert_sound(loader, manifest)
    reported = {subject for rule, subject, _ in loader.findings(manifest) if rule == "new_code"}
    known = [f"{column} in {sql_tuple(codes[column])}" for column in sorted(reported)]
    return loader.rows(manifest, "* exclude (load_id, request_no)", where=" and ".join(known) or "true")


def codes_of(dataset: Dataset, folder: Path) -> Codes:
    """Return the codes of the good rows, as the seeds would declare them."""
    columns = [column for column in cell_key(dataset) if column not in ("period", "masked_class")]
    (file,) = folder.rglob("observations.parquet")
    with duckdb.connect() as connection:
        lists = ", ".join(f"list(distinct {column})" for column in columns)
        found = connection.execute(f"select {lists} from read_parquet(?)", [str(file)]).fetchall()[0]
    return {column: frozenset(codes) for column, codes in zip(columns, found, strict=True)}


def assert_sound(loader: Loader, manifest: Any) -> None:
    """Assert that the landed rows have the types of every load, complete keys, declared measures and finite values."""
    dataset = loader.dataset
    keys = [*dataset.columns]
    assert loader.rows(manifest, "1", where=" or ".join(f"{column} is null" for column in keys)) == []
    if dataset.protocol != "comext_bulk":
        measures = {code for (code,) in loader.rows(manifest, "distinct measure")}
        assert measures <= {*dataset.measure_codes}, measures
        values = [value for (value,) in loader.rows(manifest, "value") if value is not None]
        assert all(math.isfinite(value) and abs(value) < dataset.value_limit for value in values)
    periods = {period for (period,) in loader.rows(manifest, "distinct period")}
    if dataset.period_pattern and dataset.protocol not in ("comext_bulk", "comext_list"):
        assert all(re.fullmatch(dataset.period_pattern, period) for period in periods), periods
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest.vintage_at), manifest.vintage_at


def target(
    dataset: Dataset, part: Slice, answers: Answers, run: Run = load, **packed: tuple[str, bytes, Pack]
) -> Callable[[Path], Target]:
    return lambda _: Target(dataset, part, answers, run, {url: (inner, pack) for url, inner, pack in packed.values()})


def recorded(dataset: Dataset) -> Callable[[Path], Target]:
    """Replay a recorded CBS capture."""

    def make(_: Path) -> Target:
        found = open_replay(SPECIMENS / "cbs" / dataset.identifier, dataset, ("NL",))
        answers: Answers = {url: [recording.body] for url, recording in found.adapter._recordings.items()}
        return Target(dataset, found.slices[0], answers, load, {})

    return make


def bulk(folder: Path) -> Target:
    """Serve the archive of a month."""
    folder.mkdir(parents=True, exist_ok=True)
    office = bulk_office(folder, bulk_body(*BULK_ROWS))

    def pack(content: bytes) -> bytes:
        return seven_zip(folder / "packed.7z", {"full_202402.dat": content}).read_bytes()

    return Target(BULK, BULK_PART, office.answers, load, {office.file: (bulk_body(*BULK_ROWS), pack)})


def lists_of(dataset: Dataset) -> Callable[[Path], Target]:
    body = lists.good(dataset)
    index, file = lists.urls(dataset)
    return target(dataset, lists.whole(dataset), {index: [lists.listing(dataset, len(body))], file: [body]})


def discover(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> Any:
    return OFFICES[loader.dataset.office].discover(loader.session(adapter), loader.hosts, ("goods",))


def calendar(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> Any:
    return CbsOffice().calendar(loader.session(adapter), loader.hosts, "2026-01-01", "2026-12-31", ())


def months(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> Any:
    return comext_bulk.months_to_load(loader.session(adapter), loader.hosts, loader.dataset, "", "")


def examine_cbs(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> Any:
    cbs_examine.examine_office(loader.session(adapter), loader.hosts)
    return cbs_examine.examine(loader.session(adapter), loader.hosts, loader.dataset)


def examine_eurostat(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> Any:
    eurostat_examine.examine_office(loader.session(adapter), loader.hosts)
    return eurostat_examine.examine(loader.session(adapter), loader.hosts, loader.dataset)


ROWS = [cbs_row(number, value=number + 1) for number in range(8)]
SDMX_LINES = sdmx_body(sdmx_line("US"), sdmx_line("DE", "7"), sdmx_line("FR", "9", product="76"))
(SDMX_URL,) = sdmx_urls()
CATALOGUE = f"{CBS_HOSTS['v4']}/Datasets?$select=Identifier,Title,Status,Modified"
EVENTS = (
    f"{CBS_HOSTS['website']}/Events?$filter=Language eq 'nl-NL' and PlannedPublicationTime ge 2026-01-01T00:00:00Z and"
    " PlannedPublicationTime le 2026-12-31T23:59:59Z&$orderby=PlannedPublicationTime&$top=500"
    "&$select=UniqueId,Title,Url,PlannedPublicationTime,ReportingPeriod,PublishTimeUnknown,Language"
)
TABLES = [{"Identifier": f"{n}NED", "Title": "Trade in goods", "Status": "Regulier", "Modified": "x"} for n in range(3)]
EVENT = {"PlannedPublicationTime": "2026-02-01T06:30:00Z", "Title": "Goods", "ReportingPeriod": "2026"}
TOC = f"{MAIN}/catalogue/toc/txt?lang=en"
TOC_BODY = b'"title"\t"code"\t"type"\t"last update"\n"Trade in goods"\t"ext_tec01"\t"dataset"\t"15.09.2026"\n' * 2


def months_target(folder: Path) -> Target:
    made = bulk(folder)
    return replace(
        made, answers={url: made.answers[url] for url in made.answers if "dir=" in url}, run=months, packed={}
    )


def stored(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> list[Any]:
    """Land one reply that was recorded without its preceding replies."""
    (url,) = adapter.answers
    reply = loader.session(adapter).get(url, purpose="observations", inspect=inspect_data)
    manifest = loader.stage(part, formats.fetched(reply.record.sha256, "15/09/26 11:00:00"), declared=codes)
    assert_sound(loader, manifest)
    return loader.rows(manifest, "*")


def refusals(loader: Loader, adapter: CountingAdapter, part: Slice, codes: Codes) -> list[Any]:
    """Send requests that the office refuses, and return the reported problems."""
    problems = []
    for url in adapter.answers:
        try:
            loader.session(adapter).get(url, purpose="observations", inspect=inspect_data)
        except ExtractError as error:
            problems.append(error.problem)
    return problems


def recorded_v3(dataset: Dataset) -> Callable[[Path], Target]:
    """Serve a CBS table recorded from v3."""
    part = Slice(dataset.code, "NL", dataset.first_period)
    return target(dataset, part, formats.v3_office(dataset, part, v3_sets(dataset)))


def specimen(name: str) -> bytes:
    return (SPECIMENS / "eurostat" / name).read_bytes()


def asynchronous_office() -> Answers:
    submitted, available = asynchronous.envelope("SUBMITTED"), asynchronous.envelope("AVAILABLE")
    recorded_key = b"e3d39a1b-27eb-4ce4-936d-8f95b23bf74f"
    queued = specimen("async-queue-envelope.xml").replace(recorded_key, asynchronous.JOB.encode())
    return {**asynchronous.async_office([submitted, available], [SDMX_LINES]), SDMX_URL: [queued]}


FOOTER_ZIP = f"{COMEXT}/file/wHsvjs7hQCy7Dqf4"
FOOTER = (
    '<m:GenericData xmlns:m="m" xmlns:f="f"><f:Footer><f:Message code="413"><c:Text xmlns:c="c">'
    f"{FOOTER_ZIP}</c:Text></f:Message></f:Footer></m:GenericData>"
).encode()

TARGETS: dict[str, Callable[[Path], Target]] = {
    "cbs pages": target(CBS, CBS_PART, cbs_office(ROWS)),
    "cbs zip": target(
        CBS_ZIP,
        CBS_PART,
        cbs_zip_office({"Observations.csv": cbs_csv(ROWS)}, len(ROWS)),
        data=(CBS_ZIP_URL, cbs_csv(ROWS), lambda text: zipped({"Observations.csv": text})),
    ),
    "cbs v3": target(
        formats.SITC3, formats.V3_PART, formats.v3_office(formats.SITC3, formats.V3_PART, formats.V3_SETS, 2)
    ),
    "cbs recorded trade": recorded(TRADE),
    "cbs recorded services": recorded(SERVICES),
    "cbs recorded bankruptcies": recorded(BANKRUPTCIES),
    "cbs recorded capital": recorded_v3(CAPITAL),
    "cbs recorded consumption": recorded_v3(CONSUMPTION),
    "cbs catalogue": target(CBS, CBS_PART, {CATALOGUE: [as_json(value=TABLES)]}, discover),
    "cbs calendar": target(CBS, CBS_PART, {EVENTS: [as_json(value=[EVENT, EVENT])]}, calendar),
    "cbs examination": target(
        replace(CBS, discover=("goods",)),
        CBS_PART,
        {**examinations.cbs_answers(), CATALOGUE: [as_json(value=TABLES)]},
        examine_cbs,
    ),
    "sdmx csv": target(SDMX, SDMX_PART, sdmx_office(SDMX_LINES)),
    "sdmx csv gzip": target(
        SDMX, SDMX_PART, sdmx_office(gzip.compress(SDMX_LINES)), data=(SDMX_URL, SDMX_LINES, gzip.compress)
    ),
    "sdmx tsv": target(formats.IMPORTS, formats.TSV_PART, formats.tsv_office(formats.TSV_BODY)),
    "sdmx json-stat": target(formats.IMPORTS, formats.EU_PART, formats.json_office(formats.JSON_BODY)),
    "sdmx main host": target(
        TEC, TEC_PART, tec_office(sdmx_body(tec_line(), header=TEC_HEADER + ",OBS_FLAG,CONF_STATUS"))
    ),
    "sdmx asynchronous": target(SDMX, SDMX_PART, asynchronous_office()),
    "sdmx footer": target(
        SDMX,
        SDMX_PART,
        {**sdmx_office(FOOTER), FOOTER_ZIP: [zipped({"data.csv": SDMX_LINES})]},
        data=(FOOTER_ZIP, SDMX_LINES, lambda text: zipped({"data.csv": text})),
    ),
    "eurostat recorded tsv": target(
        replace(get_dataset("eurostat_sts_inpr_m"), select={"freq": ("M",)}, slice_by="whole"),
        Slice("eurostat_sts_inpr_m", "*", "2023-01", "2023-02"),
        {SDMX_URL: [specimen("sts-confidential-cells.tsv")]},
        stored,
    ),
    "eurostat recorded refusals": target(
        SDMX, SDMX_PART, {f"{MAIN}/{n}": [specimen(f"fault-{n}.xml")] for n in (140, 150)}, refusals
    ),
    "eurostat catalogue": target(SDMX, SDMX_PART, {LISTING: [listing()], TOC: [TOC_BODY]}, discover),
    "eurostat examination": target(SDMX, SDMX_PART, examinations.eurostat_answers(), examine_eurostat),
    "comext bulk": bulk,
    "comext months": months_target,
    "comext titles": lists_of(lists.TITLES),
    "comext successions": lists_of(lists.SUCCESSIONS),
}


def plain_body(answer: Answer) -> bytes | None:
    body = answer.body if isinstance(answer, Reply) else answer
    if isinstance(body, Path):
        return body.read_bytes()
    return body if isinstance(body, bytes) and body else None


@dataclass(frozen=True)
class Case:
    """One broken reply: the target, the seed, and the number that determines the rest."""

    name: str
    seed: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}:{self.seed}:{self.number}"

    def broken(self, good: Target) -> tuple[Answers, str, str]:
        """Return the replies including the broken one, its URL and the mutator's name."""
        rng = random.Random(f"{self.name}:{self.seed}:{self.number}")
        bodies = {
            (url, place): plain
            for url, answers in good.answers.items()
            for place, answer in enumerate(answers)
            if (plain := plain_body(answer)) is not None
        }
        url, place = rng.choice(sorted(bodies))
        body = bodies[url, place]
        pack: Callable[[bytes], bytes] = bytes
        if url in good.packed and rng.random() < 0.5:
            body, pack = good.packed[url]
        mutator = rng.choice(fitting(body))
        answers = {key: list(replies) for key, replies in good.answers.items()}
        answers[url][place] = pack(mutator(rng, body))
        return answers, url, mutator.__name__ if pack is bytes else f"packed {mutator.__name__}"


@dataclass
class Outcome:
    """Result of a case; `problem` is empty if the case passes."""

    problem: str = ""
    kind: str = ""


def try_case(case: Case, good: Target, expected: list[Any], codes: Codes, folder: Path) -> Outcome:
    answers, url, mutator = case.broken(good)
    loader = Loader(good.dataset, folder)
    label = f"{mutator} of {url}"
    try:
        rows = good.run(loader, CountingAdapter(answers), good.part, codes)
    except ExtractError as error:
        lacks = [name for name in ("dataset", "where", "next_step") if not getattr(error, name)]
        if lacks:
            return Outcome(f"{label}: the error lacks {lacks}: {error}", "lacks")
        if isinstance(error.__cause__, LookupError | TypeError | AttributeError):
            return Outcome(f"{label}: nobody looked at the shape\n{trace(error)}", "unforeseen")
        return Outcome()
    except Exception as error:  # noqa: BLE001 - any other exception is a finding
        return Outcome(f"{label}: {type(error).__name__}\n{trace(error)}", type(error).__name__)
    if good.run is load and mutator in ADD_NO_ROWS and (added := [row for row in rows if row not in expected]):
        return Outcome(
            f"{label}: {len(added)} rows that the good reply does not have, such as {added[0]}", "wrong rows"
        )
    return Outcome()


def trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)[-12:])[-3000:]


def cases() -> Iterator[Case]:
    if CASE:
        name, seed, at = CASE.rsplit(":", 2)
        yield Case(name, seed, int(at))
        return
    for number in range(10**9):
        for name in TARGETS:
            yield Case(name, SEED, number)


@pytest.mark.timeout(SECONDS + 600)
def test_broken_reply_raises_a_domain_error_or_yields_correct_rows(tmp_path: Path) -> None:
    end = time.monotonic() + SECONDS
    good: dict[str, tuple[Target, list[Any], Codes]] = {}
    failures: list[str] = []
    tried = 0
    for case in cases():
        if tried and time.monotonic() > end:
            break
        if case.name not in good:
            made = TARGETS[case.name](tmp_path / "packed")
            folder = tmp_path / f"good-{len(good)}"
            # The good replies must load without an error, or the case tests nothing.
            rows = made.run(Loader(made.dataset, folder), CountingAdapter(made.answers), made.part, {})
            assert rows, case.name
            good[case.name] = made, rows, codes_of(made.dataset, folder) if made.run is load else {}
        folder = tmp_path / "case"
        outcome = try_case(case, *good[case.name], folder)
        shutil.rmtree(folder, ignore_errors=True)
        tried += 1
        if outcome.problem:
            failures.append(f"{outcome.kind}: FUZZ_CASE='{case}' pytest {__file__}\n{outcome.problem}")
    kinds = dict(Counter(failure.partition(":")[0] for failure in failures))
    print(f"{tried} broken replies, failures: {kinds or 'none'}")
    assert not failures, f"{len(failures)} of {tried} ({kinds})\n\n" + "\n\n".join(failures[:MOST_SHOWN])
