"""A year of monthly releases with revisions: loaded, stored and published figures against the offices' figures.

The tests request each release from the simulator in full, with other requests than the pipeline's, read the replies
with DuckDB's own readers, and derive the facts with the SQL below. The expected facts do not use the landing area.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from extract.registry import get_dataset
from extract.slices import Slice
from metaalexport import building, ingest
from metaalexport.dbt import run_dbt
from metaalexport.journal import Journal
from metaalexport.run import Run
from metaalexport.settings import REFERENCE, Settings
from metaalexport.state import prepare_state
from simulator.cbs.tables import TABLES
from simulator.release import Release
from simulator.server import Simulator, run_simulator
from tests.fault.loads import broken_checks
from tests.states import SPARSE

# The year is loaded before the first test.
pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

# The first load, eleven monthly loads, the full reload after a year, and a repetition.
FIRST, LAST_MONTHLY, YEARLY, REPEATING = 1, 12, 13, 14
# Releases that are built and published in sequence, as every month.
PUBLISHED = (11, LAST_MONTHLY, YEARLY)
CBS, COMEXT = "cbs_85429ned", "eurostat_ds_045409"
PARTS = {
    CBS: Slice(CBS, "NL", "2021-01", products=("A018678",)),
    COMEXT: Slice(COMEXT, "NL", "2021-01", products=("72", "76")),
}
CBS_MEASURES = ("D001636", "M001648", "M001632", "M007897")
COMEXT_DATA = "/eurostat/api/comext/dissemination/sdmx/2.1/data/DS-045409"

# Facts of both offices in a release: destinations, and the remainder of the office's total, if any.
FACTS = """
with partners as (
    from read_csv('{reference}/office_partners.csv', all_varchar = true)
),

products as (
    from read_csv('{reference}/office_products.csv', all_varchar = true)
),

cbs as (
    select
        partners.member_kind, partners.destination_code, products.nomenclature_code, products.product_code,
        strptime(replace(period, 'MM', '-'), '%Y-%m')::date as month,
        sum(value) filter (where measure = 'D001636') as total,
        sum(value) filter (where measure = 'M001648') as re_export,
        sum(value) filter (where measure = 'M001632') as domestic_product,
        sum(value) filter (where measure = 'M007897') as quasi_transit
    from memory.cells as c
    join partners on partners.office = 'cbs' and partners.office_code = c.partner
    join products on products.office = 'cbs' and products.office_code = c.product
    where c.dataset = 'cbs_85429ned' and c.release = $cbs_release and c.period like '____MM__'
    -- A code stands for itself: two codes of one country do not lend each other a part.
    group by c.partner, partners.member_kind, partners.destination_code, products.nomenclature_code,
        products.product_code, c.period
),

cbs_flows as (
    unpivot (
        select
            member_kind, destination_code, nomenclature_code, product_code, month,
            total as "border_crossing_incl_transit.total",
            re_export as "border_crossing_incl_transit.re_export",
            domestic_product as "border_crossing_incl_transit.domestic_product",
            quasi_transit as "border_crossing_incl_transit.quasi_transit",
            re_export as "border_crossing_excl_transit.re_export",
            domestic_product as "border_crossing_excl_transit.domestic_product",
            re_export + domestic_product as "border_crossing_excl_transit.total"
        from cbs
    ) on columns('border_crossing') into name flow value eur
),

members as (
    select
        split_part(flow, '.', 1) as concept_code, split_part(flow, '.', 2) as flow_kind,
        member_kind, destination_code, nomenclature_code, product_code, month,
        (eur * 1000000)::decimal(18, 2) as eur, null::decimal(18, 3) as kg
    from cbs_flows
    union all by name
    select
        'community' as concept_code, 'total' as flow_kind,
        any_value(member_kind) as member_kind, any_value(destination_code) as destination_code,
        'CN' as nomenclature_code, product as product_code, strptime(period, '%Y-%m')::date as month,
        (sum(value) filter (where measure = 'VALUE_IN_EUROS'))::decimal(18, 2) as eur,
        (100 * sum(value) filter (where measure = 'QUANTITY_IN_100KG'))::decimal(18, 3) as kg
    from memory.cells as c
    join partners on partners.office = 'eurostat' and partners.office_code = c.partner
    where c.dataset = 'eurostat_ds_045409' and c.release = $comext_release
    group by c.partner, product, period
    having eur is not null
),

