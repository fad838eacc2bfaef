"""Plausible errors of an office: each is planted in a release, and the landing gate's outcome is recorded.

A planted release is well formed, its totals are the sums of its members, and its stamp is new. ``python -m
tests.fault.plausible`` plants all errors and writes ``docs/plausible-errors.md``; the tests repeat this and compare.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from expectations import landing as landing_gate
from expectations.gate import Check
from extract.dataset import Dataset
from extract.landing.layout import cell_key, change_columns, month_of
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from extract.registry import get_dataset
from metaalexport import ingest, reference
from metaalexport.gate_input import compared_gate_input, landing_gate_input
from metaalexport.run import Run
from metaalexport.settings import REFERENCE, Settings
from simulator.server import Simulator, run_simulator
from tests.fault.loads import passes

EU_CODES = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip


@dataclass(frozen=True)
class Plant:
    """One error that can be planted.

    Attributes
    ----------
    name, what : str
        Name and description in the documentation's table.
    is_whole : bool
        True if the whole dataset is wrong; False if a chapter, a partner or a pair of partners is.
    statements : tuple of str
        SQL over table ``o``, which holds all observations with their month ``t`` and ``is_member``. Placeholders in
        braces: ``touched`` (rows that the error affects), ``value`` and ``quantity`` (measures), ``series`` (the key
        without period), ``chapter``, ``partner`` (a large one each), ``not_specified``, ``union`` (partners in the
        Union).
    offices : tuple of str
        Offices that can make the error.
    months : tuple of str
        Extents that are tried: all months, or only the newest.
    has_own_totals : bool
        True if the figures come with their totals, as those of another release or reporter do.
    """

    name: str
    what: str
    is_whole: bool
    statements: tuple[str, ...]
    offices: tuple[str, ...] = ("cbs", "eurostat")
    months: tuple[str, ...] = ("all months", "newest month")
    has_own_totals: bool = False


def _factor(factor: str, condition: str = "true") -> tuple[str, ...]:
    return (f"update o set value = {factor} * value where {{touched}} and {condition}",)


_PAIRS = """
    create or replace temp table pairs as
    select code, if(n % 2 = 1, later, earlier) as other from (
        select partner as code, row_number() over sized as n, lead(partner) over sized as later,
            lag(partner) over sized as earlier
        from o where is_member group by partner
        window sized as (order by sum(value) filter (where measure = '{value}') desc nulls last)
    ) where other is not null
