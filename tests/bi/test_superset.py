"""Superset over the marts: dashboard content, metrics that refuse mixed views, and repeatable provisioning."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
import yaml
from playwright.sync_api import Page, Response, sync_playwright

from tests.bi.conftest import BIN, PASSWORD, ROOT, Superset

CHROMIUM = shutil.which("chromium")
CHARTS = {
    chart["slice_name"]: chart
    for chart in (
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "bi/assets/charts").glob("*.yaml")
    )
}
DASHBOARD = "/superset/dashboard/metal-exports/"
VIEW = (
    "source_code = 'EUROSTAT' and concept_code = 'community' and scope_code = 'metal_core_hs' and reporter_code = 'NL'"
)
# Repeated from bi/provision.py, whose import needs Superset's environment.
VIEWER_ROLE = "Marts viewer"
# Everything fits on the screen, so that every chart requests its data.
HEIGHT = 7200

pytestmark = [pytest.mark.bi, pytest.mark.timeout(600)]


class Visit:
    """A visit to the dashboard, with the replies to its charts."""

    def __init__(self, page: Page, superset: Superset) -> None:
        self.page = page
        self.superset = superset
        self.answers: dict[int, list[tuple[int, Any]]] = {}
        self.left_the_machine: list[str] = []
        self.blocked: list[str] = []
        self.errors: list[str] = []
        page.on("response", self._note_answer)
        page.on("requestfinished", lambda request: self._note_host(request.url))
        page.on("requestfailed", lambda request: self.blocked.append(f"{request.failure} {request.url}"))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note_host(self, url: str) -> None:
        if url.startswith("http") and not url.startswith(self.superset.url):
            self.left_the_machine.append(url)

    def _note_answer(self, response: Response) -> None:
        query = parse_qs(urlsplit(response.url).query).get("form_data")
        if query and ("/chart/data" in response.url or "/explore_json/" in response.url):
            # Reading the content lets other handlers run: read it first, so that no list is ever empty.
            answer = (response.status, response.json())
            self.answers.setdefault(json.loads(query[0])["slice_id"], []).append(answer)

    def open(self) -> None:
        """Log in, open the dashboard, and wait until all of its charts are drawn."""
        self.page.goto(f"{self.superset.url}/login/")
        self.page.fill("#username", "admin")
        self.page.fill("#password", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "/login" not in url)
        self.page.goto(f"{self.superset.url}{DASHBOARD}")
        for _ in range(90):
            self.page.wait_for_timeout(1000)
            is_loading = self.page.locator(".loading, [data-test=loading-indicator]").count()
            if len(self.answers) >= len(CHARTS) and not is_loading:
                break
        # The charts end with an animation.
        self.page.wait_for_timeout(3000)


@pytest.fixture(scope="module")
def visit(superset: Superset) -> Any:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; make test-bi installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        visit = Visit(browser.new_page(viewport={"width": 1400, "height": HEIGHT}), superset)
        visit.open()
        yield visit
        browser.close()


def rows_of(answer: Any) -> list[int]:
    """Return the number of rows of each query in an answer, of a current or a legacy chart."""
    if "result" in answer:
        return [result["rowcount"] for result in answer["result"]]
    return [answer["rowcount"]]


def query(published: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(published), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_chart_of_the_dashboard_has_rows(visit: Visit, superset: Superset) -> None:
    identifiers = superset.listed("chart")
    assert set(identifiers) == set(CHARTS)
    found = {name: visit.answers.get(number, []) for name, number in identifiers.items()}
    assert {name: answers for name, answers in found.items() if not answers} == {}
    for name, answers in found.items():
        for status, answer in answers:
            assert status == 200, f"{name}: {answer}"
            assert all(count > 0 for count in rows_of(answer)), f"{name}: {rows_of(answer)}"
    assert visit.errors == []


def test_page_requests_nothing_external(visit: Visit) -> None:
    assert visit.left_the_machine == []
    # Superset's page tries to count its visitors; its Content Security Policy blocks that.
    assert all(entry.startswith("csp ") or visit.superset.url in entry for entry in visit.blocked)


def test_filters_select_one_view_and_the_newest_month(visit: Visit, superset: Superset, published: Path) -> None:
    (newest,) = query(
        published,
        "select source_code, concept_code, scope_code, reporter_code, strftime(month, '%Y-%m')"
        f" from marts.rpt_destination_shares where {VIEW} and share_r12 is not null order by month desc limit 1",
    )
    _, answer = visit.answers[superset.listed("chart")["Selected view"]][-1]
    (row,) = answer["result"][0]["data"]
    names = ("source_code", "concept_code", "scope_code", "reporter_code", "reference_month")
    assert tuple(row[name] for name in names) == newest


def test_page_states_that_figures_are_simulated(visit: Visit) -> None:
    assert visit.page.get_by_text("SIMULATED: invented by this project's simulator").is_visible()


def test_metrics_equal_the_figures_of_the_marts(superset: Superset, published: Path) -> None:
    expected = dict(
        query(
            published,
            f"select destination_code, share_r12 from marts.rpt_destination_shares where {VIEW}"
            " and share_r12 is not null qualify month = max(month) over ()",
        )
    )
    ((month,),) = query(
        published,
        "select strftime(max(month), '%Y-%m') from marts.rpt_destination_shares"
        f" where {VIEW} and share_r12 is not null",
    )
    rows = superset.rows(
        "rpt_destination_shares",
        ["destination_code"],
        ["share_r12_of_one_row"],
        f"{VIEW} and to_char(month, 'YYYY-MM') = '{month}' and share_r12 is not null",
    )
    found = {row["destination_code"]: row["share_r12_of_one_row"] for row in rows}
    assert len(found) > 50
    assert found == pytest.approx(expected, rel=1e-12)


def test_sum_of_euros_equals_that_of_the_marts(superset: Superset, published: Path) -> None:
    ((expected,),) = query(
        published,
        f"select sum(value_eur) from marts.rpt_destination_shares where {VIEW} and destination_code = 'US'",
    )
    (row,) = superset.rows("rpt_destination_shares", [], ["value_eur_sum"], f"{VIEW} and destination_code = 'US'")
    assert float(row["value_eur_sum"]) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("metric", ["share_of_one_row", "share_r12_of_one_row", "value_eur_sum"])
def test_mixed_views_show_nothing(superset: Superset, metric: str) -> None:
    rows = superset.rows(
        "rpt_destination_shares", ["destination_code"], [metric], "destination_code in ('BE', 'DE', 'US')"
    )
    assert len(rows) == 3
    assert {row[metric] for row in rows} == {None}


def test_sql_lab_reads_and_cannot_write(superset: Superset) -> None:
    database = superset.listed("database")["marts"]
    (row,) = superset.ask_sql(database, "select publish_id from ops.publication")["data"]
    assert row["publish_id"]
    refused = superset.ask_sql(database, "delete from ops.publication")
    assert "does not allow for DDL/DML" in refused["errors"][0]["message"]


@pytest.fixture(scope="module")
def viewer(superset: Superset) -> Superset:
    """Add a viewer, with the command of docs/bi.md."""
    subprocess.run(
        [BIN / "superset", "fab", "create-user", "--role", VIEWER_ROLE, "--username", "viewer", "--firstname", "V",
         "--lastname", "W", "--email", "viewer@example.org", "--password", PASSWORD],
        env=superset.environment, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return replace(superset, user="viewer")


def test_viewer_sees_every_chart(viewer: Superset, visit: Visit) -> None:
    assert set(viewer.listed("dashboard")) == {"Metal exports by destination"}
    charts = viewer.listed("chart")
    assert set(charts) == set(CHARTS)
    assert set(viewer.listed("dataset")) == set(visit.superset.listed("dataset"))
    rows = viewer.rows("rpt_destination_shares", ["destination_code"], ["share_of_one_row"], VIEW)
    assert len(rows) > 50


def test_viewer_cannot_change_provisioned_objects(viewer: Superset, superset: Superset) -> None:
    dashboard = superset.listed("dashboard")["Metal exports by destination"]
    chart = superset.listed("chart")["Selected view"]
    dataset = superset.listed("dataset")["rpt_destination_shares"]
    database = superset.listed("database")["marts"]
    for method, path, body in (
        ("PUT", f"/dashboard/{dashboard}", {"dashboard_title": "mine"}),
        ("DELETE", f"/dashboard/{dashboard}", None),
        ("PUT", f"/chart/{chart}", {"slice_name": "mine"}),
        ("DELETE", f"/chart/{chart}", None),
        ("PUT", f"/dataset/{dataset}", {"description": "mine"}),
        ("DELETE", f"/dataset/{dataset}", None),
        ("PUT", f"/database/{database}", {"database_name": "mine"}),
        ("DELETE", f"/database/{database}", None),
        ("POST", "/database/", {"database_name": "mine", "sqlalchemy_uri": "postgresql://x@127.0.0.1/x"}),
        ("POST", "/sqllab/execute/", {"database_id": database, "sql": "select 1"}),
        ("GET", "/security/users/", None),
    ):
        status = viewer.request(method, path, json=body).status_code
        assert status in (403, 404), (method, path, status)
    assert superset.listed("dashboard") == {"Metal exports by destination": dashboard}


def test_screenshot_shows_the_dashboard(visit: Visit, tmp_path: Path) -> None:
    picture = Path(os.environ.get("BI_PICTURE", tmp_path / "dashboard.png"))
    visit.page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": 1400, "height": 1725})
    assert 50_000 < picture.stat().st_size < 400_000
    assert visit.page.locator("svg.datamap path.datamaps-subunit").count() > 150
    assert visit.page.get_by_text("Unexpected error").count() == 0


def test_another_single_view_can_be_selected(visit: Visit, superset: Superset) -> None:
    options = visit.page.locator(".ant-select-dropdown:not(.ant-select-dropdown-hidden) .ant-select-item-option")
    chosen = ("CBS", "border_crossing_excl_transit", "all_goods")
    for position, text in enumerate(chosen):
        visit.page.locator(".ant-select").nth(position).click()
        options.get_by_text(text, exact=True).click()
        visit.page.wait_for_timeout(2000)
    visit.answers.clear()
    visit.page.get_by_text("Apply filters").click()
    view = superset.listed("chart")["Selected view"]
    for _ in range(60):
        visit.page.wait_for_timeout(1000)
        if view in visit.answers:
            break
    _, answer = visit.answers[view][-1]
    (row,) = answer["result"][0]["data"]
    assert tuple(row[name] for name in ("source_code", "concept_code", "scope_code")) == chosen
    assert visit.errors == []


def test_every_published_table_is_a_dataset(superset: Superset, published: Path) -> None:
    tables = query(published, "select table_name from duckdb_tables() where schema_name in ('marts', 'ops')")
    assert set(superset.listed("dataset")) == {name for (name,) in tables}


def test_provisioning_again_changes_nothing_and_undoes_edits(superset: Superset) -> None:
    kinds = ("chart", "dashboard", "dataset", "database")
    before = {kind: superset.listed(kind) for kind in kinds}
    edited = before["chart"]["Front-loading ledger"]
    superset.call("PUT", f"/chart/{edited}", json={"slice_name": "Something else"})
    assert "Something else" in superset.listed("chart")
    assert "Superset is prepared" in superset.provision()
    assert {kind: superset.listed(kind) for kind in kinds} == before