groups as (
    select
        concept_code, flow_kind, nomenclature_code, product_code, month,
        sum(eur) filter (where member_kind = 'total') as total_eur,
        sum(kg) filter (where member_kind = 'total') as total_kg,
        coalesce(sum(eur) filter (where member_kind in ('country', 'unallocated')), 0) as members_eur,
        coalesce(sum(kg) filter (where member_kind in ('country', 'unallocated')), 0) as members_kg,
        sum(eur) filter (where member_kind = 'unallocated') as own_eur,
        sum(kg) filter (where member_kind = 'unallocated') as own_kg
    from members
    group by all
),

facts as (
    select
        concept_code, flow_kind, destination_code, nomenclature_code, product_code, month,
        sum(eur) as value_eur, sum(kg) as quantity_kg
    from members
    where member_kind = 'country'
    group by all
    union all by name
    select
        concept_code, flow_kind, 'unallocated' as destination_code, nomenclature_code, product_code, month,
        if(total_eur != members_eur, coalesce(own_eur, 0) + total_eur - members_eur, own_eur) as value_eur,
        if(total_eur != members_eur and total_kg is not null,
            coalesce(own_kg, 0) + total_kg - members_kg, own_kg) as quantity_kg
    from groups
    where own_eur is not null or total_eur != members_eur
)
"""
SHOWN = """
select concept_code, flow_kind, destination_code, nomenclature_code, product_code, month,
    value_eur::decimal(18, 2) as value_eur, quantity_kg::decimal(18, 3) as quantity_kg
"""


class RepeatingRelease(Release):
    """A release whose only new content is its stamps."""

    @property
    def eurostat_months(self) -> int:
        """Number of months, equal to that of the previous release."""
        return super().eurostat_months - 1


@dataclass
class LoadCost:
    """Requests and reply bytes of one load."""

    requests: int
    bytes: int


@dataclass
class Year:
    """The loaded, built and published year."""

    settings: Settings
    offices: duckdb.DuckDBPyConnection
    releases: dict[int, Release] = field(default_factory=dict)
    loads: dict[tuple[str, int], LoadManifest] = field(default_factory=dict)
    costs: dict[tuple[str, int], LoadCost] = field(default_factory=dict)
    again: list[Any] = field(default_factory=list)
    warnings: list[tuple[int, str, str]] = field(default_factory=list)

    def stamp(self, dataset: str, number: int) -> datetime:
        """Return the publication time that an office states for a release, in UTC."""
        release = self.releases[number]
        if dataset == CBS:
            moment = TABLES["85429NED"].publication.released(release)
        else:
            moment = datetime.fromisoformat(f"{release.eurostat_stamp[:-2]}:{release.eurostat_stamp[-2:]}")
        return moment.astimezone(UTC).replace(tzinfo=None)

    def differences(self, relation: str, cbs_release: int, comext_release: int) -> tuple[int, int, int]:
        """Count missing, unexpected and expected facts of a relation against one release of each office."""
        facts = FACTS.format(reference=REFERENCE)
        found = self.offices.execute(
            f"""
            {facts},
            expected as ({SHOWN} from facts),
            published as ({SHOWN} from {relation})
            select
                (select count(*) from (from expected except all from published)),
                (select count(*) from (from published except all from expected)),
                (select count(*) from expected)
            """,
            {"cbs_release": cbs_release, "comext_release": comext_release},
        ).fetchall()[0]
        return int(found[0]), int(found[1]), int(found[2])


def ask_all(simulator: Simulator, offices: duckdb.DuckDBPyConnection, folder: Path, number: int) -> None:
    """Store both offices' complete cells of the slices at the current release, whatever the pipeline requests."""
    columns = "dataset, release, partner, product, period, measure, value"
    sections = ", ".join(f"'{code}'" for code in PARTS[CBS].products)
    measures = ", ".join(f"'{code}'" for code in CBS_MEASURES)
    condition = quote(f"SITC in ({sections}) and Measure in ({measures})")
    path, query, n_pages = "/odata/v1/CBS/85429NED/Observations", f"$filter={condition}", 0
    while path:
        reply = simulator.answer(path, query)
        assert reply.status == 200, reply.body[:300]
        (folder / f"cbs-{number}-{n_pages}.json").write_bytes(reply.body)
        n_pages += 1
        following = re.search(rb'"@odata.nextLink": *"http://127.0.0.1([^"]*)"', reply.body)
        path, _, query = following[1].decode().partition("?") if following else ("", "", "")
    offices.execute(
        f"""
        insert into cells ({columns})
        select '{CBS}', {number}, trim(row.Landen), trim(row.SITC), trim(row.Perioden), row.Measure, row.Value::double
        from (
            select unnest(value) as row
            from read_json('{folder}/cbs-{number}-*.json', maximum_object_size = 100000000)
        )
        """
    )
    products = "+".join(PARTS[COMEXT].products)
    reply = simulator.answer(
        f"{COMEXT_DATA}/M.NL..{products}.2.VALUE_IN_EUROS+QUANTITY_IN_100KG",
        "startPeriod=2021-01&format=SDMX-CSV&compressed=false",
    )
    assert reply.status == 200, reply.body[:300]
    table = folder / f"comext-{number}.csv"
    table.write_bytes(reply.body)
    offices.execute(
        f"""
        insert into cells ({columns})
        select '{COMEXT}', {number}, partner, product, TIME_PERIOD, indicators, OBS_VALUE::double
        from read_csv('{table}', header = true, all_varchar = true)
        """
    )


