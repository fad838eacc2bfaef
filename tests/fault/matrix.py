"""Outcomes of each fault, at each request of a load of each protocol, as a table.

``python -m tests.fault.matrix`` tries all faults and writes ``docs/faults.md``; the tests repeat them and compare.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from extract.errors import ExtractError
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from simulator.faults.book import describe_kinds
from tests.fault.loads import (
    BEFORE,
    NOW,
    PATIENT,
    POLICY,
    Case,
    GateStoppedError,
    Office,
    cases,
    copy_state,
    load_release,
    run_load,
    running_office,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
# A load with a permanent fault must end within this time.
# A load that waits for an office would take longer; a simulator beside other tests takes up to a minute for a release.
BOUND_SECONDS = 180.0
_LASTING = 1_000_000
LOADS, NEWER, REPORTS, STOPS, NONE = "loads", "loads the newer release", "loads and reports", "stops", "does not apply"
# A change is tried on one request in six.
SAMPLE = 6
# Transport faults, tried at every request; all others are tried at requests of observations.
TRANSPORT = (
    "async_never",
    "bom",
    "crlf",
    "empty_200",
    "html_200",
    "http_413_json",
    "http_413_xml",
    "http_429",
    "http_500",
    "http_503",
    "release_mid_run",
    "reset",
    "slow_drip",
    "timeout",
    "truncate",
    "truncate_gzip",
    "wrong_content_type",
)
# Timing faults; with any other fault, the load waits as long as a busy machine needs.
TIMED = ("slow", "slow_drip", "timeout")
OPTIONS: dict[str, dict[str, Any]] = {
    "timeout": {"delay_seconds": 8},
    "slow": {"delay_seconds": 0.2},
    "slow_drip": {"interval_seconds": 0.2, "bytes_at_once": 1},
    "http_429": {"retry_after": 0},
}


@dataclass
class Prepared:
    """A case with the expected content: by release, the content after an undisturbed load."""

    case: Case
    base: Path
    before: str
    clean: dict[int, str]
    clean_rows: int
    clean_findings: list[str]
    n_requests: int
    data_requests: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """One fault at one request, once or permanently."""

    kind: str
    position: int
    is_lasting: bool
    outcome: str
    detail: str
    seconds: float


def kinds() -> list[str]:
    """Return the simulator's kinds of faults, in the order of the table."""
    return sorted(describe_kinds())


def prepare(case: Case, office: Office, home: Path) -> Prepared:
    """Load the previous release, and record the result of an undisturbed load of this release."""
    base = home / "base"
    load_release(case, office, BEFORE, base)
    manifest = load_release(case, office, NOW, copy_state(base, home / "clean"))
    urls = [entry["url"] for entry in office.simulator.requests]
    # The simulator has built its archives by now, and answers fast.
    marks = ("/Observations", "/TypedDataSet", "/csv/CBS/", "/data/", "file=", "/files/body/")
    return Prepared(
        case,
        base,
        content_of(base),
        {NOW: content_of(home / "clean")},
        manifest.rows_read,
        _column(home / "clean", manifest, "findings", "rule"),
        len(urls),
        [n for n, url in enumerate(urls) if any(mark in url for mark in marks) and "/$count" not in url],
    )


def clean_content(prepared: Prepared, office: Office, release: int, home: Path) -> str:
    """Return the content after an undisturbed load of a release; each is loaded once."""
    if release not in prepared.clean:
        state = copy_state(prepared.base, home / "newer")
        load_release(prepared.case, office, release, state)
        prepared.clean[release] = content_of(state)
    return prepared.clean[release]


def content_of(state: Path) -> str:
    """Return a hash of the rows of all committed loads of a state.

    It ignores load ids, which depend on the bytes of the replies: a byte order mark changes them, but not the rows.
    """
    landing = Landing(state / "landing")
    digest = hashlib.sha256()
    with duckdb.connect() as connection:
        for manifest in landing.committed():
            digest.update(f"{manifest.vintage_at} {manifest.rows_changed} {manifest.rows_withdrawn}".encode())
            for table in ("changes", "coverage", "measures", "rejects"):
                path = landing.folder(manifest) / f"{table}.parquet"
                query = f"""
                    select count(*), bit_xor(hash(r)), sum(hash(r)::hugeint)
                    from (select * exclude (load_id) from read_parquet('{path}')) as r
                """
                digest.update(str(connection.execute(query).fetchall()).encode())
    return digest.hexdigest()


