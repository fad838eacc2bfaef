"""Comext code lists from listing to landing: entries, rejected lines, refused files and later releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from extract import refresh
from extract.dataset import Dataset
from extract.errors import BadReplyError, ExtractError, TornReadError, TransientOfficeError
from extract.landing.manifest import LoadManifest
from extract.offices import OFFICES
from extract.offices.comext import lists as comext_lists
from extract.offices.eurostat.examine import examine
from extract.offices.eurostat.files import ListedFile
from extract.registry import get_dataset
from extract.slices import Slice
from extract.transport import PatientAdapter
from metaalexport import ingest
from metaalexport.run import Run
from metaalexport.settings import Settings
from simulator.eurostat.files import CN_SUCCESSIONS
from simulator.products import PRODUCT_TITLES
from tests.contract.loading import Answer, CountingAdapter, Loader, Reply
from tests.fault.loads import Case, GateStoppedError, Office, copy_state, failed_checks, run_load, running_office

TITLES = get_dataset("eurostat_comext_cn_titles")
SUCCESSIONS = get_dataset("eurostat_comext_cn_successions")
BOTH = pytest.mark.parametrize("dataset", [TITLES, SUCCESSIONS], ids=lambda dataset: dataset.code)
MAIN = OFFICES["eurostat"].hosts()["main"]
MODIFIED = "2026-01-12T11:00:00"
NEXT_MODIFIED = "2026-02-12T11:00:00"

TITLE_LINES = (
    "72\t01/01/1988\t31/12/2500\tIRON AND STEEL",
    "7601 10 00\t01/01/1988\t31/12/2022\tAluminium, not alloyed, unwrought",
    '73181568\t01/01/2017\t31/12/2500\tBolts "with" a head; tensile strength >= 800 MPa, ≥ 5 mm',
)
SUCCESSION_LINES = (
    "76011000\t76011010\t01/01/2023",
    "7601 10 00\t7601 10 90\t01/01/2023",
    "72083910\t72083900\t01/01/2004",
)
LINES = {TITLES.code: TITLE_LINES, SUCCESSIONS.code: SUCCESSION_LINES}


def body(*lines: str, end: str = "\r\n") -> bytes:
    return "".join(f"{line}{end}" for line in lines).encode()


def good(dataset: Dataset) -> bytes:
    return body(*LINES[dataset.code])


def whole(dataset: Dataset) -> Slice:
    return Slice(dataset.code, dataset.reporter, dataset.first_period)


def urls(dataset: Dataset) -> tuple[str, str]:
    """Return the URLs of the listing and of the file."""
    path = f"{comext_lists.FOLDER}/{dataset.identifier}"
    folder = quote(path.rpartition("/")[0], safe="")
    return (
        f"{MAIN}/files?format=csv&dir={folder}&hierarchy=false&sizeFormat=NONE&dateFormat=ISO",
        f"{MAIN}/files?file={quote(path, safe='')}",
    )


def listing(dataset: Dataset, size: int | str, modified: str = MODIFIED) -> bytes:
    name = dataset.identifier.rpartition("/")[2]
    return (
        "NAME,TYPE,SIZE,LAST_MODIFIED\n"
        f"OLDER,DIR,,\n{name},FILE,{size},{modified}\nGEOZONES.txt,FILE,7,2020-01-01T00:00:00\n"
    ).encode()


def office(
    dataset: Dataset, *replies: Answer, size: int | str | None = None, modified: str = MODIFIED
) -> CountingAdapter:
    """Serve a list; its listing is correct unless `size` overrides it."""
    if size is None:
        first = replies[0]
        assert isinstance(first, bytes)
        size = len(first)
    index, file = urls(dataset)
    return CountingAdapter({index: [listing(dataset, size, modified)], file: replies})


# --- good lists ---------------------------------------------------------------------------------------------------


def test_titles_land_as_entries_with_plain_codes_and_iso_days(tmp_path: Path) -> None:
    loader = Loader(TITLES, tmp_path)
    manifest = loader.load(office(TITLES, good(TITLES)), whole(TITLES))
    assert loader.rows(manifest, "product, valid_from, valid_to, title, title_from, title_to, period") == [
        ("72", "1988-01-01", "2500-12-31", "IRON AND STEEL", "", "", "1988"),
        (
            *("73181568", "2017-01-01", "2500-12-31"),
            *('Bolts "with" a head; tensile strength >= 800 MPa, ≥ 5 mm', "", "", "2017"),
        ),
        ("76011000", "1988-01-01", "2022-12-31", "Aluminium, not alloyed, unwrought", "", "", "1988"),
    ]
    assert loader.rows(manifest, "distinct measure, value, status, confidentiality") == [("LISTED", 1.0, None, None)]
    assert loader.findings(manifest) == []
    # Brussels time in winter.
    assert (manifest.vintage_at, manifest.protocol) == ("2026-01-12T10:00:00Z", "comext_list")
    assert failed_checks(loader.landing, TITLES, manifest) == []


def test_titles_with_their_own_dates_keep_one_entry_per_title(tmp_path: Path) -> None:
    lines = (
        "7318\t01/01/1988\t31/12/2500\tScrews\t01/01/1988\t31/12/2006",
        "7318\t01/01/1988\t31/12/2500\tScrews, bolts\t01/01/2007\t31/12/2011",
        "7318\t01/01/1988\t31/12/2500\tScrews\t01/01/2012\t31/12/2500",
    )
    loader = Loader(TITLES, tmp_path)
    manifest = loader.load(office(TITLES, body(*lines)), whole(TITLES))
    assert loader.rows(manifest, "title_from, title_to, title, period") == [
        ("1988-01-01", "2006-12-31", "Screws", "1988"),
        ("2007-01-01", "2011-12-31", "Screws, bolts", "1988"),
        ("2012-01-01", "2500-12-31", "Screws", "1988"),
    ]
    assert failed_checks(loader.landing, TITLES, manifest) == []


def test_successions_land_as_pairs_with_the_date_of_change(tmp_path: Path) -> None:
    loader = Loader(SUCCESSIONS, tmp_path)
    manifest = loader.load(office(SUCCESSIONS, good(SUCCESSIONS)), whole(SUCCESSIONS))
    assert loader.rows(manifest, "predecessor, successor, valid_from, period, measure, value") == [
        ("72083910", "72083900", "2004-01-01", "2004", "LISTED", 1.0),
        ("76011000", "76011010", "2023-01-01", "2023", "LISTED", 1.0),
        ("76011000", "76011090", "2023-01-01", "2023", "LISTED", 1.0),
    ]
    assert failed_checks(loader.landing, SUCCESSIONS, manifest) == []


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\r\n", b"\n"),
        lambda text: text.replace(b"\r\n", b"\n", 1),
        lambda text: text.removesuffix(b"\r\n"),
        lambda text: text + b"\r\n \r\n",
        lambda text: text.replace(b"7601 10 00", "7601\u00a010\u00a000 ".encode()),
        lambda text: text.replace(b"\t", b" \t"),
    ],
    ids=["BOM", "LF", "both line ends", "last line open", "blank lines", "blanks that do not break", "padded"],
)
def test_equivalent_encoding_lands_the_same_entries(
    tmp_path: Path, dataset: Dataset, change: Callable[[bytes], bytes]
) -> None:
    found = []
    for name, text in (("plain", good(dataset)), ("changed", change(good(dataset)))):
        loader = Loader(dataset, tmp_path / name)
        manifest = loader.load(office(dataset, text), whole(dataset))
        assert (manifest.rows_read, manifest.rows_rejected) == (3, 0)
        found.append(loader.rows(manifest, "* exclude (load_id)"))
    assert found[0] == found[1]


def test_list_from_a_given_year_lands_entries_beginning_since(tmp_path: Path) -> None:
    loader = Loader(TITLES, tmp_path)
    text = good(TITLES) + body("7208\tunknown\t31/12/2500\tFlat-rolled")
    manifest = loader.load(office(TITLES, text), Slice(TITLES.code, "EU", "2017-01", "2020-12"))
    assert loader.rows(manifest, "product") == [("73181568",)]
    # An entry without a valid first day may have begun in these years.
    assert loader.rules(manifest) == {"not_a_date": 1}
    assert loader.rows(manifest, "first_month::varchar, last_month::varchar", "coverage") == [
        ("2017-01-01", "2020-12-01")
    ]


# --- broken lists -------------------------------------------------------------------------------------------------

TITLE_VARIANTS: dict[str, tuple[str, str]] = {
    "no code": ("\t01/01/1988\t31/12/2500\tSteel", "missing_key"),
    "a code of blanks": (" \u00a0 \t01/01/1988\t31/12/2500\tSteel", "missing_key"),
    "no title": ("7208\t01/01/1988\t31/12/2500\t", "missing_key"),
    "no last day": ("7208\t01/01/1988\t\tSteel", "missing_key"),
    "a day of no month": ("7208\t01/13/1988\t31/12/2500\tSteel", "not_a_date"),
    "a day that no month has": ("7208\t01/01/1988\t31/11/2500\tSteel", "not_a_date"),
    "a year of two digits": ("7208\t01/01/88\t31/12/2500\tSteel", "not_a_date"),
    "a word for a day": ("7208\t01/01/1988\topen\tSteel", "not_a_date"),
    "a year before all others": ("7208\t01/01/1088\t31/12/2500\tSteel", "unknown_period"),
    "a header": ("CODE\tSTART\tEND\tTITLE", "not_a_date"),
    "a title's day that is none": ("7208\t01/01/1988\t31/12/2500\tSteel\t1988\t31/12/2500", "not_a_date"),
    "a column fewer": ("7208\t01/01/1988\tSteel", "malformed_line"),
    "a column more": ("7208\t01/01/1988\t31/12/2500\tSteel\t01/01/1988", "malformed_line"),
    "a tab in the title": ("7208\t01/01/1988\t31/12/2500\tSteel,\tflat", "malformed_line"),
    "commas": ("7208,01/01/1988,31/12/2500,Steel", "malformed_line"),
}
SUCCESSION_VARIANTS: dict[str, tuple[str, str]] = {
    "no predecessor": ("\t72083900\t01/01/2004", "missing_key"),
    "no successor": ("72083990\t\t01/01/2004", "missing_key"),
    "no day": ("72083990\t72083900\t", "missing_key"),
    "a year for a day": ("72083990\t72083900\t2004", "not_a_date"),
    "American order": ("72083990\t72083900\t12/31/2004", "not_a_date"),
    "a header": ("PREDECESSOR\tSUCCESSOR\tDAY", "not_a_date"),
    "a column fewer": ("72083990\t72083900", "malformed_line"),
    "a column more": ("72083990\t72083900\t01/01/2004\t31/12/2500", "malformed_line"),
}


def _broken() -> Iterator[object]:
    for dataset, variants in ((TITLES, TITLE_VARIANTS), (SUCCESSIONS, SUCCESSION_VARIANTS)):
        for name, (line, rule) in variants.items():
            yield pytest.param(dataset, line, rule, id=f"{dataset.code}: {name}")


@pytest.mark.parametrize(("dataset", "line", "rule"), _broken())
def test_invalid_line_is_rejected_verbatim_and_fails_the_landing_gate(
    tmp_path: Path, dataset: Dataset, line: str, rule: str
) -> None:
    first, *others = LINES[dataset.code]
    loader = Loader(dataset, tmp_path)
    manifest = loader.load(office(dataset, body(first, line, *others)), whole(dataset))
    assert (manifest.rows_read, manifest.rows_loaded) == (4, 3)
    assert loader.rows(manifest, "rule, (row_content->'fields')::varchar[]", "rejects") == [(rule, line.split("\t"))]
    # One of four exceeds the threshold; one in the thousands of a real list is a warning.
    assert failed_checks(loader.landing, dataset, manifest) == ["few_rows_are_rejected"]


@BOTH
def test_duplicate_entry_fails_the_landing_gate(tmp_path: Path, dataset: Dataset) -> None:
    loader = Loader(dataset, tmp_path)
    lines = LINES[dataset.code]
    manifest = loader.load(office(dataset, body(*lines, lines[1])), whole(dataset))
    assert failed_checks(loader.landing, dataset, manifest) == ["key_is_unique"]


FAULT = b"<S:Fault xmlns:S='x'><faultcode>100</faultcode><faultstring>Not found</faultstring></S:Fault>"
REFUSALS: dict[str, tuple[Callable[[bytes], bytes], type[ExtractError], str]] = {
    "cut in a line": (lambda text: text[:-9], TransientOfficeError, "cut off: .* of .* bytes"),
    "cut at a line end": (lambda text: text[: text.index(b"\n") + 1], TransientOfficeError, "cut off: .* of .* bytes"),
    "cut, longer than listed": (lambda text: text * 2 + text[:12], TransientOfficeError, "cut off in its last line"),
    "empty": (lambda _: b"", TransientOfficeError, "empty body"),
    "maintenance page": (lambda _: b"<!DOCTYPE html><html><body>soon</body></html>", TransientOfficeError, "HTML page"),
    "fault": (lambda _: FAULT, BadReplyError, "Eurostat fault 100: Not found"),
    "JSON error": (lambda _: b'{"error": [{"id": 100, "label": "gone"}]}', BadReplyError, "fault 100: gone"),
    "no tabs": (lambda text: text.replace(b"\t", b";"), BadReplyError, "not a list with tabs"),
    "archive": (lambda text: b"7z\xbc\xaf\x27\x1c" + text, BadReplyError, "not UTF-8"),
    "Latin-1": (
        lambda text: text + "7208\t01/01/1988\t31/12/2500\tcafé\r\n".encode("latin-1"),
        BadReplyError,
        "not UTF-8",
    ),
}


@BOTH
@pytest.mark.parametrize(("change", "kind", "words"), REFUSALS.values(), ids=list(REFUSALS))
def test_incomplete_list_lands_nothing(
    tmp_path: Path, dataset: Dataset, change: Callable[[bytes], bytes], kind: type[ExtractError], words: str
) -> None:
    loader = Loader(dataset, tmp_path)
    text = good(dataset)
    adapter = office(dataset, change(text), size=len(text))
    with pytest.raises(kind, match=words) as caught:
        loader.load(adapter, whole(dataset))
    assert caught.value.dataset == dataset.code
    assert not any((loader.landing.root / dataset.code).glob("*"))
    # The session allows two attempts for a retryable error, and one for any other.
    assert adapter.asked[urls(dataset)[1].replace("%2F", "/")] == (2 if kind is TransientOfficeError else 1)


@BOTH
def test_truncated_list_is_requested_again(tmp_path: Path, dataset: Dataset) -> None:
    loader = Loader(dataset, tmp_path)
    text = good(dataset)
    manifest = loader.load(office(dataset, text[:20], text, size=len(text)), whole(dataset))
    assert (manifest.rows_loaded, len(loader.waits)) == (3, 1)


def test_list_replaced_during_the_read_restarts_the_load(tmp_path: Path) -> None:
    loader = Loader(TITLES, tmp_path)
    text = good(TITLES)
    index, file = urls(TITLES)
    old, new = (listing(TITLES, len(text), modified) for modified in (MODIFIED, NEXT_MODIFIED))
    adapter = CountingAdapter({index: [old, new], file: [text]})
    assert loader.load(adapter, whole(TITLES)).vintage_at == "2026-02-12T10:00:00Z"
    adapter = CountingAdapter({index: [old, new, old, new, old, new], file: [text]})
    with pytest.raises(TornReadError, match=", now"):
        loader.load(adapter, whole(TITLES))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (listing(SUCCESSIONS, 9), "there is no file CN.txt; there are CN8-PRED-SUCC.txt, GEOZONES.txt"),
        (listing(TITLES, "10 kB"), "gives '10 kB' as size of CN.txt"),
        (listing(TITLES, 99, "yesterday"), "gives 'yesterday' as time of CN.txt"),
        (b"NAME,TYPE,BYTES\nCN.txt,FILE,9\n", "not a name, a size and a time"),
        (b"nothing here\n", "not a listing of files"),
    ],
    ids=["other files", "size in words", "time in words", "other columns", "no listing"],
)
def test_listing_without_a_version_is_a_bad_reply(tmp_path: Path, reply: bytes, words: str) -> None:
    loader = Loader(TITLES, tmp_path)
    adapter = CountingAdapter({urls(TITLES)[0]: [reply]})
    with pytest.raises(BadReplyError, match=words):
        OFFICES["eurostat"].probe(loader.session(adapter), loader.hosts, TITLES, whole(TITLES))


def test_refused_file_error_quotes_the_office(tmp_path: Path) -> None:
    loader = Loader(TITLES, tmp_path)
    with pytest.raises(ExtractError, match="HTTP 404"):
        loader.load(office(TITLES, Reply(b"<html>File not found</html>", 404), size=9), whole(TITLES))


# --- later releases -----------------------------------------------------------------------------------------------


def later(loader: Loader, text: bytes, modified: str = NEXT_MODIFIED) -> LoadManifest:
    dataset = loader.dataset
    first = loader.load(office(dataset, good(dataset)), whole(dataset))
    loader.commit(first)
    version = OFFICES["eurostat"].probe(
        loader.session(office(dataset, text, modified=modified)), loader.hosts, dataset, whole(dataset)
    )
    loads = list(loader.landing.committed(dataset.code))
    assert refresh.find_unchanged(dataset, loads, whole(dataset), version) is None
    part = refresh.narrow(dataset, loads, whole(dataset), version)
    # An entry of any year may have changed.
    assert part == whole(dataset)
    return loader.load(office(dataset, text, modified=modified), part)


def test_changed_title_withdraws_one_entry_and_adds_one(tmp_path: Path) -> None:
    loader = Loader(replace(TITLES, thresholds={"max_vanished_share": 0.5, "min_rows_ratio": 0.5}), tmp_path)
    manifest = later(loader, good(TITLES).replace(b"IRON AND STEEL", b"Iron and steel"))
    assert failed_checks(loader.landing, loader.dataset, manifest) == []
    assert loader.findings(manifest) == [("new_code", "title", "warn"), ("vanished_code", "title", "warn")]
    committed = loader.commit(manifest)
    assert (committed.rows_changed, committed.rows_withdrawn) == (1, 1)
    assert loader.rows(committed, "change_kind, product, title, value", "changes") == [
        ("new", "72", "Iron and steel", 1.0),
        ("withdrawn", "72", "IRON AND STEEL", None),
    ]


def test_closed_code_withdraws_its_entry_and_adds_one_with_the_new_end(tmp_path: Path) -> None:
    loader = Loader(replace(TITLES, thresholds={"max_vanished_share": 0.5, "min_rows_ratio": 0.5}), tmp_path)
    lines = (TITLE_LINES[0].replace("2500", "2025"), *TITLE_LINES[1:], "7299\t01/01/2026\t31/12/2500\tSteel, other")
    committed = loader.commit(later(loader, body(*lines)))
    assert loader.rows(committed, "change_kind, product, valid_from, valid_to", "changes") == [
        ("new", "72", "1988-01-01", "2025-12-31"),
        ("new", "7299", "2026-01-01", "2500-12-31"),
        ("withdrawn", "72", "1988-01-01", "2500-12-31"),
    ]


@BOTH
def test_list_that_lost_many_entries_fails_the_landing_gate(tmp_path: Path, dataset: Dataset) -> None:
    loader = Loader(dataset, tmp_path)
    manifest = later(loader, body(*LINES[dataset.code][:1]))
    failed = failed_checks(loader.landing, dataset, manifest)
    assert {"published_cells_do_not_vanish", "rows_do_not_shrink"} & {*failed}


# --- against the simulator ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> Iterator[Office]:
    with running_office() as found:
        found.reset(10)
        yield found


@dataclass(frozen=True)
class Expected:
    rows: int
    periods: int


EXPECTED = {
    TITLES.code: Expected(len(PRODUCT_TITLES), 1),
    SUCCESSIONS.code: Expected(58, len({row["year"] for row in CN_SUCCESSIONS})),
}


@BOTH
def test_simulated_list_request_counts(tmp_path: Path, simulated: Office, dataset: Dataset) -> None:
    settings = Settings(profile="simulator", state=tmp_path, simulator_url=simulated.url)
    simulated.reset(10)
    (part,) = ingest.plan_loads(Run(settings), dataset.code)
    assert Slice.from_dict(part) == whole(dataset)
    fetched = ingest.fetch_load(Run(settings, "run", lambda _: None), part)
    assert fetched is not None
    # One listing checks for a new version; then listing, file, listing. The simulator also counts the redirect.
    assert len(simulated.simulator.requests) == 5
    manifest = run_load(Case(dataset.code, dataset, whole(dataset)), simulated.url, tmp_path)
    assert manifest is not None
    assert (manifest.rows_read, manifest.rows_rejected) == (EXPECTED[dataset.code].rows, 0)
    assert (manifest.is_full, manifest.reporter, manifest.panel) == (True, "EU", "*")
    simulated.reset(11)
    assert ingest.fetch_load(Run(settings, "run", lambda _: None), part) is None
    assert len(simulated.simulator.requests) == 1


@BOTH
def test_simulated_list_matches_its_registry_file(tmp_path: Path, simulated: Office, dataset: Dataset) -> None:
    simulated.reset(10)
    loader = Loader(dataset, tmp_path, "simulator")
    hosts = Settings(profile="simulator", state=tmp_path, simulator_url=simulated.url).office_hosts(
        "eurostat", loader.hosts
    )
    found = examine(loader.session(PatientAdapter()), hosts, dataset)
    assert [(result.endpoint.split()[0], result.outcome) for result in found] == [
        ("files", "as declared"),
        ("list", "as declared"),
    ]
    absent = replace(dataset, identifier="RELATIONS/NONE.txt")
    (failure,) = examine(loader.session(PatientAdapter()), hosts, absent)
    assert (failure.outcome, failure.detail.split(";")[0]) == ("fails", "there is no file NONE.txt")


@BOTH
def test_examination_reports_changed_columns(tmp_path: Path, dataset: Dataset) -> None:
    loader = Loader(dataset, tmp_path)
    text = b"7208\tSteel\r\n"
    listed, differs = examine(loader.session(office(dataset, text)), loader.hosts, dataset)
    assert listed.outcome == "as declared"
    assert differs.outcome == "differs"
    assert differs.detail.startswith("the first line has 2 columns, not ")


FAULTS = (
    "bom",
    "crlf",
    "wrong_content_type",
    "empty_200",
    "html_200",
    "http_500",
    "reset",
    "truncate",
    "truncate_gzip",
)
HARMLESS = FAULTS[:3]
# Both lists are fetched alike; only replies that still parse can differ between them.
TRIED = [
    (kind, dataset) for kind in FAULTS for dataset in (TITLES, SUCCESSIONS) if kind in HARMLESS or dataset is TITLES
]


@pytest.mark.parametrize(("kind", "dataset"), TRIED, ids=[f"{kind}-{dataset.code}" for kind, dataset in TRIED])
def test_fault_at_any_request_loads_the_same_list_or_fails(
    tmp_path: Path, simulated: Office, dataset: Dataset, kind: str
) -> None:
    case = Case(dataset.code, dataset, whole(dataset))
    found: dict[tuple[int, int], str] = {}
    for position in range(5):
        for times in (1, 1_000_000):
            state = copy_state(tmp_path / "none", tmp_path / "state")
            simulated.reset(10, ({"match": ".*", "kind": kind, "after": position, "times": times},))
            outcome = "stops"
            with suppress(ExtractError, GateStoppedError):
                manifest = run_load(case, simulated.url, state)
                assert manifest is not None
                assert (manifest.rows_loaded, manifest.rows_rejected) == (EXPECTED[dataset.code].rows, 0)
                outcome = "loads"
            used = simulated.simulator.faults.faults[-1].times != times
            found[position, times] = outcome if used else "does not apply"
    stopped = {outcome for (_, times), outcome in found.items() if times > 1}
    assert {outcome for (_, times), outcome in found.items() if times == 1} <= {"loads", "does not apply"}
    assert stopped <= ({"loads", "does not apply"} if kind in HARMLESS else {"stops", "does not apply"})
    assert {*found.values()} != {"does not apply"}


def test_inspector_accepts_a_list_larger_than_listed(tmp_path: Path) -> None:
    path = tmp_path / "CN.txt"
    path.write_bytes(good(TITLES))
    judge = partial(comext_lists.inspect_list, ListedFile("CN.txt", "", 1, MODIFIED))
    assert judge(path, "text/plain") is None