def load(year: Year, simulator: Simulator, dataset: str, number: int) -> None:
    """Load the office's current release, run the landing gate's own SQL on it, and record its cost and warnings."""
    settings, part, run_id = year.settings, PARTS[dataset].to_dict(), f"release_{number}"
    simulator.requests.clear()
    fetched = ingest.fetch_load(Run(settings, run_id, _quiet), part)
    assert fetched is not None
    year.costs[dataset, number] = LoadCost(len(simulator.requests), sum(r["bytes"] for r in simulator.requests))
    load_id = ingest.stage_load(Run(settings, run_id, _quiet), fetched)
    landing = Landing(settings.landing)
    broken = broken_checks(landing, get_dataset(dataset), landing.staged(load_id)[1])
    assert [check.name for check in broken if check.severity == "error"] == [], (dataset, number)
    year.warnings += [(number, dataset, check.name) for check in broken]
    year.loads[dataset, number] = LoadManifest(**ingest.commit_load(Run(settings, run_id), load_id))


def publish(year: Year, number: int) -> None:
    """Build, gate and publish the loads so far, and record the publish gate's warnings."""
    run_id = f"publication_{number}"
    building.build_candidate(Run(year.settings, run_id))
    building.gate_candidate(Run(year.settings, run_id, _quiet))
    building.publish_candidate(Run(year.settings, run_id, _quiet))
    checks = Journal(year.settings.journal).read("checks")
    year.warnings += [
        (number, "candidate", row["check_name"])
        for row in checks
        if row["run_id"] == run_id and row["gate"] == "candidate" and not row["is_passed"]
    ]


def _quiet(message: str) -> None:
    """Discard a progress message."""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    """Load fourteen releases of both offices in sequence, publish those in `PUBLISHED`, and build and publish last."""
    folder = tmp_path_factory.mktemp("shown")
    state = tmp_path_factory.mktemp("year") / "simulator"
    simulator = Simulator(release=FIRST, parameters=SPARSE)
    with run_simulator(simulator) as url, duckdb.connect() as offices:
        offices.execute(
            "create table cells (dataset varchar, release integer, partner varchar, product varchar, period varchar,"
            " measure varchar, value double)"
        )
        settings = Settings("simulator", state, reporters=("NL",), simulator_url=url, http_attempts=1)
        prepare_state(settings)
        year = Year(settings, offices)
        for number in range(FIRST, REPEATING + 1):
            year.releases[number] = simulator.release = (RepeatingRelease if number == REPEATING else Release)(number)
            for dataset in (CBS, COMEXT):
                if number < REPEATING:
                    load(year, simulator, dataset, number)
                else:
                    loaded = ingest.load_slice(Run(settings, "gated", _quiet), PARTS[dataset].to_dict())
                    assert loaded is not None
                    year.loads[dataset, number] = loaded
                    year.again.append(ingest.load_slice(Run(settings, "again", _quiet), PARTS[dataset].to_dict()))
            ask_all(simulator, offices, folder, number)
            if number in PUBLISHED:
                publish(year, number)
        building.build_candidate(Run(settings, "build"))
        facts = ("fct_exports", "fct_exports_vintages", "fct_export_totals", "loads")
        run_dbt(settings, ["test", "--exclude-resource-type", "unit_test", "--select", *facts])
        building.publish_candidate(Run(settings, "build", _quiet))
        offices.execute(f"attach '{settings.published}' as published (read_only); use published")
        yield year


