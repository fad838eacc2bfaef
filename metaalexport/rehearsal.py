"""The rehearsal of a run: a small part of each slice that the DAGs load passes fetch, land and the landing gate.

It is never committed: it has its own state, ``<state>/rehearsal``.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import duckdb

from common.months import Month
from common.sql import quote
from extract.dataset import Dataset
from extract.errors import ExtractError
from extract.landing.store import Landing
from extract.offices import OFFICES
from extract.offices.base import OfficeVersion
from extract.politeness import hold
from extract.registry import get_dataset
from extract.slices import Slice
from metaalexport import asking, gaps, gates, ingest, reference
from metaalexport.journal import Journal
from metaalexport.run import Run
from metaalexport.settings import Settings

# Most characters of a reason in the prediction.
_REASON_WIDTH = 160
# Months after which a Comext month is complete, and the number of months requested.
_COMPLETE_AFTER_MONTHS, _MONTHS = 6, 3
# Years before the stamp at which a small slice of a series begins; annual data are published years late.
_SERIES_YEARS, _ANNUAL_YEARS = 1, 6
_PRODUCTS = 2
# Largest difference from a published figure without a note: CBS revises a year by 2 to 3 %.
_FIGURE_APART = 0.02


@dataclass(frozen=True)
class Rehearsed:
    """One slice that a run would load, with the outcome of its rehearsal.

    Attributes
    ----------
    dataset_code, reporter_code : str
        The slice; reporter ``*`` for files of all reporters.
    asked : str
        The request, in words.
    reason : str
        Why it would be stopped, in one clause; empty if it would be loaded.
    problem, found, next_step : str
        The check or error, the values that broke it, and the next command.
    stays_at : str
        Stamp of the newest committed load, which a run keeps publishing if this one is stopped.
    notes : tuple of str
        Observations that do not stop the slice.
    units : tuple of (str, str, str, str)
        For each measure with a stated unit: code, stated unit, declared unit, canonical unit.
    partners : tuple of dict
        Rows for the overlay's ``office_partners.csv`` for unknown codes.
    """

    dataset_code: str
    reporter_code: str
    asked: str
    reason: str = ""
    problem: str = ""
    found: str = ""
    next_step: str = ""
    stays_at: str = ""
    notes: tuple[str, ...] = ()
    units: tuple[tuple[str, str, str, str], ...] = ()
    partners: tuple[dict[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Dataset and reporter."""
        return f"{self.dataset_code} {self.reporter_code}"

    @property
    def is_passed(self) -> bool:
        """True if a run would load it."""
        return not self.reason

    @property
    def lines(self) -> list[str]:
        """At most three lines for a screen: check, values, next command."""
        state = gaps.BEHIND if self.stays_at else gaps.MISSING
        return gaps.SliceState(
            self.dataset_code,
            self.reporter_code,
            state,
            vintage_at=self.stays_at or None,
            problem=self.problem,
            found=self.found,
            next_step=self.next_step,
        ).lines


@dataclass
class _Staged:
    """A landed load of the rehearsal."""

    load_id: str
    notes: list[str] = field(default_factory=list)


def rehearse(
    settings: Settings, datasets: Sequence[str], run_id: str, progress: Callable[[str], None]
) -> Iterator[Rehearsed]:
    """Rehearse a small part of each slice that the DAGs load, or of the named datasets.

    Yields
    ------
    Rehearsed
        One per slice, in order of completion; a failure does not stop the others.
    """
    committed = {gaps.slice_of(load.load_id): load.vintage_at for load in Landing(settings.landing).committed()}
    with hold(
        settings.offices / "rehearsal.lock",
        dataset="all datasets",
        what="the rehearsal",
        wait_seconds=settings.lock_wait_seconds,
        progress=progress,
    ):
        own = _own_state(settings)
        for code in datasets or settings.datasets_to_load():
            for result in _rehearse_dataset(own, get_dataset(code), run_id, progress):
                stays_at = committed.get(gaps.slice_of(result.name), "")
                yield replace(result, stays_at=stays_at) if result.reason else result


