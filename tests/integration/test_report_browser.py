"""The report in a real browser, opened from a file without a network, at three widths and in print."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from publish.report import build_report

CHROMIUM = shutil.which("chromium")
MARTS_SQL = Path(__file__).parents[1] / "data" / "report_marts.sql"
MINE = "EUROSTAT.community.mine.NL"
TOTALS = "CBS.border_crossing_excl_transit.all_goods.NL"

WIDTHS = [1280, 800, 390]
# Paper of 210 mm with margins of 14 mm, in CSS pixels.
PAPER_WIDTH = 688

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
    """A browser page that records its errors and its requests."""

    def __init__(self, browser: Browser, width: int, *, bypass_csp: bool = False) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, bypass_csp=bypass_csp)
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


@pytest.fixture(params=WIDTHS, ids=["desktop", "tablet", "phone"])
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    visit = Visit(browser, request.param)
    yield visit
    visit.page.close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[Visit]:
    """Yield a visit at the narrowest width, for what does not depend on it."""
    visit = Visit(browser, WIDTHS[-1])
    yield visit
    visit.page.close()


METAL = "EUROSTAT.community.metal_core_hs.NL"


def marks(page: Page, chart: str, kind: str) -> int:
    return page.locator(f"#{chart} svg .mark-{kind} path").count()


def overflow(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def test_page_draws_its_charts_without_network_requests(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    assert marks(page, "shares-chart", "line") == 9
    assert marks(page, "ranking-chart", "rect") >= 15
    assert marks(page, "equivalent-chart", "line") == 1
    assert marks(page, "tops-chart", "line") == 4
    for chart in ("shares-chart", "ranking-chart", "equivalent-chart", "tops-chart"):
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


def test_address_keeps_language_and_view(phone: Visit, report_file: Path) -> None:
    page = phone.open(report_file, f"#lang=en&view={TOTALS}")
    phone.drawn(f"en {TOTALS}")
    assert "All goods" in page.locator("#caption").inner_text()
    assert "CBS, border crossing excluding quasi-transit" in page.locator("#caption").inner_text()


def test_selector_changes_caption_and_table(phone: Visit, report_file: Path) -> None:
    page = phone.open(report_file)
    phone.drawn(f"nl {METAL}")
    before = page.locator("#ranking-table").inner_text()
    page.locator("#scope").select_option("mine")
    phone.drawn(f"nl {MINE}")
    # The name is rendered as text, whatever it contains.
    assert '</script><script>alert("nl")</script>' in page.locator("#caption").inner_text()
    assert page.locator("#ranking-table").inner_text() != before
    assert "Niet geladen" in page.locator("#ranking-table tbody.apart").inner_text()
    assert "Grootste geladen bestemming" in page.locator("#headlines").inner_text()
    assert "Er zijn nog geen 12 volledige maanden op rij" in page.locator("#shares-caption").inner_text()
    assert not page.locator("#basis").is_visible()
    assert not page.locator("#concentration").is_visible()
    assert overflow(page) <= 0
    assert phone.troubles == []


def test_hostile_office_text_is_inert_even_without_the_page_policy(browser: Browser, tmp_path: Path) -> None:
    does = "globalThis.owned = 1"
    hostile = f"<!--</script><img src=x onerror='{does}'>${{{does}}}{{{{{does}}}}}]\\u003cscript>{does}</script>"
    literal = hostile.replace("'", "''")
    file = make_report(
        tmp_path,
        f"update marts.dim_metal_scope set scope_name_nl = '{literal}', description_nl = '{literal}'",
        f"update marts.dim_country set country_name_nl = '{literal}' where country_code in ('DE', 'US', 'NL')",
        f"update marts.dim_dataset set title_nl = '{literal}', citation = '{literal}'",
    )
    visit = Visit(browser, 1280, bypass_csp=True)
    page = visit.open(file)
    visit.drawn(f"nl {METAL}")
    assert hostile in page.locator("#caption").inner_text()
    assert hostile in page.locator("#ranking-table").inner_text()
    assert hostile[:20] in (page.locator("#ranking-chart svg").text_content() or "")
    page.locator("#shares-chart").hover()
    assert page.evaluate("globalThis.owned") is None
    assert page.locator("img").count() == 0
    assert visit.troubles == []
    assert visit.requests == [file.as_uri()]
    visit.page.close()


def test_totals_alone_show_no_ranking(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file, f"#lang=nl&view={TOTALS}")
    visit.drawn(f"nl {TOTALS}")
    assert "alleen totalen geladen" in page.locator("#view-notices").inner_text()
    assert "bestemming" not in page.locator("#headlines").inner_text()
    assert page.locator("#ranking-title").inner_text() == "Totaal zonder landen"
    for element in ("#shares", "#concentration", "#ranking-chart"):
        assert not page.locator(element).is_visible()
    assert visit.troubles == []


def test_monthly_shares_can_replace_12_month_shares(phone: Visit, report_file: Path) -> None:
    page = phone.open(report_file)
    phone.drawn(f"nl {METAL}")
    assert "over 12 maanden" in page.locator("#shares-caption").inner_text()
    page.locator("#basis input[value=month]").check()
    phone.drawn(f"nl {METAL}")
    assert "per maand" in page.locator("#shares-caption").inner_text()
    assert phone.troubles == []


def test_chart_has_a_table_of_its_figures(phone: Visit, report_file: Path) -> None:
    page = phone.open(report_file)
    phone.drawn(f"nl {METAL}")
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


def test_every_printed_page_is_marked_simulated(browser: Browser, tmp_path: Path) -> None:
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


def test_page_without_shares_reports_it(phone: Visit, tmp_path: Path) -> None:
    page = phone.open(make_report(tmp_path, "delete from marts.rpt_destination_shares"))
    assert "Er zijn nog geen aandelen" in page.locator("#figures").inner_text()
    page.get_by_role("button", name="English").click()
    assert "There are no shares yet" in page.locator("#figures").inner_text()
    assert overflow(page) <= 0
    assert phone.troubles == []


def test_every_section_draws_its_charts(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    # All countries except Antarctica; the map of Europe has the same shapes, clipped.
    assert marks(page, "map-world", "shape") == 176
    assert marks(page, "map-europe", "shape") == 176
    assert marks(page, "month-chart-0", "line") == 2
    assert marks(page, "change-chart", "rect") == 15
    assert marks(page, "tariffs-chart", "line") == 1
    assert page.locator("#tariffs-chart svg .timeline_rules_marks line").count() == 2
    assert marks(page, "frontloading-chart-control-group", "area") == 1
    assert marks(page, "frontloading-chart-seasonal-trend", "line") == 2
    assert marks(page, "opportunities-chart", "rect") >= 16
    assert marks(page, "peers-chart", "symbol") == 24
    assert marks(page, "stress-chart", "rect") == 10
    assert marks(page, "reconciliation-chart", "line") == 3
    for chart in page.locator(".chart").all():
        if chart.is_visible():
            box = chart.locator("svg").bounding_box()
            around = chart.bounding_box()
            assert box
            assert around
            assert box["height"] > 60
            assert box["width"] <= around["width"] + 1
            assert chart.get_attribute("role") == "img"
            assert re.search(r"\d", chart.get_attribute("aria-label") or "")


def test_map_is_shaded(visit: Visit, report_file: Path) -> None:
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    shapes = page.locator("#map-world svg .mark-shape path")
    fills = shapes.evaluate_all("paths => paths.map(path => path.getAttribute('fill'))")
    # Germany has the darkest shade, the Netherlands the exporter's colour, and most countries have no figure.
    assert fills.count("#0a3367") == 2
    assert fills.count("#f2a33a") == 1
    assert fills.count("#f0efeb") > 100


OVERLAPS = """
() => {
  const seen = (element) => {
    let { left, right, top, bottom } = element.getBoundingClientRect();
    for (let around = element.parentElement; around; around = around.parentElement) {
      if (around.classList.contains("scroll") || around.classList.contains("chart")) {
        const clip = around.getBoundingClientRect();
        left = Math.max(left, clip.left); right = Math.min(right, clip.right);
        top = Math.max(top, clip.top); bottom = Math.min(bottom, clip.bottom);
      }
    }
    return { element, left, right, top, bottom };
  };
  const common = (a, b, low, high) => Math.min(a[high], b[high]) - Math.max(a[low], b[low]);
  const clash = (a, b, edge) => common(a, b, "left", "right") > edge && common(a, b, "top", "bottom") > edge;
  const found = [];
  const compare = (boxes, edge) => boxes.forEach((a, index) => boxes.slice(index + 1).forEach((b) => {
    if (!a.element.contains(b.element) && !b.element.contains(a.element) && clash(a, b, edge))
      found.push([a.element.textContent.trim().slice(0, 40), b.element.textContent.trim().slice(0, 40)]);
  }));
  const visible = (box) => box.element.checkVisibility({ opacityProperty: true })
    && box.right - box.left > 0 && box.bottom - box.top > 0 && box.element.textContent.trim();
  // Of a table only its region counts: cells cannot overlap.
  const blocks = "h1, h2, h3, h4, p, figcaption, summary, label, select, dt, dd, li, .scroll, .chart, .headline";
  compare([...document.querySelectorAll(blocks)].map(seen).filter(visible), 1);
  document.querySelectorAll(".chart").forEach((chart) => {
    const texts = [...chart.querySelectorAll("svg text")].filter((text) => !text.closest(".timeline_edges_marks"));
    compare(texts.map(seen).filter(visible), 2);
  });
  return found;
}
"""


@pytest.mark.parametrize("language", ["nl", "en"])
def test_no_texts_overlap(visit: Visit, report_file: Path, language: str) -> None:
    page = visit.open(report_file, f"#lang={language}")
    visit.drawn(f"{language} {METAL}")
    assert page.evaluate(OVERLAPS) == []
    page.evaluate("document.querySelectorAll('details').forEach(element => { element.open = true; })")
    assert page.evaluate(OVERLAPS) == []
    assert overflow(page) <= 0
    assert visit.troubles == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["nl", "en"])
def test_page_has_no_accessibility_violations(browser: Browser, tmp_path: Path, width: int, language: str) -> None:
    file = make_report(tmp_path, "update ops.loads set is_simulated = true, transport = 'simulator'")
    # The page's Content-Security-Policy would block the checker too.
    visit = Visit(browser, width, bypass_csp=True)
    page = visit.open(file, f"#lang={language}")
    visit.drawn(f"{language} {METAL}")
    page.evaluate("document.querySelectorAll('details').forEach(element => { element.open = true; })")
    results = Axe().run(page).response
    assert len(results["passes"]) > 20
    found = [(rule["impact"], rule["id"], rule["nodes"][0]["html"]) for rule in results["violations"]]
    assert found == []
    page.close()


def test_page_can_be_used_with_the_keyboard_alone(browser: Browser, report_file: Path) -> None:
    visit = Visit(browser, 1280)
    page = visit.open(report_file)
    visit.drawn(f"nl {METAL}")
    focus = "(() => { const e = document.activeElement; return e.id || e.textContent.trim(); })()"
    page.keyboard.press("Tab")
    assert "Naar de inhoud" in page.evaluate(focus)
    assert page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.evaluate(focus) == "main"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached.add(page.evaluate(focus))
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none", page.evaluate(focus)
    assert {"scope", "view"} <= reached
    assert any("Cijfers als tabel" in name for name in reached)
    page.close()


def test_link_to_a_section_keeps_language_and_view(browser: Browser, report_file: Path) -> None:
    visit = Visit(browser, 1280)
    page = visit.open(report_file, f"#lang=en&view={MINE}")
    visit.drawn(f"en {MINE}")
    page.locator(".contents a", has_text="Tariffs").click()
    assert page.locator("#tariffs").bounding_box()["y"] < 100  # type: ignore[index]
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("body").get_attribute("data-drawn") == f"en {MINE}"
    page.close()


def test_chart_tooltip_shows_its_figures(browser: Browser, report_file: Path) -> None:
    visit = Visit(browser, 1280)
    page = visit.open(report_file, "#lang=en")
    visit.drawn(f"en {METAL}")
    page.locator("#tariffs-chart").hover(position={"x": 500, "y": 200})
    page.wait_for_selector("#tooltip:not([hidden])")
    assert "goods of the tariff" in page.locator("#tooltip").inner_text()
    assert visit.troubles == []
    page.close()


def test_print_opens_every_fold_and_clips_no_chart(browser: Browser, tmp_path: Path) -> None:
    file = make_report(tmp_path, "update ops.loads set is_simulated = true, transport = 'simulator'")
    visit = Visit(browser, PAPER_WIDTH)
    page = visit.open(file)
    visit.drawn(f"nl {METAL}")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    # Chromium shrinks all pages to the widest element, so no element may be wider than the paper.
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER_WIDTH
    for chart in page.locator(".chart svg").all():
        if chart.is_visible():
            box = chart.bounding_box()
            assert box
            assert box["width"] > 200
            assert box["x"] + box["width"] <= PAPER_WIDTH
    assert not page.locator(".contents").is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    visit.drawn(f"nl {METAL}")
    assert page.locator("details:not([open])").count() > 5
    printed = page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF-")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in printed or b"/MediaBox [0 0 595" in printed
    assert visit.troubles == []
    page.close()