def test_exports_as_of_each_release_match_the_offices_figures(year: Year) -> None:
    for number in range(FIRST, REPEATING + 1):
        for dataset, comext_release in ((CBS, number - 1), (COMEXT, number)):
            # CBS publishes first: at its stamp Eurostat still has its previous release. A sample of these suffices.
            if dataset == CBS and number not in (FIRST, 3, LAST_MONTHLY, REPEATING):
                continue
            moment = year.stamp(dataset, number)
            assert datetime.fromisoformat(year.loads[dataset, number].vintage_at).replace(tzinfo=None) == moment
            lacking, beside, expected = year.differences(
                f"marts.exports_as_of(timestamp '{moment}')", number, comext_release
            )
            assert (lacking, beside) == (0, 0), f"{dataset}, release {number}"
            assert expected > 20_000
    assert year.differences("marts.exports_as_of(date '2025-11-01')", 0, 0) == (0, 0, 0)
    assert year.differences("marts.fct_exports", REPEATING, REPEATING)[:2] == (0, 0)


def test_ordinary_releases_give_fewer_than_one_false_warning_each(year: Year) -> None:
    # The first load and the first publication have no history to compare with and may warn.
    gate_1 = [warning for warning in year.warnings if warning[0] > FIRST and warning[1] != "candidate"]
    gate_2 = [warning for warning in year.warnings if warning[0] > PUBLISHED[0] and warning[1] == "candidate"]
    # Only two metal chapters are loaded here, so no month of a scope is complete and the publish gate rightly warns.
    gate_2 = [warning for warning in gate_2 if warning[2] != "only_new_months_are_incomplete"]
    assert len(gate_1) < YEARLY - FIRST, gate_1
    assert len(gate_2) < len(PUBLISHED) - 1, gate_2


def test_destinations_add_up_to_the_office_total_of_each_release(year: Year) -> None:
    facts = FACTS.format(reference=REFERENCE)
    for number in (FIRST, 5, LAST_MONTHLY, YEARLY):
        apart, compared = year.offices.execute(
            f"""
            {facts}
            select count(*) filter (where published.eur is distinct from groups.total_eur), count(*)
            from groups
            left join (
                select concept_code, flow_kind, nomenclature_code, product_code, month, sum(value_eur) as eur
                from marts.exports_as_of(timestamp '{year.stamp(COMEXT, number)}')
                group by all
            ) as published using (concept_code, flow_kind, nomenclature_code, product_code, month)
            where groups.total_eur is not null
            """,
            {"cbs_release": number, "comext_release": number},
        ).fetchall()[0]
        assert apart == 0, number
        # A section in seven flows, and two chapters, over more than five years of months; the newest has no total.
        assert compared > 55 * (7 + 2)


def test_totals_match_the_newest_release(year: Year) -> None:
    facts = FACTS.format(reference=REFERENCE)
    lacking, beside, expected = year.offices.execute(
        f"""
        {facts},
        shown as (
            select concept_code, flow_kind, nomenclature_code, product_code, month, total_eur::decimal(18, 2)
            from groups
            where total_eur is not null
        ),
        published as (
            select concept_code, flow_kind, nomenclature_code, product_code, period_start, value_eur::decimal(18, 2)
            from marts.fct_export_totals
            where period_type = 'month'
        )
        select (select count(*) from (from shown except all from published)),
            (select count(*) from (from published except all from shown)), (select count(*) from shown)
        """,
        {"cbs_release": REPEATING, "comext_release": REPEATING},
    ).fetchall()[0]
    assert (lacking, beside) == (0, 0)
    assert expected > 500