def foretell(settings: Settings, results: Sequence[Rehearsed]) -> str:
    """Predict in one sentence what a run would publish: metal by reporter, the goods of CBS, and the rest."""
    metal: dict[str, list[Rehearsed]] = defaultdict(list)
    goods, others = [], []
    for result in results:
        dataset = get_dataset(result.dataset_code)
        if dataset.nomenclature == "CN" and dataset.slice_by == "reporter" and dataset.by_default:
            metal[result.reporter_code].append(result)
        elif dataset.office == "cbs" and dataset.total_partner:
            goods.append(result)
        else:
            others.append(result)
    clauses = [f"{reporter} metal {_verdict(found[0])}" for reporter, found in metal.items()]
    clauses += [f"{result.dataset_code} {_verdict(result)}" for result in goods]
    if others:
        stopped: dict[tuple[str, str], list[str]] = defaultdict(list)
        for result in others:
            if not result.is_passed:
                stopped[result.dataset_code, _verdict(result)].append(result.reporter_code)
        n_passed = sum(result.is_passed for result in others)
        clauses.append(f"{n_passed} of {len(others)} other slices")
        clauses += [f"{code} {'+'.join(reporters)} {verdict}" for (code, verdict), reporters in stopped.items()]
    who = "a run against the simulator" if settings.is_simulated else "a live run"
    return f"{who} would publish: {', '.join(clauses) or 'nothing, as nothing was requested'}"


def _verdict(result: Rehearsed) -> str:
    if result.is_passed:
        return "yes"
    there = f"nothing new (it stays at the release of {result.stays_at[:10]})" if result.stays_at else "no"
    return f"{there} because {result.reason}"


def _own_state(settings: Settings) -> Settings:
    """Return settings of an empty state that shares raw store and locks with the real one."""
    state = settings.state / "rehearsal"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    for shared in (settings.raw, settings.offices):
        shared.mkdir(parents=True, exist_ok=True)
        (state / shared.name).symlink_to(shared, target_is_directory=True)
    return replace(settings, state=state)


def _rehearse_dataset(
    settings: Settings, dataset: Dataset, run_id: str, progress: Callable[[str], None]
) -> Iterator[Rehearsed]:
    names = dataset.slice_reporters(settings.reporters)
    try:
        parts = [Slice.from_dict(part) for part in ingest.plan_loads(Run(settings, run_id), dataset.code)]
        stamp = _probe(settings, dataset, parts[0], run_id, progress) if parts else OfficeVersion("", "")
    except ExtractError as error:
        # A failure before the slices are known applies to all of them.
        for name in names:
            yield _stopped(dataset, name, "", error)
        return
    if not parts:
        for name in names:
            yield _refused(dataset, name, "the office has no file of it", "")
    for part in parts:
        progress(f"{dataset.code} {part.reporter}: rehearsing")
        tries = _small_slices(dataset, part, stamp.vintage_at)
        for number, small in enumerate(tries, start=1):
            result = _rehearse_slice(settings, dataset, small, run_id, progress)
            # A discontinued series has no recent months; then the whole slice is tried.
            if not result.reason.startswith("load_has_rows") or number == len(tries):
                break
        yield replace(result, notes=(stamp.notice, *result.notes)) if stamp.notice else result


def _probe(
    settings: Settings, dataset: Dataset, part: Slice, run_id: str, progress: Callable[[str], None]
) -> OfficeVersion:
    with asking.asking(Run(settings, run_id, progress), dataset) as (session, hosts):
        return OFFICES[dataset.office].probe(session, hosts, dataset, part)


