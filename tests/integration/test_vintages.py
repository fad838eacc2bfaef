"""Vintages, partner sets and completeness: dbt builds a generated landing area, and the figures are recomputed.

This module does not use the extraction code: it writes the landing contract by hand. All figures are made up.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from extract.registry import get_dataset, load_registry
from metaalexport import building, reference
from metaalexport.dbt import run_dbt
from metaalexport.run import Run
from metaalexport.settings import Settings
from publish.duckdb_file import connect_published, publish_duckdb

pytestmark = [pytest.mark.integration, pytest.mark.long]

COMMON: dict[str, dict[str, str]] = {
    "coverage": {
        "load_id": "varchar",
        "reporter_code": "varchar",
        "product_code": "varchar",
        "first_month": "date",
        "last_month": "date",
        "has_all_partners": "boolean",
        "panel": "varchar",
    },
    "measures": {
        "load_id": "varchar",
        "measure_code": "varchar",
        "stated_unit": "varchar",
        "declared_unit": "varchar",
        "canonical_unit": "varchar",
        "factor": "double",
    },
    "codes": dict.fromkeys(("load_id", "dimension", "code", "title", "description", "group_id", "status"), "varchar"),
    "rejects": {"load_id": "varchar", "request_no": "integer", "rule": "varchar", "row_content": "varchar"},
    "findings": dict.fromkeys(("load_id", "rule", "subject", "detail", "mode"), "varchar"),
}
BULK_TEXTS = (
    *("layout", "reporter", "partner", "trade_type", "product", "sitc", "cpa21", "cpa22", "bec", "bec5", "section"),
    *("flow", "stat_procedure", "suppl_unit", "period"),
)
BULK_NUMBERS = ("value_eur", "value_nac", "quantity_kg", "supplementary_quantity")

Cell = tuple[str, ...]  # the dimensions in registry order, then the measure
State = dict[Cell, float | None]
FactKey = tuple[str, str, str, str, str, str, date]
Facts = dict[FactKey, tuple[Decimal, Decimal | None]]


def roles_of(dataset: str) -> list[str]:
    """Return the landing columns of a dataset's dimensions, in the order of its declaration."""
    return [column for column in get_dataset(dataset).dimensions.values() if column != "measure"]


def changes_columns(dataset: str) -> dict[str, str]:
    """Return the columns of a dataset's landing table `changes`."""
    first = {"load_id": "varchar", "request_no": "integer", "change_kind": "varchar"}
    if dataset == "eurostat_comext_bulk":
        return first | dict.fromkeys(BULK_TEXTS, "varchar") | dict.fromkeys(BULK_NUMBERS, "double")
    last = {"measure": "varchar", "value": "double", "status": "varchar", "confidentiality": "varchar"}
    return first | dict.fromkeys(roles_of(dataset), "varchar") | last


@dataclass
class Load:
    """One committed load and its request."""

    dataset: str
    load_id: str
    vintage_at: datetime
    panel: str
    reporter: str
    products: list[str]
    first_month: date
    last_month: date

    def covers(self, reporter: str, product: str, month: date) -> bool:
        """Return True if the load requested a group."""
        asked = any(product == p or (p.endswith("*") and product.startswith(p[:-1])) for p in self.products)
        return asked and reporter == self.reporter and self.first_month <= month <= self.last_month