"""
_SWAP = "update o set partner = pairs.other from pairs where o.partner = pairs.code and {touched}"
_LATE = (
    "create or replace temp table earlier as select *, t + interval 1 month as next from o",
    "delete from o where {touched} and CONDITION and not exists (from earlier as e where e.next = o.t and {same_e})",
    "update o set value = e.value from earlier as e where e.next = o.t and {same_e} and {touched} and CONDITION",
)


def _late(condition: str) -> tuple[str, ...]:
    return tuple(statement.replace("CONDITION", condition) for statement in _LATE)


def _exchange(one: str, other: str, condition: str = "true") -> tuple[str, ...]:
    return (
        f"update o set measure = case measure when '{one}' then '{other}' else '{one}' end"
        f" where measure in ('{one}', '{other}') and {{touched}} and {condition}",
    )


PLANTS = (
    *(
        Plant(f"factor {factor}", f"All figures are {factor} times what they are.", True, _factor(factor))
        for factor in ("10", "100", "1000", "0.1", "0.001")
    ),
    Plant("another currency", "All values are in another currency, of which 4.3 are a euro.", True,
          _factor("4.3", "measure in ({values})")),
    Plant("factor in a measure", "One measure is 1,000 times too large.", True, _factor("1000", "measure = '{value}'")),
    Plant("factor in the quantity", "Quantities are 100 times too large: another unit.", True,
          _factor("100", "measure = '{quantity}'"), ("eurostat",)),
    Plant("factor in a chapter", "One chapter is 1,000 times too large.", False, _factor("1000", "{chapter}")),
    Plant("factor in a partner", "One partner is 1,000 times too large.", False,
          _factor("1000", "partner = '{partner}'")),
    Plant("factor 10 in a small partner", "One small partner is 10 times too large.", False,
          _factor("10", "partner = '{small_partner}'")),
    Plant("partners swapped", "Partners are exchanged two by two, by size.", True, (_PAIRS, _SWAP)),
    Plant("two partners swapped", "The two largest partners are exchanged.", False,
          (_PAIRS, "delete from pairs where code not in ('{partner}', '{second_partner}')", _SWAP)),
    Plant("a month late", "Each month has the figures of the month before.", True, _late("true")),
    Plant("a chapter a month late", "One chapter has the figures of the month before.", False, _late("{chapter}")),
    Plant("another reporter", "The figures are another reporter's.", True,
          ("create or replace temp table mine as from o",
           "delete from o where {touched}",
           "insert into o select r.* replace ('NL' as reporter) from others as r where {touched_r}"), ("eurostat",)),
    Plant("an older release", "The release of a year's quarter ago has a new stamp.", True,
          ("delete from o", "insert into o from older"), months=("all months",), has_own_totals=True),
    Plant("older figures", "Months that are known go back to the figures before their last revision.", True,
          ("update o set value = b.value from older as b where b.period = o.period and {same_b}",
           "delete from o where o.t > (select max(t) from older)",
           "insert into o from now where t > (select max(t) from older)"), months=("all months",), has_own_totals=True),
    Plant("a stale release", "The last release has a new stamp.", True,
          ("delete from o", "insert into o from last"), months=("all months",), has_own_totals=True),
    Plant("a partner not specified", "A large partner is dropped; its value is in what is not specified.", False,
          ("update o set partner = '{not_specified}' where partner = '{partner}' and {touched}",)),
    Plant("a chapter missing", "A chapter is missing; the total of products is without it.", False,
          ("delete from o where {chapter} and {touched}",)),
    Plant("measures exchanged", "Two measures are exchanged: value and quantity, total and re-exports.", True,
          _exchange("{value}", "{quantity}")),
    Plant("re-exports exchanged", "Re-exports and Dutch product are exchanged.", True, _exchange("M001648", "M001632"),
          ("cbs",)),
    Plant("re-exports exchanged in a chapter", "Re-exports and Dutch product of a section are exchanged.", False,
          _exchange("M001648", "M001632", "{chapter}"), ("cbs",)),
    Plant("newest month copied", "The newest month is a copy of the month before.", True, _late("true"),
          months=("newest month",)),
    Plant("half of the Union missing", "Partners in the Union are missing for half of the products.", True,
          ("delete from o where {touched} and partner in ({union}) and product in ({half_products})",)),
)  # fmt: skip


def plant_error(
    plant: Plant,
    months: str,
    dataset: Dataset,
    observations: Path,
    target: Path,
    *,
    last: Path,
    older: Path,
    others: Path | None = None,
) -> None:
    """Write the observations of a release with a planted error.

    Parameters
    ----------
    months : str
        ``all months`` or ``newest month``, the newest in which most partners have a figure.
    observations, last, older : Path
        Observations of the release, of the previous one, and of an older one.
    others : Path or None
        Another reporter's observations in the same release.
    """
    partners = reference.office_partners(dataset.office)
    members = [code for code, kind in partners.items() if kind in ("country", "unallocated")]
    columns = list(change_columns(dataset))
    series = [column for column in cell_key(dataset) if column != "period"]
    with duckdb.connect() as connection:
        cast = f"*, {month_of('period')} as t, partner in {tuple(members)} as is_member"
        for table, path in {"now": observations, "last": last, "older": older, "others": others}.items():
            if path is not None:
                connection.execute(f"create table {table} as select {cast} from read_parquet('{path}')")
        connection.execute("create table o as from now")
        names = _names(connection, dataset, series, partners)
        # The error affects neither the years among CBS's periods nor a month that is still incomplete.
        newest = f"t = date '{names['newest']}'" if months == "newest month" else "true"
        names["touched"] = f"(o.is_member and o.period not like '%JJ%' and o.{newest})".replace("o.true", "true")
        names["touched_r"] = names["touched"].replace("o.", "r.")
        for statement in plant.statements:
            connection.execute(statement.format(**names))
        rest = ", ".join(c for c in series if c != "partner")
        kept = ", ".join(f"any_value({c}) as {c}" for c in columns if c not in (*series, "period", "value"))
        connection.execute(
            f"""
            create table whole as
            select {", ".join(columns)} from (
                select {", ".join(series)}, period, sum(value) as value, {kept} from o where is_member group by all
                union all by name
                select o.* from o where not is_member
            )
            """
        )
        if not plant.has_own_totals:
            _make_consistent(connection, rest, dataset.total_partner)
        projection = ", ".join(columns)
        connection.execute(f"copy (select {projection} from whole) to '{target}' (format parquet)")


def _names(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, series: list[str], partners: dict[str, str]
) -> dict[str, str]:
    def one(query: str) -> str:
        return str(connection.execute(query).fetchall()[0][0])

    def same(alias: str) -> str:
        return " and ".join(f"o.{column} is not distinct from {alias}.{column}" for column in series)

    value = "D001636" if dataset.office == "cbs" else dataset.value_measures[0]
    quantity = "M001648" if dataset.office == "cbs" else dataset.unit_value_of[1]
    countries = [code for code, kind in partners.items() if kind == "country"]
    sized = (
        f"from o where partner in {tuple(countries)} and measure = '{value}' group by partner order by sum(value) desc"
    )
    is_whole = f"partner = '{dataset.total_partner}' and period not like '%JJ%'"
    chapter = "o.product = 'A018678'" if dataset.office == "cbs" else "o.product like '76%'"
    union: list[str] = list(EU_CODES)
    if dataset.office == "cbs":
        union = [
            row["office_code"]
            for row in reference._rows(REFERENCE / "office_partners.csv")
            if row["office"] == "cbs" and row["destination_code"] in EU_CODES
        ]
    return {
        "value": value,
        "values": ", ".join(f"'{code}'" for code in dataset.value_measures),
        "quantity": quantity,
        "chapter": chapter,
        "partner": one(f"select partner {sized} limit 1"),
        "second_partner": one(f"select partner {sized} limit 1 offset 1"),
        "small_partner": one(f"select partner {sized} limit 1 offset 60"),
        "not_specified": next(
            code for code, kind in partners.items() if kind == "unallocated" and code in _in_use(connection)
        ),
        "union": ", ".join(f"'{code}'" for code in union),
        "half_products": "select product from (select distinct product from now) where hash(product) % 2 = 0",
        "newest": one(f"select max(t) from o where {is_whole}"),
        "same_e": same("e"),
        "same_b": same("b"),
    }


def _in_use(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in connection.execute("select distinct partner from now").fetchall()}


def _make_consistent(connection: duckdb.DuckDBPyConnection, rest: str, total: str) -> None:
    """Adjust the totals of partners by the changes of their members."""
    connection.execute(
        f"""
        create table moved as
        select {rest}, period, sum(value) as more from (
            select {rest}, period, value from whole where partner in (select distinct partner from now where is_member)
            union all
            select {rest}, period, -value from now where is_member
        ) group by all
        """
    )
    same = " and ".join(f"w.{c} is not distinct from m.{c}" for c in [*rest.split(", "), "period"])
    connection.execute(
        f"update whole as w set value = w.value + m.more from moved as m where w.partner = '{total}' and {same}"
    )


STOPPED, MARKED, SILENT = "stopped", "marked", "published in silence"
DATASETS = ("cbs_85429ned", "eurostat_ds_045409")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "plausible-errors.md"
# Errors are planted in the last of these releases: a trailing window with a history of revisions.
_FIRST, _NOW = 9, 12


@dataclass
class Prepared:
    """A staged release and the releases before it."""

    dataset: Dataset
    landing: Landing
    manifest: LoadManifest
    observations: Path
    last: Path
    older: Path
    oldest: Path
    others: Path | None

    @cached_property
    def ordinary_warnings(self) -> list[str]:
        """Names of the checks that warn on the unchanged release."""
        return self.findings(self.observations)[1]

    def history_checks(self) -> list[Check]:
        """Return the checks that compare the release with its history."""
        folder, _ = self.landing.staged(self.manifest.load_id)
        checks = landing_gate.landing_checks(landing_gate_input(self.dataset, self.manifest, folder, self.last))
        return [check for check in checks if check.table.startswith("history_")]

    def findings(self, observations: Path) -> tuple[list[str], list[str]]:
        """Return the checks that would stop the release with these observations, and those that would warn."""
        staged, _ = self.landing.staged(self.manifest.load_id)
        with TemporaryDirectory(prefix="metaalexport-gate-") as gate:
            folder = Path(gate) / "load"
            folder.mkdir()
            for table in staged.glob("*.parquet"):
                source = observations if table.stem == "observations" else table
                (folder / table.name).symlink_to(source.resolve())
            database = Path(gate) / "gate.duckdb"
            load = compared_gate_input(self.landing, self.dataset, self.manifest, folder, Path(gate))
            landing_gate.prepare_database(database, load)
            with duckdb.connect(str(database), read_only=True) as connection:
                failed = [check for check in landing_gate.landing_checks(load) if not passes(connection, check)]
        by_severity = {s: [check.name for check in failed if check.severity == s] for s in ("error", "warn")}
        return by_severity["error"], by_severity["warn"]


@contextmanager
def prepare(code: str, home: Path) -> Iterator[Prepared]:
    """Load three releases of a dataset for NL, and stage the fourth without a commit."""
    dataset = get_dataset(code)
    kept: dict[tuple[str, int], Path] = {}
    simulator = Simulator(release=_FIRST)
    with run_simulator(simulator) as url:
        reporters = ("NL", "DE") if dataset.slice_by == "reporter" else ("NL",)
        settings = Settings(
            "simulator", home / "simulator", reporters=reporters, first_month="2023-01", simulator_url=url,
            http_attempts=1,
        )  # fmt: skip
        landing, manifest = Landing(settings.landing), None
        for number in range(_FIRST, _NOW + 1):
            simulator.set_release(number)
            for part in ingest.plan_loads(Run(settings, progress=_quiet), code):
                fetched = ingest.fetch_load(Run(settings, "plausible", _quiet), part)
                assert fetched is not None
                load_id = ingest.stage_load(Run(settings, "plausible", _quiet), fetched)
                folder, staged = landing.staged(load_id)
                kept[staged.reporter, number] = home / f"{staged.reporter}-{number}.parquet"
                shutil.copy(folder / "observations.parquet", kept[staged.reporter, number])
                if number == _NOW and staged.reporter == "NL":
                    manifest = staged
                else:
                    ingest.commit_load(Run(settings, "plausible", _quiet), load_id)
    assert manifest is not None
    observations, last, older, oldest = (kept["NL", number] for number in range(_NOW, _FIRST - 1, -1))
    yield Prepared(dataset, landing, manifest, observations, last, older, oldest, kept.get(("DE", _NOW)))


def _quiet(message: str) -> None:
    """Discard a progress message."""


def trials(dataset: Dataset) -> list[tuple[Plant, str]]:
    """Return the errors that a dataset can have, each with the extents in time that are tried."""
    return [(plant, months) for plant in PLANTS if dataset.office in plant.offices for months in plant.months]


def try_plant(prepared: Prepared, plant: Plant, months: str, home: Path) -> str:
    """Plant an error; return its outcome and the names of the checks that found it."""
    planted = home / "planted.parquet"
    planted.unlink(missing_ok=True)
    plant_error(
        plant, months, prepared.dataset, prepared.observations, planted, last=prepared.last,
        older=prepared.oldest if plant.name == "an older release" else prepared.older, others=prepared.others,
    )  # fmt: skip
    stops, marks = prepared.findings(planted)
    # Warnings of the unchanged release are unrelated to the error.
    marks = [name for name in marks if name not in prepared.ordinary_warnings]
    if stops:
        return f"{STOPPED}: {', '.join(stops)}"
    return f"{MARKED}: {', '.join(marks)}" if marks else SILENT


def read_page() -> dict[tuple[str, str, str], str]:
    """Return the documented outcomes by dataset, error and months."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    codes = [cell.strip() for cell in lines[0].split("|")[1:-1]][4:]
    said: dict[Any, Any] = {}
    for line in lines[2:]:
        name, _, _, months, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
        said |= {(code, name, months): cell for code, cell in zip(codes, cells, strict=True) if cell != "cannot be"}
    return said