def _small_slices(dataset: Dataset, part: Slice, vintage_at: str) -> list[Slice]:
    """Return the parts of a slice to try, the smallest first."""
    if dataset.slice_by == "month" or dataset.protocol == "comext_list":
        return [part]
    newest = Month.parse(vintage_at[:7])
    year = newest.year
    if dataset.total_partner and dataset.office == "cbs":
        products = part.products[:1] or (reference.total_product(dataset.office),)
        # Two years, to compare with published figures.
        return [replace(part, first_month=f"{year - 2}-01", last_month=f"{year - 1}-12", products=products)]
    if dataset.total_partner:
        of_scopes = reference.scope_products("EUROSTAT", dataset.nomenclature, None) if dataset.nomenclature else ()
        products = tuple(
            sorted({*of_scopes} & {*part.products} or {*part.products}, key=lambda code: (len(code), code))
        )
        last = newest - _COMPLETE_AFTER_MONTHS
        first = last - (_MONTHS - 1)
        return [replace(part, first_month=str(first), last_month=str(last), products=products[:_PRODUCTS])]
    first_year = year - (_ANNUAL_YEARS if dataset.is_annual else _SERIES_YEARS)
    recent = replace(part, first_month=max(part.first_month, f"{first_year}-01"))
    return [recent, part] if recent != part else [part]


def _rehearse_slice(
    settings: Settings, dataset: Dataset, part: Slice, run_id: str, progress: Callable[[str], None]
) -> Rehearsed:
    staged = _Staged("")
    asked = _words(part)
    try:
        fetched = ingest.fetch_load(Run(settings, run_id, progress), part.to_dict())
        if fetched is None:
            raise AssertionError("an empty state has nothing that could be unchanged")
        staged.load_id = ingest.stage_load(Run(settings, run_id, _silent), fetched)
        ingest.gate_load(Run(settings, run_id, _silent), staged.load_id)
        result = Rehearsed(dataset.code, part.reporter, asked)
    except (ExtractError, gates.GateFailedError) as error:
        result = _stopped(dataset, part.reporter, asked, error)
    return _with_content(settings, dataset, staged.load_id, result) if staged.load_id else result


def _stopped(dataset: Dataset, reporter: str, asked: str, error: ExtractError | gates.GateFailedError) -> Rehearsed:
    if isinstance(error, gates.GateFailedError):
        first = error.failed[0]
        reason = f"{', '.join(check.check_name for check in error.failed)}: {first.observed}"
        # The error's command needs a load id, and a rehearsal has none.
        next_step = "docs/runbook.md, 'The landing gate stopped a load'; a run loads the rest"
    else:
        reason, next_step = error.problem, error.next_step
    result = _refused(dataset, reporter, reason, asked)
    found = error.found if isinstance(error, gates.GateFailedError) else error.where
    return replace(result, problem=error.problem, found=found, next_step=next_step)


def _refused(dataset: Dataset, reporter: str, reason: str, asked: str) -> Rehearsed:
    line = " ".join(reason.split())
    short = line if len(line) <= _REASON_WIDTH else f"{line[: _REASON_WIDTH - 1]}…"
    return Rehearsed(dataset.code, reporter, asked, reason=short, problem=line)