@dataclass
class Office:
    """A landing area under construction, and all values reported so far, by dataset and partner set."""

    settings: Settings
    loads: list[Load] = field(default_factory=list)
    said: dict[tuple[str, str], State] = field(default_factory=lambda: defaultdict(dict))
    history: list[tuple[Load, dict[tuple[str, str], State]]] = field(default_factory=list)
    brought: dict[tuple[str, str, Cell], str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write the empty tables of every declared dataset, and an empty journal."""
        for dataset in load_registry():
            folder = self.settings.landing / dataset / "_schema"
            folder.mkdir(parents=True)
            for table, columns in {"changes": changes_columns(dataset), **COMMON}.items():
                write_parquet(folder / f"{table}.parquet", columns, [])
            (folder / "load.json").touch()
        requests = self.settings.raw / "requests" / "_schema"
        requests.mkdir(parents=True)
        (requests / "none.json").touch()
        for kind in ("checks", "runs"):
            folder = self.settings.journal / kind
            folder.mkdir(parents=True)
            (folder / "_schema.jsonl").touch()
        registry = [
            {"dataset_code": code, "office": code.split("_")[0]}
            | dict.fromkeys(("identifier", "title_nl", "title_en", "licence", "citation", "release_note"), code)
            | {"licence_url": "https://example.org", "source_url": "https://example.org", "is_verified": False}
            | {"rounding_unit_eur": 1_000_000 if code.startswith("cbs") else 1}
            | {"nomenclature_code": "CN" if code == "eurostat_ds_045409" else None}
            for code in ("cbs_85429ned", "cbs_85427ned", "eurostat_ds_045409")
        ]
        (self.settings.journal / "datasets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in registry))
        header = "scope_code,scope_name_en,scope_name_nl,nomenclature_code,product_code,valid_from,valid_to\n"
        (self.settings.journal / "user_scopes.csv").write_text(header)
        reference.write_overlay_partners(self.settings.journal / reference.PARTNERS_FILE)

    def release(
        self,
        dataset: str,
        vintage_at: datetime,
        state: State,
        *,
        panel: str = "*",
        reporter: str = "NL",
        products: list[str],
        first_month: date,
        last_month: date,
        periods: dict[str, tuple[str, str]] | None = None,
    ) -> str:
        """Write a load whose request returned ``state``; land only new, revised and withdrawn cells."""
        number = len(self.loads)
        load_id = f"{dataset}__{number:02d}"
        load = Load(dataset, load_id, vintage_at, panel, reporter, products, first_month, last_month)
        roles = roles_of(dataset)
        before = self.said[dataset, panel]
        rows: list[dict[str, Any]] = []
        asked_before = {cell for cell in before if load.covers(*group_of(roles, cell))}
        for cell in sorted(state.keys() | asked_before):
            if cell not in state:
                kind, value, request_no = "withdrawn", None, None
                del before[cell]
            elif cell not in before or before[cell] != state[cell]:
                kind, value, request_no = ("revised" if cell in before else "new"), state[cell], hash_of(cell) % 2
                before[cell] = value
                self.brought[dataset, panel, cell] = load_id
            else:
                continue
            dimensions = dict(zip(roles, cell[:-1], strict=True))
            rows.append(
                {"load_id": load_id, "request_no": request_no, "change_kind": kind, **dimensions}
                | {"measure": cell[-1], "value": value, "status": None, "confidentiality": None}
            )
        self.loads.append(load)
        self.history.append((load, {key: dict(said) for key, said in self.said.items()}))
        factors = {"D": 1e6, "M": 1e6, "VALUE_IN_EUROS": 1, "QUANTITY_IN_100KG": 100}
        measures = sorted({cell[-1] for cell in state} | {row["measure"] for row in rows})
        withdrawn = sum(row["change_kind"] == "withdrawn" for row in rows)
        tables: dict[str, list[dict[str, Any]]] = {
            "changes": rows,
            "coverage": [
                {"load_id": load_id, "reporter_code": reporter, "product_code": product, "first_month": first_month}
                | {"last_month": last_month, "has_all_partners": panel == "*", "panel": panel}
                for product in products
            ],
            "measures": [
                {"load_id": load_id, "measure_code": m, "factor": factors.get(m) or factors[m[0]]} for m in measures
            ],
            "codes": [
                {"load_id": load_id, "dimension": "Perioden", "code": code, "title": title, "status": status}
                for code, (title, status) in (periods or {}).items()
            ],
        }
        self._write(load, tables, rows_loaded=len(state), rows_changed=len(rows) - withdrawn, withdrawn=withdrawn)
        return load_id

    def bulk(self, vintage_at: datetime, rows: list[dict[str, Any]]) -> None:
        """Write a load of bulk rows unchanged."""
        load_id = f"eurostat_comext_bulk__{len(self.loads):02d}"
        load = Load("eurostat_comext_bulk", load_id, vintage_at, "*", "NL", ["*"], date(2024, 1, 1), date(2024, 12, 1))
        self.loads.append(load)
        landed = [{"load_id": load_id, "request_no": 0, "change_kind": "new", **row} for row in rows]
        covered = {
            "load_id": load_id,
            "reporter_code": "*",
            "product_code": "*",
            "has_all_partners": True,
            "panel": "*",
        }
        covered |= {"first_month": date(2024, 1, 1), "last_month": date(2024, 12, 1)}
        self._write(
            load, {"changes": landed, "coverage": [covered]}, rows_loaded=len(rows), rows_changed=len(rows), withdrawn=0
        )

    def _write(
        self,
        load: Load,
        tables: dict[str, list[dict[str, Any]]],
        *,
        rows_loaded: int,
        rows_changed: int,
        withdrawn: int,
    ) -> None:
        folder = self.settings.landing / load.dataset / load.load_id
        folder.mkdir(parents=True)
        for table, columns in {"changes": changes_columns(load.dataset), **COMMON}.items():
            write_parquet(folder / f"{table}.parquet", columns, tables.get(table, []))
        requests = [f"r-{load.load_id}-{number}" for number in range(2)]
        stamp = load.vintage_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        retrieved = (load.vintage_at + timedelta(hours=1, minutes=len(self.loads))).strftime("%Y-%m-%dT%H:%M:%SZ")
        manifest = {
            "load_id": load.load_id,
            "dataset": load.dataset,
            "office": load.dataset.split("_")[0],
            "reporter": load.reporter,
            "slice": {},
            "office_version": stamp,
            "vintage_at": stamp,
            "retrieved_at": retrieved,
            "transport": "simulator",
            "is_simulated": True,
            "rows_read": rows_loaded,
            "rows_loaded": rows_loaded,
            "rows_rejected": 0,
            "request_ids": requests,
            "payload_sha256s": ["0" * 64] * 2,
            "rows_changed": rows_changed,
            "rows_withdrawn": withdrawn,
            "panel": load.panel,
            "is_full": True,
            "protocol": "test",
        }
        (folder / "load.json").write_text(json.dumps(manifest) + "\n")
        records = self.settings.raw / "requests" / load.dataset
        records.mkdir(parents=True, exist_ok=True)
        for request in requests:
            record = {
                "request_id": request,
                "dataset": load.dataset,
                "purpose": "data",
                "url": f"http://127.0.0.1/{request}",
                "status": 200,
                "content_type": "text/csv",
                "sha256": "0" * 64,
                "bytes": 1,
                "retrieved_at": retrieved,
                "transport": "simulator",
                "attempt": 1,
                "outcome": "ok",
                "run_id": "test",
            }
            (records / f"{request}.json").write_text(json.dumps(record) + "\n")

    def facts_at(self, moment: datetime) -> Facts:
        """Recompute the facts from complete states: each group's values in its partner set in force at `moment`."""
        said: dict[tuple[str, str], State] = {}
        in_force: dict[tuple[str, str, str, date], Load] = {}
        known = sorted(
            (item for item in self.history if item[0].vintage_at <= moment),
            key=lambda item: (item[0].vintage_at, item[0].panel == "*"),
        )
        for load, snapshot in known:
            said[load.dataset, load.panel] = snapshot[load.dataset, load.panel]
        for load, _ in known:
            roles = roles_of(load.dataset)
            ever = {
                group_of(roles, cell)[1]
                for (dataset, _), state in self.history[-1][1].items()
                if dataset == load.dataset
                for cell in state
            }
            month = load.first_month
            while month <= load.last_month:
                for product in ever:
                    if load.covers(load.reporter, product, month):
                        in_force[load.dataset, load.reporter, product, month] = load
                month = next_month(month)
        facts: Facts = {}
        for (dataset, reporter, product, month), load in in_force.items():
            cells: dict[Cell, float | None] = {
                cell: value
                for cell, value in said[dataset, load.panel].items()
                if value is not None and group_of(roles_of(dataset), cell) == (reporter, product, month)
            }
            facts |= FACTS_OF[dataset](cells, reporter, product, month, load.panel == "*")
        return facts


def write_parquet(path: Path, columns: dict[str, str], rows: list[dict[str, Any]]) -> None:
    """Write rows (missing keys are null) as a landing table."""
    with duckdb.connect() as connection:
        connection.execute(f"create table t ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        if rows:
            values = [[row.get(name) for name in columns] for row in rows]
            connection.executemany(f"insert into t values ({', '.join('?' * len(columns))})", values)
        connection.execute(f"copy t to '{path}' (format parquet)")


def hash_of(cell: Cell) -> int:
    """Return a number that is the same in every process."""
    return sum(map(ord, "".join(cell)))


def next_month(month: date) -> date:
    """Return the first day of the next month."""
    return (month + timedelta(days=32)).replace(day=1)


def group_of(roles: list[str], cell: Cell) -> tuple[str, str, date]:
    """Return reporter, product and month of a cell; a year belongs to its January."""
    dimensions = dict(zip(roles, cell[:-1], strict=True))
    digits = re.sub(r"\D", "", dimensions["period"].replace("JJ00", "01"))
    return dimensions.get("reporter", "NL"), dimensions["product"], date(int(digits[:4]), int(digits[4:6]), 1)


# Office codes and their meaning, as in the seed office_partners.
CBS_PARTNERS = {
    "T001047": ("total", ""),
    "L007935": ("aggregate", ""),
    "L008592": ("country", "DE"),
    "L008778": ("country", "US"),
    "L008817": ("country", "EA"),
    "L008818": ("country", "EA"),
    "L008812": ("unallocated", "unallocated"),
    "L008822": ("unallocated", "unallocated"),
}
COMEXT_PARTNERS = {
    "WORLD": ("total", ""),
    "EXT_EU27_2020": ("aggregate", ""),
    "DE": ("country", "DE"),
    "US": ("country", "US"),
    "XC": ("country", "EA"),
    "XL": ("country", "EA"),
    "XI": ("part", "GB"),
    "QV": ("unallocated", "unallocated"),
    "QY": ("unallocated", "unallocated"),
}
CBS_PRODUCTS = {"A018678": "6", "A018743": "7"}
CBS_FLOWS = {"D001636": "total", "M001648": "re_export", "M001632": "domestic_product", "M007897": "quasi_transit"}
MILLION = Decimal(1_000_000)
Member = tuple[str, str, Decimal, Decimal | None]


def facts_of_series(series: tuple[str, str, str, str, str, date], members: list[Member], *, has_all: bool) -> Facts:
    """Return the destinations of one concept, flow kind, reporter, product and month, including the remainder."""
    concept, flow, reporter, nomenclature, product, month = series

    def key(destination: str) -> FactKey:
        return (concept, flow, reporter, destination, nomenclature, product, month)

    facts: Facts = {}

    def add(destination: str, value: Decimal, quantity: Decimal | None) -> None:
        old = facts.get(key(destination), (Decimal(0), None))
        kilograms = [q for q in (old[1], quantity) if q is not None]
        facts[key(destination)] = (old[0] + value, sum(kilograms, Decimal(0)) if kilograms else None)

    leaves = [m for m in members if m[0] in ("country", "unallocated")]
    for _, destination, value, quantity in leaves:
        add(destination, value, quantity)
    for kind, _, value, quantity in members:
        if kind == "total":
            rest = value - sum((m[2] for m in leaves), Decimal(0))
            kilograms = None if quantity is None else quantity - sum((m[3] or Decimal(0) for m in leaves), Decimal(0))
            if rest:
                add("unallocated" if has_all else "not_loaded", rest, kilograms)
    return facts


def cbs_facts(cells: State, reporter: str, product: str, month: date, has_all: bool) -> Facts:
    """Return the facts of a product and month of 85429NED."""
    values = {(c[0], c[3]): Decimal(str(v)) * MILLION for c, v in cells.items() if "MM" in c[2] and v is not None}
    facts: Facts = {}
    for concept in ("border_crossing_incl_transit", "border_crossing_excl_transit"):
        for measure, flow in CBS_FLOWS.items():
            members: list[Member] = []
            for partner, (kind, destination) in CBS_PARTNERS.items():
                value = values.get((partner, measure))
                if concept.endswith("excl_transit"):
                    parts = [values.get((partner, part)) for part in ("M001648", "M001632")]
                    if flow == "total":
                        value = None if None in parts else sum((p for p in parts if p is not None), Decimal(0))
                    elif flow == "quasi_transit":
                        value = None
                if value is not None:
                    members.append((kind, destination, value, None))
            series = (concept, flow, reporter, "SITC", CBS_PRODUCTS[product], month)
            facts |= facts_of_series(series, members, has_all=has_all)
    return facts


def comext_facts(cells: State, reporter: str, product: str, month: date, has_all: bool) -> Facts:
    """Return the facts of a product and month of DS-045409."""
    values = {(c[2], c[6]): Decimal(str(v)) for c, v in cells.items() if c[4] == "2" and v is not None}
    members: list[Member] = []
    for partner, (kind, destination) in COMEXT_PARTNERS.items():
        value = values.get((partner, "VALUE_IN_EUROS"))
        quantity = values.get((partner, "QUANTITY_IN_100KG"))
        if value is not None:
            members.append((kind, destination, value, None if quantity is None else quantity * 100))
    return facts_of_series(("community", "total", reporter, "CN", product, month), members, has_all=has_all)


FACTS_OF = {"cbs_85429ned": cbs_facts, "eurostat_ds_045409": comext_facts}
JANUARY, FEBRUARY, MARCH = date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1)


def _revise(state: State, wanted: Sequence[Cell], dice: random.Random, share: float) -> State:
    """Return a state in which some cells are revised, removed, without a value, or restored."""
    revised = dict(state)
    for cell in wanted:
        if dice.random() < share:
            revised[cell] = dice.choice([None, 0.0, float(dice.randint(1, 4)), float(dice.randint(1, 900))])
            if dice.random() < 0.3:
                del revised[cell]
    return revised


def write_random_history(office: Office, seed: int) -> None:
    """Write eight releases of two datasets with revisions, withdrawals, two partner sets and partial reloads."""
    dice = random.Random(seed)
    cbs = [
        (partner, product, period, measure)
        for partner in CBS_PARTNERS
        for product in CBS_PRODUCTS
        for period in ("2025MM01", "2025MM02", "2025JJ00")
        for measure in CBS_FLOWS
    ]
    comext = [
        ("M", "NL", partner, product, flow, f"2025-0{month}", measure)
        for partner in COMEXT_PARTNERS
        for product in ("72", "73")
        for flow in ("1", "2")
        for month in (1, 2)
        for measure in ("VALUE_IN_EUROS", "QUANTITY_IN_100KG")
    ]
    periods = {
        "2025MM01": ("2025 januari", "Voorlopig"),
        "2025MM02": ("2025 februari", "Voorlopig"),
        "2025JJ00": ("2025 januari-februari", "Voorlopig"),
    }
    states: dict[str, State] = {"cbs_85429ned": {}, "eurostat_ds_045409": {}}
    for number in range(8):
        for dataset, cells in (("cbs_85429ned", cbs), ("eurostat_ds_045409", comext)):
            # The third release repeats every cell of the second.
            share = (1.0, 0.3, 0.0, 0.05, 0.3, 0.05, 0.3, 0.1)[number]
            state = _revise(states[dataset], cells, dice, share)
            states[dataset] = state
            asked = {"cbs_85429ned": ["*"], "eurostat_ds_045409": ["72", "7*"]}[dataset]
            first = FEBRUARY if number == 5 else JANUARY
            panels = (["*"], ["*"], ["*"], ["few"], ["few", "*"], ["*"], ["few"], ["*"])[number]
            for panel in panels:
                partner_at = roles_of(dataset).index("partner")
                few = {"T001047", "L008592", "WORLD", "DE", "XC", "QV"}
                seen = {
                    cell: value
                    for cell, value in state.items()
                    if (panel == "*" or cell[partner_at] in few) and group_of(roles_of(dataset), cell)[2] >= first
                }
                office.release(
                    dataset,
                    datetime(2025, 4 + number, 15, 4, 30),
                    seen,
                    panel=panel,
                    products=asked,
                    first_month=first,
                    last_month=FEBRUARY,
                    periods=periods if dataset.startswith("cbs") else None,
                )


def build(settings: Settings, tests: list[str]) -> None:
    """Build with dbt, run the tests of the models in `tests` (all models if empty), and publish."""
    building.build_candidate(Run(settings, "test"))
    run_dbt(settings, ["test", "--exclude-resource-type", "unit_test", *(["--select", *tests] if tests else [])])
    publish_duckdb(
        settings.warehouse,
        settings.published,
        profile="simulator",
        is_simulated=True,
        published_at="2026-01-01T00:00:00Z",
    )


def published_facts(connection: duckdb.DuckDBPyConnection, relation: str) -> Facts:
    """Return a relation's facts in the form of `Office.facts_at`."""
    rows = connection.execute(
        "select concept_code, flow_kind, reporter_code, destination_code, nomenclature_code, product_code, month,"
        f" value_eur, quantity_kg from {relation}"
    ).fetchall()
    facts: Facts = {row[:7]: (row[7], row[8]) for row in rows}
    assert len(facts) == len(rows)
    return facts


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Return a published history of at least sixteen loads with revisions of every kind."""
    office = Office(Settings("simulator", tmp_path_factory.mktemp("history") / "simulator"))
    office.prepare()
    write_random_history(office, seed=20250424)
    # Random numbers need not make sense as shares, but the facts must be consistent.
    build(office.settings, ["fct_exports", "fct_exports_vintages", "loads", "intermediate"])
    return office


@pytest.fixture
def reader(history: Office) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to the published file with the readers' restrictions."""
    with connect_published(history.settings.published) as connection:
        yield connection


def test_exports_as_of_every_vintage_match_the_values_reported_by_then(
    history: Office, reader: duckdb.DuckDBPyConnection
) -> None:
    vintages = sorted({load.vintage_at for load in history.loads})
    assert len(vintages) == 8
    for vintage in vintages:
        expected = history.facts_at(vintage)
        assert len(expected) > 20
        assert published_facts(reader, f"marts.exports_as_of(timestamp '{vintage}')") == expected
        before = vintage - timedelta(microseconds=1)
        assert published_facts(reader, f"marts.exports_as_of(timestamp '{before}')") == history.facts_at(before)


def test_fct_exports_is_the_newest_vintage(history: Office, reader: duckdb.DuckDBPyConnection) -> None:
    newest = max(load.vintage_at for load in history.loads)
    expected = history.facts_at(newest)
    assert published_facts(reader, "marts.fct_exports") == expected
    assert published_facts(reader, "marts.fct_exports_vintages where valid_to is null") == expected


def test_versions_of_a_fact_do_not_overlap_and_differ(history: Office, reader: duckdb.DuckDBPyConnection) -> None:
    neighbours = reader.execute(
        """
        select
            count(*),
            count(*) filter (where valid_to > next_from),
            count(*) filter (where is_same and valid_to = next_from)
        from (
            select
                valid_to,
                lead(valid_from) over w as next_from,
                value_eur is not distinct from lead(value_eur) over w
                and quantity_kg is not distinct from lead(quantity_kg) over w as is_same
            from marts.fct_exports_vintages
            window w as (
                partition by concept_code, flow_kind, reporter_code, destination_code, product_code, month
                order by valid_from
            )
        )
        where next_from is not null
        """
    ).fetchall()
    assert neighbours[0][0] > 100
    assert neighbours[0][1:] == (0, 0)


def test_a_release_of_known_figures_adds_no_row(history: Office, reader: duckdb.DuckDBPyConnection) -> None:
    third = sorted({load.vintage_at for load in history.loads})[2]
    begun = reader.execute("select count(*) from marts.fct_exports_vintages where valid_from = ?", [third]).fetchall()
    assert begun == [(0,)]
    assert history.facts_at(third) == history.facts_at(third - timedelta(days=1))


def test_a_date_includes_the_whole_day_and_a_timestamp_ends_at_its_moment(
    history: Office, reader: duckdb.DuckDBPyConnection
) -> None:
    first = min(load.vintage_at for load in history.loads)
    count = "select count(*) from marts.exports_as_of({})"

    def rows(moment: str) -> int:
        return int(reader.execute(count.format(moment)).fetchall()[0][0])

    assert rows(f"date '{first:%Y-%m-%d}'") == rows(f"'{first:%Y-%m-%d}'") == rows(f"timestamp '{first}'") > 0
    assert rows(f"date '{first - timedelta(days=1):%Y-%m-%d}'") == 0
    assert rows(f"'{first - timedelta(seconds=1)}'") == 0
    assert rows(f"timestamptz '{first:%Y-%m-%d %H:%M:%S}+00'") > 0
    assert rows(f"timestamptz '{first:%Y-%m-%d %H:%M:%S}+02'") == 0
    assert len(reader.execute("from marts.exports_as_of(?)", [first.date()]).fetchall()) == rows(f"timestamp '{first}'")


def test_a_figure_names_the_load_of_its_last_change(history: Office, reader: duckdb.DuckDBPyConnection) -> None:
    """A fact of a country with one office code names the load and request of its last change."""
    rows = reader.execute(
        "select product_code, month, value_eur, load_id, request_id, vintage_at from marts.fct_exports"
        " where concept_code = 'border_crossing_incl_transit' and flow_kind = 'total' and destination_code = 'DE'"
    ).fetchall()
    assert rows
    office_products = {ours: theirs for theirs, ours in CBS_PRODUCTS.items()}
    newest = max(load.vintage_at for load in history.loads)
    n_older = 0
    for product, month, value, load_id, request_id, vintage_at in rows:
        cell = ("L008592", office_products[product], f"{month:%YMM%m}", "D001636")
        assert history.said["cbs_85429ned", "*"][cell] == float(value / MILLION)
        assert history.brought["cbs_85429ned", "*", cell] == load_id
        assert request_id == f"r-{load_id}-{hash_of(cell) % 2}"
        assert vintage_at == newest
        n_older += load_id != history.loads[-2].load_id
    assert n_older > 0


def test_totals_and_years_match_the_newest_vintage(history: Office, reader: duckdb.DuckDBPyConnection) -> None:
    rows = reader.execute(
        "select period_type, product_code, period_start, value_eur, is_complete_period from marts.fct_export_totals"
        " where concept_code = 'border_crossing_incl_transit' and flow_kind = 'total'"
    ).fetchall()
    said = history.said["cbs_85429ned", "*"]
    expected = {
        (
            "month" if "MM" in period else "year",
            CBS_PRODUCTS[product],
            group[2],
            Decimal(str(value)) * MILLION,
            "MM" in period,
        )
        for (partner, product, period, measure), value in said.items()
        if partner == "T001047" and measure == "D001636" and value is not None
        for group in [group_of(["partner", "product", "period"], (partner, product, period, measure))]
    }
    assert set(rows) == expected


def test_ops_lists_the_changes_of_each_load(history: Office, reader: duckdb.DuckDBPyConnection) -> None:
    rows = reader.execute(
        "select dataset_code, rows_changed, rows_withdrawn, is_full, panel, protocol from ops.loads order by load_id"
    ).fetchall()
    assert len(rows) == len(history.loads)
    assert {row[4] for row in rows} == {"*", "few"}
    assert any(row[1] == 0 and row[2] == 0 for row in rows)
    assert any(row[2] > 0 for row in rows)
    assert {row[3:4] + row[5:] for row in rows} == {(True, "test")}
    assert reader.execute("select distinct run_id from ops.requests").fetchall() == [("test",)]
    assert reader.execute("select count(*) from ops.findings").fetchall() == [(0,)]


def test_datasets_without_loads_have_no_changes(history: Office) -> None:
    # The candidate's views read files by paths relative to its folder.
    state = str(history.settings.state)
    with duckdb.connect(
        str(history.settings.warehouse), read_only=True, config={"file_search_path": state}
    ) as connection:
        counts = connection.execute(
            "select dataset_code, count(*) > 0 from staging.stg_landing__changes group by all order by all"
        ).fetchall()
        assert counts == [("cbs_85429ned", True), ("eurostat_ds_045409", True)]
        assert connection.execute("select count(*) from staging.stg_landing__bulk_changes").fetchall() == [(0,)]


EU_PARTNERS = ["DE", "FR", "BE", "IT", "ES", "PL", "AT", "SE", "DK", "IE"]


def write_months(office: Office) -> None:
    """Write 14 months of HS 72 and 73: the last has its total but only 4 of 10 EU partners, the one before 6 of 10."""
    state: State = {}
    for number in range(14):
        month = (date(2024, 1, 1) + timedelta(days=31 * number)).replace(day=1)
        present = EU_PARTNERS[: {12: 6, 13: 4}.get(number, 10)]
        for product in ("72", "73"):
            for partner in [*present, "US", "GB"]:
                state["M", "NL", partner, product, "2", f"{month:%Y-%m}", "VALUE_IN_EUROS"] = 10.0
            state["M", "NL", "WORLD", product, "2", f"{month:%Y-%m}", "VALUE_IN_EUROS"] = 120.0
    office.release(
        "eurostat_ds_045409",
        datetime(2025, 4, 15, 9),
        state,
        products=["72", "73"],
        first_month=date(2024, 1, 1),
        last_month=date(2025, 2, 1),
    )


def write_ownership(office: Office) -> None:
    """Write one month of 85427NED: a section and the goods that were never in the country add up to the total."""
    state: State = {}
    for product, value in (("T001082", 100.0), ("A018678", 60.0), ("A051811", 40.0)):
        for partner, share in (("T001047", 1.0), ("L008778", 0.25), ("L008592", 0.75)):
            state[partner, product, "2025MM01", "D001636"] = value * share
            state[partner, product, "2025MM01", "M001648"] = value * share / 5
            state[partner, product, "2025MM01", "M001632"] = value * share * 4 / 5
    office.release(
        "cbs_85427ned",
        datetime(2025, 4, 1, 4, 30),
        state,
        products=["*"],
        first_month=JANUARY,
        last_month=JANUARY,
        periods={"2025MM01": ("2025 januari", "Voorlopig")},
    )


def write_bulk(office: Office) -> None:
    """Write three months of bulk rows: a code whose SITC changes, masked codes, and an annual file."""

    def row(period: str, product: str, **classes: str) -> dict[str, Any]:
        texts = {"layout": "v2", "reporter": "NL", "partner": "US", "trade_type": "E", "flow": "2"}
        return (
            texts
            | {"product": product, "period": period, "stat_procedure": "1", "suppl_unit": "NO_SU", "value_eur": 1.0}
            | classes
        )

    office.bulk(
        datetime(2025, 3, 1, 9),
        [
            row("202401", "72085120", sitc="67320", cpa21="2410", bec5="311210", section="15"),
            row("202402", "72085120", sitc="67320", cpa21="2410", bec5="311210", section="15"),
            row("202402", "72085120", sitc="67320", cpa21="2410", bec5="311210", section="15", partner="CN"),
            row("202403", "72085120", sitc="67399", cpa21="2410", bec5="311210", section="15"),
            row("202452", "72085120", sitc="99999", cpa21="9999", section="99"),
            row("202401", "39XXXXXX", sitc="582XX", cpa21="XXXX", bec5="31XXXX", section="07"),
            row("202401", "72XXXXXX", sitc="672XX", cpa21="24XX", section="15"),
            row("202401", "72XXXXXX", sitc="673XX", cpa21="24XX", section="15", partner="CN"),
        ],
    )
    # A later load revises the classification of the first month.
    office.bulk(datetime(2025, 4, 1, 9), [row("202401", "72085120", sitc="67310", cpa21="2410", section="15")])


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Return a small published landing area for completeness, ownership transfer and the bridge."""
    office = Office(Settings("simulator", tmp_path_factory.mktemp("months") / "simulator"))
    office.prepare()
    write_months(office)
    write_ownership(office)
    write_bulk(office)
    build(office.settings, [])
    return office


def test_a_month_with_too_few_eu_partners_has_no_shares(months: Office) -> None:
    with connect_published(months.settings.published) as connection:
        rows = connection.execute(
            "select month, bool_and(is_complete), any_value(incomplete_reason), count(share), count(value_eur)"
            " from marts.rpt_destination_shares where scope_code = 'iron_steel_hs' group by month order by month"
        ).fetchall()
    by_month = {row[0]: row[1:] for row in rows}
    assert len(by_month) == 14
    # Six of ten partners are at least half of the usual number; four of ten are not.
    assert by_month[date(2025, 1, 1)][:2] == (True, None)
    assert by_month[date(2025, 2, 1)] == (False, "intra_eu_incomplete", 0, 7)
    assert all(row[0] for month, row in by_month.items() if month < date(2025, 2, 1))


def test_ownership_transfer_is_published_as_its_own_concept(months: Office) -> None:
    with connect_published(months.settings.published) as connection:
        shares = connection.execute(
            "select scope_code, share from marts.rpt_destination_shares"
            " where concept_code = 'ownership_transfer' and destination_code = 'US' order by scope_code"
        ).fetchall()
        assert shares == [("all_goods", 0.25), ("manufactures_sitc6", 0.25)]
        products = connection.execute(
            "select nomenclature_code, product_code, sum(value_eur) from marts.fct_export_totals"
            " where concept_code = 'ownership_transfer' and flow_kind = 'total' group by all order by all"
        ).fetchall()
        assert products == [
            ("CBS", "A051811", 40 * MILLION),
            ("SITC", "6", 60 * MILLION),
            ("SITC", "TOTAL", 100 * MILLION),
        ]
        parts = connection.execute(
            "select flow_kind, sum(value_eur) from marts.fct_exports"
            " where concept_code = 'ownership_transfer' and product_code = 'TOTAL' group by all order by all"
        ).fetchall()
        assert parts == [("domestic_product", 80 * MILLION), ("re_export", 20 * MILLION), ("total", 100 * MILLION)]


def test_bridge_has_a_row_where_the_classes_of_a_code_change(months: Office) -> None:
    with connect_published(months.settings.published) as connection:
        rows = connection.execute(
            "select product_code, valid_from, valid_to, is_masked, sitc_code, cpa21_code, bec5_code, section_code"
            " from marts.bridge_product_classification order by 1, 2"
        ).fetchall()
    assert rows == [
        ("39XXXXXX", date(2024, 1, 1), None, True, "582XX", None, "31XXXX", "07"),
        ("72085120", date(2024, 1, 1), date(2024, 1, 31), False, "67310", "2410", None, "15"),
        ("72085120", date(2024, 2, 1), date(2024, 2, 29), False, "67320", "2410", "311210", "15"),
        ("72085120", date(2024, 3, 1), None, False, "67399", "2410", "311210", "15"),
        ("72XXXXXX", date(2024, 1, 1), None, True, None, "24XX", None, "15"),
    ]