def try_fault(prepared: Prepared, office: Office, kind: str, position: int, *, is_lasting: bool, home: Path) -> Trial:
    """Run a load with a fault at its n-th request, and classify the outcome.

    Raises
    ------
    AssertionError
        If a wrong row was loaded, a row was lost, an error message is incomplete, or the load took too long.
    """
    state = copy_state(prepared.base, home / "state")
    fault = {"match": ".*", "kind": kind, "after": position, **OPTIONS.get(kind, {})}
    office.reset(NOW, (*prepared.case.standing_faults, {**fault, "times": _LASTING if is_lasting else 1}))
    started = time.monotonic()
    outcome, detail, manifest = STOPS, "", None
    try:
        policy = POLICY if kind in TIMED else PATIENT
        manifest = run_load(prepared.case, office.url, state, policy=policy)
    except ExtractError as error:
        detail = type(error).__name__
        is_clear = prepared.case.dataset.code in str(error) and error.next_step
        detail = detail if is_clear else f"WRONG: the message is not clear: {error}"
    except GateStoppedError as error:
        detail = f"the landing gate: {error}"
    assert not detail.startswith("WRONG"), detail
    seconds = time.monotonic() - started
    assert seconds < BOUND_SECONDS, f"{kind} at request {position} took {seconds:.0f} s"
    used = office.simulator.faults.faults[-1]
    was_used = used.times != (_LASTING if is_lasting else 1)
    if manifest is None:
        assert content_of(state) == prepared.before, f"{kind} at request {position} stopped and changed the landing"
    else:
        # If the office published a release meanwhile, the load must match that release.
        release = office.simulator.release.number
        clean = clean_content(prepared, office, release, home)
        outcome, detail = _judge_loaded(prepared, manifest, state, clean, f"{kind} at request {position}")
        if outcome == LOADS and release != NOW:
            outcome = NEWER
    return Trial(kind, position, is_lasting, outcome if was_used else NONE, detail, seconds)


def _judge_loaded(prepared: Prepared, manifest: LoadManifest, state: Path, clean: str, trial: str) -> tuple[str, str]:
    where = f"{trial} of {prepared.case.name}"
    assert manifest.rows_read == manifest.rows_loaded + manifest.rows_rejected, f"{where}: rows are unaccounted for"
    if content_of(state) == clean:
        return LOADS, ""
    # A difference must be reported as a rejected row or a finding.
    findings = [rule for rule in _column(state, manifest, "findings", "rule") if rule not in prepared.clean_findings]
    noticed = _column(state, manifest, "rejects", "rule") + findings
    assert noticed, f"{where}: the landing differs from that of a clean load, and nothing says so"
    assert manifest.rows_read >= prepared.clean_rows, f"{where}: rows were lost"
    return REPORTS, ", ".join(sorted({*noticed}))


def _column(state: Path, manifest: LoadManifest, table: str, column: str) -> list[str]:
    path = state / "landing" / manifest.dataset / manifest.load_id / f"{table}.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute(f"select distinct {column} from read_parquet('{path}') order by 1").fetchall()
    return [str(row[0]) for row in rows]


def positions_of(prepared: Prepared, kind: str) -> list[int]:
    """Return the requests at which a fault is tried once."""
    return list(range(prepared.n_requests)) if kind in TRANSPORT else prepared.data_requests


def sampled_positions(prepared: Prepared, kind: str) -> list[int]:
    """Return every n-th of those requests for a fault of transport, in turn: n such faults meet every request."""
    positions = positions_of(prepared, kind)
    return positions[TRANSPORT.index(kind) % SAMPLE :: SAMPLE] if kind in TRANSPORT else positions


def try_kind(
    prepared: Prepared, office: Office, kind: str, home: Path, positions: Sequence[int] | None = None
) -> list[Trial]:
    """Try a fault once at each position, by default every request, and permanently at the first request of data."""
    positions = positions_of(prepared, kind) if positions is None else positions
    trials = [try_fault(prepared, office, kind, n, is_lasting=False, home=home) for n in positions]
    lasting = prepared.data_requests[:1]
    return trials + [try_fault(prepared, office, kind, n, is_lasting=True, home=home) for n in lasting]