def _with_content(settings: Settings, dataset: Dataset, load_id: str, result: Rehearsed) -> Rehearsed:
    """Add notes, units and partners from the landed rows, whether or not the landing gate passed them."""
    folder, _ = Landing(settings.landing).staged(load_id)
    tables = {path.stem: quote(str(path)) for path in folder.glob("*.parquet")}
    with duckdb.connect() as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.sql(query).fetchall()

        findings = rows(f"select rule, subject, detail from read_parquet({tables['findings']}) where mode != 'fail'")
        units = rows(
            "select measure_code, stated_unit, declared_unit, canonical_unit"
            f" from read_parquet({tables['measures']}) where stated_unit != ''"
        )
        notes = [f"{rule} {subject}: {detail}" for rule, subject, detail in findings]
        partners: set[str] = set()
        groups: list[tuple[str, str, str]] = []
        if dataset.total_partner:
            column = dataset.dimension_of("partner")
            partners = {row[0] for row in rows(f"select distinct partner from read_parquet({tables['observations']})")}
            groups = rows(
                f"select code, title, group_id from read_parquet({tables['codes']}) where dimension = {quote(column)}"
            )
            if dataset.office == "cbs":
                notes += _compare_figures(dataset, rows, tables["observations"], is_simulated=settings.is_simulated)
    if dataset.total_parts and {*dataset.total_parts} <= partners and dataset.total_partner not in partners:
        notes.append(f"there is no {dataset.total_partner}; the total is {' + '.join(dataset.total_parts)}")
    learned = _learn_partners(dataset, partners, groups)
    notes += [
        f"partner {row['office_code']} is in no list and counts as {row['member_kind']}"
        f"; if it is a country, the overlay's line is {dataset.office},{row['office_code']},country,<ISO code>"
        for row in learned
    ]
    told = ("nothing_is_undeclared", "partners_are_known", "no_row_is_rejected")
    notes += [
        f"{row['check_name']}: {row['observed']}"
        for row in Journal(settings.journal).read("checks")
        if row["subject"] == load_id
        and row["severity"] == "warn"
        and not row["is_passed"]
        and row["check_name"] not in told
    ]
    return replace(result, notes=tuple(notes), units=tuple(units), partners=tuple(learned))


def _compare_figures(
    dataset: Dataset, rows: Callable[[str], list[tuple[Any, ...]]], observations: str, *, is_simulated: bool
) -> list[str]:
    """Compare the total of all partners and products with published figures for the slice's months."""
    factors = {measure.code: measure.factor for measure in dataset.measures}
    found = {
        (measure, f"{period[:4]}-{period[6:]}-01"): value * factors[measure]
        for measure, period, value in rows(
            f"select measure, period, value from read_parquet({observations}) where value is not null"
            f" and partner = {quote(dataset.total_partner)} and period like '____MM__'"
            f" and product = {quote(reference.total_product(dataset.office))}"
        )
    }
    notes = []
    for code, measure, months, published in reference.published_totals(dataset, is_simulated=is_simulated):
        values = [found[measure, month] for month in months if (measure, month) in found]
        now, apart = sum(values), sum(values) / published - 1
        if len(values) == len(months) and abs(apart) > _FIGURE_APART:
            notes.append(
                f"anchor {code}: the office states {now / 1e6:,.0f} mln euros, {published / 1e6:,.0f} were published"
                f" ({apart:+.1%})"
            )
    return notes


def _learn_partners(dataset: Dataset, codes: set[str], groups: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Return rows for unknown codes: aggregates if the office's groups show it, else unmapped."""
    known = reference.office_partners(dataset.office)
    patterns = [code for code in known if "*" in code]
    unknown = sorted(
        code for code in codes if code not in known and not any(fnmatchcase(code, pattern) for pattern in patterns)
    )
    titles = {code: title for code, title, _ in groups}
    group_of = {code: group for code, _, group in groups if group}
    kinds: dict[str, set[str]] = defaultdict(set)
    for code, group in group_of.items():
        if code in known:
            kinds[group].add(known[code])
    rows = []
    for code in unknown:
        of_group = kinds.get(group_of.get(code, ""), set())
        is_aggregate = bool(of_group) and of_group <= {"aggregate", "total"}
        rows.append(
            {
                "office": dataset.office,
                "office_code": code,
                "member_kind": "aggregate" if is_aggregate else "unmapped",
                "office_name": titles.get(code, ""),
                "source": f"{dataset.code}, seen by `metaalexport doctor`",
                "confidence": "recorded" if is_aggregate else "unverified",
            }
        )
    return rows


def _words(part: Slice) -> str:
    products = f", {', '.join(part.products[:_PRODUCTS])}" if part.products else ""
    more = f" and {len(part.products) - _PRODUCTS} more" if len(part.products) > _PRODUCTS else ""
    return f"{part.first_month} to {part.last_month or 'the newest'}{products}{more}"


def _silent(message: str) -> None:
    """Discard the message; the result has it."""
