"""The report in a real browser: from a file, on a desktop and on a phone, without a network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from publish.report import build_report

CHROMIUM = shutil.which("chromium")
MARTS_SQL = Path(__file__).parents[1] / "data" / "report_marts.sql"
MINE = "EUROSTAT.community.mine.NL"
TOTALS = "CBS.border_crossing_excl_transit.all_goods.NL"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


def make_report(folder: Path, *changes: str) -> Path:
    marts = folder / "candidate.duckdb"
    with duckdb.connect(str(marts)) as connection:
        connection.execute(MARTS_SQL.read_text(encoding="utf-8"))
        for change in changes:
            connection.execute(change)
    return build_report(marts, folder / "report.html")


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page that remembers what went wrong on it and what it asked for."""

    def __init__(self, browser: Browser, width: int) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900})
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("requestfailed", lambda request: self.troubles.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, file: Path, address: str = "") -> Page:
        self.page.goto(file.as_uri() + address)
        return self.page

    def drawn(self, state: str) -> None:
        self.page.wait_for_function("state => document.body.dataset.drawn === state", arg=state, timeout=20_000)


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    visit = Visit(browser, request.param)
    yield visit
    visit.page.close()


METAL = "EUROSTAT.community.metal_core_hs.NL"


def marks(page: Page, chart: str, kind: str) -> int:
    return page.locator(f"#{chart} svg .mark-{kind} path").count()


def overflow(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def test_page_draws_its_charts_and_asks_for_nothing(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    assert marks(page, "shares-chart", "line") == 9
    assert marks(page, "ranking-chart", "rect") >= 15
    assert marks(page, "equivalent-chart", "line") == 1
    assert marks(page, "top5-chart", "line") == 1
    for chart in ("shares-chart", "ranking-chart", "equivalent-chart", "top5-chart"):
        described = page.locator(f"#{chart}").get_attribute("aria-label") or ""
        assert "Onedele metalen" in described
        assert "communautair concept" in described
    assert overflow(page) <= 0
    assert visit.troubles == []
    assert visit.requests == [report_file.as_uri()]


def test_language_switches_without_a_reload(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    assert page.locator("h1").inner_text() == "Metaalexport naar bestemming"
    assert "20,0" in page.locator("#ranking-table").inner_text()
    assert "Duitsland" in page.locator("#ranking-table").inner_text()
    page.get_by_role("button", name="English").click()
    visit.drawn(f"en {METAL}")
    assert page.locator("h1").inner_text() == "Metal exports by destination"
    assert page.title() == "Metal exports by destination"
    assert page.locator("html").get_attribute("lang") == "en"
    assert "20.0" in page.locator("#ranking-table").inner_text()
    assert "Germany" in page.locator("#ranking-table").inner_text()
    assert "lang=en" in page.url
    assert overflow(page) <= 0
    assert visit.requests == [report_file.as_uri()]
    assert visit.troubles == []


def test_address_keeps_language_and_view(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file, f"#lang=en&view={TOTALS}")
    visit.drawn(f"en {TOTALS}")
    assert "All goods" in page.locator("#caption").inner_text()
    assert "CBS, border crossing excluding quasi-transit" in page.locator("#caption").inner_text()


def test_selector_changes_caption_and_table(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    before = page.locator("#ranking-table").inner_text()
    page.locator("#scope").select_option("mine")
    visit.drawn(f"nl {MINE}")
    # The name is text, whatever it holds.
    assert '</script><script>alert("nl")</script>' in page.locator("#caption").inner_text()
    assert page.locator("#ranking-table").inner_text() != before
    assert "Niet geladen" in page.locator("#ranking-table tbody.apart").inner_text()
    assert "Grootste geladen bestemming" in page.locator("#headlines").inner_text()
    assert "Er zijn nog geen 12 volledige maanden op rij" in page.locator("#shares-caption").inner_text()
    assert not page.locator("#basis").is_visible()
    assert not page.locator("#concentration").is_visible()
    assert overflow(page) <= 0
    assert visit.troubles == []


def test_totals_alone_claim_no_ranking(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file, f"#lang=nl&view={TOTALS}")
    visit.drawn(f"nl {TOTALS}")
    assert "alleen totalen geladen" in page.locator("#view-notices").inner_text()
    assert "bestemming" not in page.locator("#headlines").inner_text()
    assert page.locator("#ranking-title").inner_text() == "Totaal zonder landen"
    for element in ("#shares", "#concentration", "#ranking-chart"):
        assert not page.locator(element).is_visible()
    assert visit.troubles == []


def test_months_can_be_chosen_over_12_months(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    assert "over 12 maanden" in page.locator("#shares-caption").inner_text()
    page.locator("#basis input[value=month]").check()
    visit.drawn(f"nl {METAL}")
    assert "per maand" in page.locator("#shares-caption").inner_text()
    assert visit.troubles == []


def test_table_stands_behind_the_chart(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    page.locator("#shares-table summary").press("Enter")
    table = page.locator("#shares-table table")
    assert table.is_visible()
    assert table.locator("tbody tr").count() == 14
    assert re.match(r"januari 2026\s+20,0", table.locator("tbody tr").first.inner_text())
    assert overflow(page) <= 0


def test_pointer_shows_the_figures_of_a_month(browser: Browser, report_file: Path) -> None:
    visit = Visit(browser, 1280)
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    page.locator("#shares-chart").hover(position={"x": 400, "y": 150})
    page.wait_for_selector("#tooltip:not([hidden])")
    assert "12 maanden t/m" in page.locator("#tooltip").inner_text()
    assert "Duitsland" in page.locator("#tooltip").inner_text()
    assert visit.troubles == []
    page.close()


def test_every_printed_page_says_simulated(browser: Browser, tmp_path: Path) -> None:
    file = make_report(tmp_path, "update ops.loads set is_simulated = true, transport = 'simulator'")
    visit = Visit(browser, 1280)
    page = visit.open(file)
    visit.drawn(f"nl {METAL}")
    assert page.locator("#simulated").is_visible()
    page.emulate_media(media="print")
    # Chromium repeats a fixed element on every printed page.
    assert page.locator(".watermark").is_visible()
    position = page.locator(".watermark").evaluate("element => getComputedStyle(element).position")
    assert position == "fixed"
    assert not page.locator(".selector").is_visible()
    page.close()


def test_page_without_shares_says_so(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(make_report(tmp_path, "delete from marts.rpt_destination_shares"))
    assert "Er zijn nog geen aandelen" in page.locator("#figures").inner_text()
    page.get_by_role("button", name="English").click()
    assert "There are no shares yet" in page.locator("#figures").inner_text()
    assert overflow(page) <= 0
    assert visit.troubles == []