def summarise(trials: list[Trial]) -> str:
    """Return the outcomes of the trials of one kind and one protocol as a cell of the table."""
    once = _phrase([trial for trial in trials if not trial.is_lasting])
    lasting = _phrase([trial for trial in trials if trial.is_lasting])
    if once == lasting or lasting == NONE:
        return once
    return f"once: {once}; lasting: {lasting}"


def outcomes(cell: str) -> set[str]:
    """Return the outcomes in a cell of the table, with ``lasting`` before those of a fault that lasts."""
    once, _, lasting = cell.removeprefix("once: ").partition("; lasting: ")
    return {*once.split(" or ")} | {f"lasting {text}" for text in (lasting or once).split(" or ")}


def _phrase(trials: list[Trial]) -> str:
    met = [trial for trial in trials if trial.outcome != NONE]
    if not met:
        return NONE
    words = {f"{t.outcome} ({t.detail})" if t.detail else t.outcome for t in met}
    return " or ".join(sorted(words))


@contextmanager
def prepared_case(name: str) -> Iterator[tuple[Prepared, Office, Path]]:
    """Yield one prepared case in temporary state."""
    case = next(case for case in cases() if case.name == name)
    with TemporaryDirectory(prefix="metaalexport-faults-") as folder, running_office() as office:
        home = Path(folder)
        yield prepare(case, office, home), office, home
        shutil.rmtree(home / "state", ignore_errors=True)


def read_page() -> dict[tuple[str, str], str]:
    """Return the cells of the page's table by kind and protocol."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    names = [cell.strip() for cell in lines[0].split("|")[1:-1]][2:]
    said: dict[Any, Any] = {}
    for line in lines[2:]:
        kind, _, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
        said |= {(kind.strip("`"), name): cell for name, cell in zip(names, cells, strict=True)}
    return said


def write_page(found: dict[tuple[str, str], str]) -> None:
    """Write the table."""
    names = [case.name for case in cases()]
    described = describe_kinds()
    rows = [
        f"| `{kind}` | {described[kind]} | " + " | ".join(found.get((kind, name), "") for name in names) + " |"
        for kind in kinds()
    ]
    text = "\n".join(
        [
            "# What each fault leads to",
            "",
            "Each fault of the simulator was tried at every request of a monthly load of each protocol, one at a time"
            " (faults in the data: at every request of data), once and for as long as the load lasts. After each trial"
            " the landing was compared with that of an undisturbed load, byte for byte.",
            "",
            f"- **{LOADS}**: the landing is that of an undisturbed load.",
            f"- **{NEWER}**: the office published meanwhile; the load started again, and holds that release alone.",
            f"- **{REPORTS}**: rows were rejected, or loaded under a code that nobody had declared; the rule stands"
            " behind it, the rows in `ops.rejected_rows` or `ops.findings`.",
            f"- **{STOPS}**: an error with dataset, URL and next step, or the landing gate with the names of its"
            " checks; the"
            " landing is what it was.",
            f"- **{NONE}**: no reply of this protocol can have the fault.",
            "- An empty cell has not been tried yet.",
            "",
            "No trial loaded a wrong row in silence, lost a row, or took longer than its bound. The table is written by"
            " `python -m tests.fault.matrix` and tried again by `make test-long`.",
            "",
            "| fault | what the office does | " + " | ".join(names) + " |",
            "|---" * (len(names) + 2) + "|",
            *rows,
            "",
        ]
    )
    PAGE.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Try every fault of every protocol (or of those named), and write the page."""
    for case in cases():
        if arguments and case.name not in arguments:
            continue
        found: dict[tuple[str, str], str] = {}
        with prepared_case(case.name) as (prepared, office, home):
            for kind in kinds():
                started = time.monotonic()
                try:
                    found[kind, case.name] = summarise(try_kind(prepared, office, kind, home))
                except AssertionError as error:
                    found[kind, case.name] = f"WRONG: {error}".replace("|", "/").replace("\n", " ")[:300]
                sys.stdout.write(
                    f"{time.monotonic() - started:5.1f} s  {case.name}: {kind}: {found[kind, case.name]}\n"
                )
                sys.stdout.flush()
        # Read at the last moment: another process may try other protocols.
        write_page((read_page() if PAGE.exists() else {}) | found)


if __name__ == "__main__":
    main(sys.argv[1:])