@pytest.mark.parametrize("dataset", PARTS)
def test_only_cells_that_an_office_changed_are_stored(year: Year, dataset: str) -> None:
    landing = Landing(year.settings.landing)
    stored = {"new": 0, "revised": 0, "withdrawn": 0}
    shown = dict(stored)
    for number in range(FIRST, REPEATING + 1):
        manifest = year.loads[dataset, number]
        changes = landing.folder(manifest) / "changes.parquet"
        kinds = dict(
            year.offices.execute(f"select change_kind, count(*) from read_parquet('{changes}') group by all").fetchall()
        )
        assert kinds.get("new", 0) + kinds.get("revised", 0) == manifest.rows_changed
        assert kinds.get("withdrawn", 0) == manifest.rows_withdrawn
        new, revised, withdrawn = year.offices.execute(
            """
            select
                count(*) filter (where before.value is null),
                count(*) filter (where before.value != now.value),
                count(*) filter (where now.value is null)
            from (from memory.cells where dataset = $dataset and release = $release) as now
            full join (from memory.cells where dataset = $dataset and release = $release - 1) as before
                using (partner, product, period, measure)
            """,
            {"dataset": dataset, "release": number},
        ).fetchall()[0]
        expected = {"new": new, "revised": revised, "withdrawn": withdrawn}
        assert {kind: kinds.get(kind, 0) for kind in expected} == expected, f"{dataset}, release {number}"
        for kind in stored:
            stored[kind] += kinds.get(kind, 0)
            shown[kind] += expected[kind]
    assert stored == shown
    assert stored["revised"] > 1000
    everything = year.offices.execute("select count(*) from memory.cells where dataset = ?", [dataset]).fetchall()[0][0]
    assert sum(stored.values()) < everything / 4


@pytest.mark.parametrize("dataset", PARTS)
def test_a_release_that_repeats_old_figures_adds_no_rows(year: Year, dataset: str) -> None:
    repeating = year.loads[dataset, REPEATING]
    assert repeating.rows_loaded > 10_000
    assert (repeating.rows_changed, repeating.rows_withdrawn) == (0, 0)
    assert repeating.vintage_at > year.loads[dataset, YEARLY].vintage_at
    moment = year.stamp(dataset, REPEATING)
    begun = year.offices.execute(
        "select count(*) from marts.fct_exports_vintages where valid_from = ? or valid_to = ?", [moment, moment]
    ).fetchall()
    assert begun == [(0,)]
    # The repetition requested all months and therefore confirms all of them.
    confirmed = year.offices.execute(
        "select distinct vintage_at from marts.fct_exports where dataset_code = ?", [dataset]
    ).fetchall()
    assert confirmed == [(moment,)]
    assert year.again == [None, None], "an unchanged release was loaded again"


@pytest.mark.parametrize("dataset", PARTS)
def test_each_release_is_requested_in_full_at_a_constant_cost_per_month(year: Year, dataset: str) -> None:
    # Only a full request finds a correction of an old year.
    loads = [year.loads[dataset, number] for number in range(FIRST, YEARLY + 1)]
    assert {manifest.slice["first_month"] for manifest in loads} == {"2021-01"}
    third, last, yearly = (year.loads[dataset, n] for n in (3, LAST_MONTHLY, YEARLY))
    cost = {n: year.costs[dataset, n] for n in (3, LAST_MONTHLY)}
    assert cost[3].requests == cost[LAST_MONTHLY].requests
    months = {manifest.load_id: months_asked(year, manifest) for manifest in (third, last)}
    for size in ((third.rows_read, last.rows_read), (cost[3].bytes, cost[LAST_MONTHLY].bytes)):
        a_month = [size[0] / months[third.load_id], size[1] / months[last.load_id]]
        assert a_month[1] == pytest.approx(a_month[0], rel=0.1)
    # Old figures were not revised.
    assert yearly.rows_changed < 0.4 * yearly.rows_read


def months_asked(year: Year, manifest: LoadManifest) -> int:
    """Return the number of months that a load requested."""
    coverage = Landing(year.settings.landing).folder(manifest) / "coverage.parquet"
    rows = year.offices.execute(
        f"select distinct date_diff('month', first_month, last_month) + 1 from read_parquet('{coverage}')"
    ).fetchall()
    assert len(rows) == 1
    return int(rows[0][0])