def main() -> None:
    """Plant every error in every dataset, and write the documentation page."""
    found: dict[tuple[str, str, str], str] = {}
    for code in DATASETS:
        with TemporaryDirectory(prefix="metaalexport-plausible-") as folder, prepare(code, Path(folder)) as prepared:
            for plant, months in trials(prepared.dataset):
                found[code, plant.name, months] = try_plant(prepared, plant, months, Path(folder))
                sys.stdout.write(f"{code}, {plant.name}, {months}: {found[code, plant.name, months]}\n")
                sys.stdout.flush()
    write_page(found)


def write_page(found: dict[tuple[str, str, str], str]) -> None:
    """Write `docs/plausible-errors.md`."""
    rows = [
        f"| {plant.name} | {'whole' if plant.is_whole else 'part'} | {plant.what} | {months} | "
        + " | ".join(found.get((code, plant.name, months), "cannot be") for code in DATASETS)
        + " |"
        for plant in PLANTS
        for months in plant.months
    ]
    text = "\n".join(
        [
            "# Errors of an office that look right",
            "",
            "Each error was planted in a new release of the simulated offices, with totals made consistent, and judged"
            " by the landing gate. The simulator proves nothing about the offices: how often the checks err on real"
            " series is in"
            " [ADR 0015](adr/0015-a-month-is-compared-with-its-own-history.md).",
            "",
            f"- **{STOPPED}**: the load is not committed; the checks that stopped it stand behind it.",
            f"- **{MARKED}**: the load is committed, and the checks named warn.",
            f"- **{SILENT}**: the landing gate says nothing. A month of a destination that is far from its own history"
            " is still"
            " marked in `rpt_destination_shares` (`is_unusual`).",
            "- **cannot be**: the dataset has no such measure or reporter.",
            "",
            "The table is written by `python -m tests.fault.plausible` and tried again by `make test-long`.",
            "",
            "| error | extent | what the office did | where | " + " | ".join(DATASETS) + " |",
            "|---" * (len(DATASETS) + 4) + "|",
            *rows,
            "",
        ]
    )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
