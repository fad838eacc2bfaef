"""The report file: its texts, its limits, and identical bytes from identical marts."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable
from datetime import date
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from jinja2 import Environment, FileSystemBytecodeCache

from publish.report import build_report, charts, figures, page, sections
from publish.report.figures import concentration, ranking, read_views, shares
from publish.report.figures import view as view_texts
from publish.report.marts import Marts, read_names
from publish.report.sections import map as map_section
from publish.report.texts import Texts, page_texts

MARTS_SQL = Path(__file__).parents[1] / "data" / "report_marts.sql"
PROJECT = Path(__file__).parents[2]
MODELS = PROJECT / "dbt_project" / "models" / "marts"
JUDGED_SQL = PROJECT / "dbt_project" / "models" / "intermediate" / "int_scope_months.sql"
TEMPLATES = PROJECT / "publish" / "templates"
SECTIONS = sections.section_modules()
# Every module with its own texts.
WORDED: list[Any] = [*SECTIONS.values(), shares, ranking, concentration, view_texts]
MakeReport = Callable[..., str]
MakeViews = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def unchanged_marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("marts") / "candidate.duckdb"
    with duckdb.connect(str(built)) as connection:
        connection.execute(MARTS_SQL.read_text(encoding="utf-8"))
    return built


@pytest.fixture(scope="session")
def make_marts(unchanged_marts: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(*changes: str) -> Path:
        folder = tmp_path_factory.mktemp("changed")
        built = Path(shutil.copy(unchanged_marts, folder / "candidate.duckdb"))
        with duckdb.connect(str(built)) as connection:
            for change in changes:
                connection.execute(change)
        # The published name: file and schema then share a name, so `marts.x` alone is ambiguous.
        return built.replace(folder / "marts.duckdb")

    return make


@pytest.fixture(scope="session")
def make_report(make_marts: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> MakeReport:
    """Return a function that builds the report from changed marts, cached per set of changes.

    The chart specifications and the compiled template take most of the time and do not depend on the marts, so they
    are built once. A separate test checks that a full rebuild gives the same report; it bypasses this cache.
    """
    spec = cache(charts.Chart.spec)
    compiled = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("template")))
    environment = partial(Environment, bytecode_cache=compiled)

    @cache
    def make(*changes: str) -> str:
        marts = make_marts(*changes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(charts.Chart, "spec", spec)
            patch.setattr(page, "Environment", environment)
            return build_report(marts, marts.with_name("report.html")).read_text(encoding="utf-8")

    return make


@pytest.fixture
def make_views(make_marts: Callable[..., Path]) -> MakeViews:
    def make(*changes: str) -> dict[str, dict[str, Any]]:
        with duckdb.connect(str(make_marts(*changes)), read_only=True) as connection:
            marts = Marts(connection)
            return {view["key"]: view for view in read_views(marts, read_names(marts))}

    return make


def page_data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', html, re.S)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def words_of(html: str, key: str, language: str) -> dict[str, Any]:
    words: dict[str, Any] = next(view for view in page_data(html)["views"] if view["key"] == key)["words"][language]
    return words


def own_texts(module: Any) -> dict[str, dict[str, str]]:
    text: Texts = module.text
    return dict(text.own)


def without_library(html: str) -> str:
    """Remove the chart library, whose messages contain URLs."""
    return re.sub(r"<script>.*?</script>", "", html, flags=re.S)


class Elements(HTMLParser):
    """Parser that collects the start tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


METAL = "EUROSTAT.community.metal_core_hs.NL"
MINE = "EUROSTAT.community.mine.NL"
TOTALS = "CBS.border_crossing_excl_transit.all_goods.NL"


def test_page_contains_both_languages(make_report: MakeReport) -> None:
    html = make_report()
    for dutch, english in [
        ("Metaalexport naar bestemming", "Metal exports by destination"),
        ("nieuwste volledige maand", "newest complete month"),
        ("januari 2026", "January 2026"),
        ("20 maart 2026, 10:00 UTC", "20 March 2026, 10:00 UTC"),
        ("1.234.567", "1,234,567"),
        ("Communautair concept", "Community concept"),
        ("opgeslagen antwoorden", "recorded responses"),
    ]:
        assert f'<span class="nl" lang="nl">{dutch}</span><span class="en" lang="en">{english}</span>' in html


def test_every_text_has_both_languages() -> None:
    def check(node: dict[str, Any], path: str) -> None:
        if set(node) & {"nl", "en"}:
            assert set(node) == {"nl", "en"}, path
            placeholders = [set(re.findall(r"\{\w+\}", str(node[language]))) for language in ("nl", "en")]
            assert placeholders[0] == placeholders[1], path
            return
        for key, child in node.items():
            check(child, f"{path}.{key}")

    check(page_texts(), "texts.yml")
    for module in WORDED:
        check(own_texts(module), module.__name__)


def test_every_text_is_used() -> None:
    texts = page_texts()
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    # The script composes these keys.
    assert {key for key in texts["script"] if f'"{key}"' not in script} == {"group_metal", "group_user", "group_other"}
    template = (TEMPLATES / "report.html.j2").read_text(encoding="utf-8")
    unused = {key for key in texts["page"] if f'"{key}"' not in template and f"page.{key}" not in template}
    assert {key for key in unused if not key.endswith(("_term", "_note"))} == set()
    sources = {
        file: file.read_text(encoding="utf-8") for file in sorted((PROJECT / "publish" / "report").rglob("*.py"))
    }
    code = "".join(sources.values())
    assert {key for key in texts["shared"] if f'"{key}"' not in code and not key.startswith("slice_")} == set()
    for module in WORDED:
        code = sources[Path(module.__file__)]
        if module is view_texts:
            code += sources[Path(str(figures.__file__))]
        # The code composes some keys from a prefix and a code: f"verdict_{...}".
        families = tuple(re.findall(r'f"(\w+_)\{', code))
        # The page template uses the heading and the reason of an empty section.
        keys = set(own_texts(module)) - {"title", "empty"}
        assert {key for key in keys if f'"{key}"' not in code and not key.startswith(families)} == set(), module


def accepted_values(model: str, column: str) -> set[str]:
    """Return the codes that the contract of a mart accepts in a column."""
    contract = yaml.safe_load((MODELS / f"{model}.yml").read_text(encoding="utf-8"))
    columns = {entry["name"]: entry for entry in contract["models"][0]["columns"]}
    tests = [test for test in columns[column]["data_tests"] if isinstance(test, dict)]
    return set(next(test["accepted_values"]["arguments"]["values"] for test in tests if "accepted_values" in test))


@pytest.mark.parametrize(
    ("section", "prefix", "model", "column"),
    [
        ("frontloading", "verdict", "rpt_frontloading", "verdict"),
        ("frontloading", "reason", "rpt_frontloading", "verdict_reason"),
        ("frontloading", "method", "rpt_frontloading", "baseline_method"),
        ("tariffs", "status", "rpt_tariff_exposure", "status"),
    ],
)
def test_every_mart_code_has_a_text(section: str, prefix: str, model: str, column: str) -> None:
    labels = own_texts(SECTIONS[section])
    assert {key.removeprefix(f"{prefix}_") for key in labels if key.startswith(f"{prefix}_")} == accepted_values(
        model, column
    )


@pytest.mark.parametrize(
    ("section", "prefix", "seed", "column", "beside"),
    [
        ("opportunities", "access", "market_access_scale", "access_status", {"unknown"}),
        ("tariffs", "confidence", "tariff_events", "confidence", {"conflicting"}),
    ],
)
def test_every_seed_code_has_a_text(section: str, prefix: str, seed: str, column: str, beside: set[str]) -> None:
    labels = own_texts(SECTIONS[section])
    with (PROJECT / "reference" / f"{seed}.csv").open(encoding="utf-8", newline="") as handle:
        codes = {row[column] for row in csv.DictReader(handle)} | beside
    assert {key.removeprefix(f"{prefix}_") for key in labels if key.startswith(f"{prefix}_")} == codes


def test_metal_view_comes_first_and_is_the_default(make_report: MakeReport) -> None:
    data = page_data(make_report())
    assert [view["key"] for view in data["views"]] == [METAL, MINE, TOTALS]
    assert data["default"] == METAL


def test_default_falls_back_to_the_first_view(make_report: MakeReport) -> None:
    data = page_data(make_report("delete from marts.rpt_destination_shares where scope_code = 'metal_core_hs'"))
    assert data["default"] == MINE


def test_headline_is_the_12_month_share_with_its_change(make_views: MakeViews) -> None:
    raise_share = """
        update marts.rpt_destination_shares set share_r12 = 0.2345
        where destination_code = 'DE' and month = '2026-01-01' and scope_code = 'metal_core_hs'
    """
    view = make_views(raise_share)[METAL]
    assert view["basis"] == "r12"
    assert view["top"] == {"code": "DE", "share": 0.2345, "change_pp": 3.45}
    assert view["us"] == {"code": "US", "share": 0.02, "change_pp": 0.0}
    assert view["months"][-1] == date(2026, 1, 1)
    assert view["total_eur"] == 2_500_000_000


def test_page_receives_formatted_figures(make_report: MakeReport) -> None:
    raise_share = """
        update marts.rpt_destination_shares set share_r12 = 0.2345
        where destination_code = 'DE' and month = '2026-01-01' and scope_code = 'metal_core_hs'
    """
    html = make_report(raise_share)
    dutch, english = (words_of(html, METAL, language) for language in ("nl", "en"))
    change, period = "+3,5 procentpunt t.o.v. jaar eerder", "12 maanden t/m januari 2026"
    assert dutch["headlines"][0] == ["Grootste bestemming", "Duitsland", "23,5%", [change, period]]
    assert english["headlines"][-1] == ["Total exports", None, "\u20ac2,500 mln", ["January 2026"]]
    assert dutch["ranking"]["table"]["rows"][0][:4] == ["1", "Duitsland", "500", "20,0"]
    assert english["ranking"]["table"]["rows"][0][:4] == ["1", "Germany", "500", "20.0"]
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    assert not re.search(r"Intl|toFixed|toPrecision|toLocale|Date\(|Date\.", script)


def test_change_is_missing_without_the_year_before(make_views: MakeViews) -> None:
    forget = "update marts.rpt_destination_shares set share_r12 = null where month = '2025-01-01'"
    assert make_views(forget)[METAL]["top"]["change_pp"] is None


def test_chart_gives_the_top_8_and_the_united_states_distinct_colours(make_views: MakeViews) -> None:
    lines = make_views()[METAL]["lines"]
    assert [line["code"] for line in lines] == ["DE", "BE", "FR", "IT", "PL", "GB", "ES", "SE", "US"]
    assert len({line["colour"] for line in lines}) == 9


def test_gap_in_a_series_stays_a_gap(make_views: MakeViews) -> None:
    gap = "delete from marts.rpt_destination_shares where month = '2024-06-01' and scope_code = 'metal_core_hs'"
    view = make_views(gap)[METAL]
    assert view["lines"][0]["month"][view["months"].index(date(2024, 6, 1))] is None


def test_view_without_12_months_falls_back_to_single_months(make_views: MakeViews) -> None:
    view = make_views()[MINE]
    assert view["basis"] == "month"
    assert view["top"] == {"code": "DE", "share": 0.2, "change_pp": None}
    assert view["us"] is None
    assert view["concentration"] is None


def test_view_with_only_totals_has_no_ranking(make_views: MakeViews) -> None:
    view = make_views()[TOTALS]
    assert view["top"] is None
    assert view["lines"] == []
    assert [row["kind"] for row in view["rows"]] == ["not_loaded"]
    assert view["rows"][0]["rank"] is None


def test_missing_value_is_never_zero(make_views: MakeViews) -> None:
    view = make_views()[METAL]
    assert "PT" not in [row["code"] for row in view["rows"]]
    assert view["n_silent"] == 1
    one_old_value = """
        update marts.rpt_destination_shares set value_year_before_eur = 5 where destination_code = 'PT'
    """
    row = next(row for row in make_views(one_old_value)[METAL]["rows"] if row["code"] == "PT")
    assert (row["value"], row["share"], row["rank"], row["growth"]) == (None, None, None, None)


def test_growth_from_a_small_base_is_marked(make_views: MakeViews) -> None:
    rows = make_views()[METAL]["rows"]
    assert [row["code"] for row in rows if row["small_base"]] == ["FI"]


def test_unallocated_rest_is_listed_last_without_a_rank(make_views: MakeViews) -> None:
    rows = make_views()[METAL]["rows"]
    assert rows[-1]["code"] == "unallocated"
    assert rows[-1]["rank"] is None
    assert [row["rank"] for row in rows[:-1]] == list(range(1, 18))


def test_incomplete_months_are_listed_with_their_reason(make_report: MakeReport, make_views: MakeViews) -> None:
    assert make_views()[METAL]["incomplete"] == [(date(2026, 2, 1), "office_total_missing")]
    html = make_report()
    ((kind, told),) = words_of(html, METAL, "nl")["notices"]
    assert kind == ""
    assert told.startswith("Nog zonder aandelen: februari 2026. Het bureau heeft het totaal over alle bestemmingen")
    section = html[html.index('<section id="incomplete"') : html.index('<section id="status"')]
    assert "februari 2026" in section
    assert "The office has not published the total over all destinations yet." in section


def test_every_reason_of_the_marts_has_its_text_in_both_languages(make_report: MakeReport) -> None:
    query = JUDGED_SQL.read_text(encoding="utf-8")
    cases = re.findall(r"\bcase\b((?:(?!\bcase\b).)*?)\bend as incomplete_reason", query, re.DOTALL)
    assert len(cases) == 1
    reasons = re.findall(r"\bthen '(\w+)'", cases[0])
    assert len(reasons) >= 4
    texts = page_texts()["reasons"]
    assert set(texts) == {*reasons, "unknown"}
    for reason in reasons:
        html = make_report(
            f"update marts.rpt_destination_shares set incomplete_reason = '{reason}' where not is_complete"
        )
        section = html[html.index('<section id="incomplete"') : html.index('<section id="status"')]
        for language in ("nl", "en"):
            assert texts[reason][language] in section, f"{reason}, {language}"


def test_adjacent_months_are_shown_as_one_range(make_report: MakeReport) -> None:
    more = """
        update marts.rpt_destination_shares set is_complete = false, share = null, incomplete_reason = 'mixed_vintages'
        where scope_code = 'metal_core_hs' and month in ('2024-11-01', '2024-12-01', '2025-01-01', '2025-03-01')
    """
    assert "november 2024 \u2013 januari 2025, maart 2025" in make_report(more)


def test_status_shows_loads_and_the_newest_run_of_each_gate(make_report: MakeReport) -> None:
    html = make_report()
    status = html[html.index('<section id="status"') : html.index('<section id="notes"')]
    assert "1.234.560" in status
    assert "2,100" in status
    # Each dataset passes the gate separately, so each has its own newest run.
    assert "run-0" in status
    assert "run-2" in status
    assert "run-1" not in status
    assert "old_failure" not in status
    assert "few_rows" in status
    assert "fewer rows &amp; &lt;less&gt; than before" in status
    # CBS has no freshness row: a dash, not an invented month.
    assert '<span class="nl" lang="nl">\u2013</span>' in status


def test_page_header_lists_gaps(make_report: MakeReport) -> None:
    html = make_report()
    head = html[html.index('id="as-of"') : html.index("<noscript>")]
    gaps = head[head.index('id="gaps"') : head.index("</div>")]
    assert "staat nog op de publicatie van 20 maart 2026" in gaps
    assert "is still at the release of 20 March 2026" in gaps
    assert "no two rows &lt;b&gt;alike&lt;/b&gt;" in gaps
    assert "eurostat_sts_inpr_m DE" in gaps
    assert "is missing." in gaps
    assert "cbs_85429ned" not in gaps
    assert 'id="unmapped"' not in head
    assert 'id="gaps"' not in make_report("update ops.slices set state = 'loaded'")
    # Publications of earlier versions lack this table.
    assert 'id="gaps"' not in make_report("drop table ops.slices")


def test_unmapped_country_codes_are_listed_with_their_largest_share(make_report: MakeReport) -> None:
    html = make_report(
        "update marts.rpt_destination_shares set destination_code = 'unmapped' where destination_code = 'FI'"
    )
    told = html[html.index('id="unmapped"') :]
    told = told[: told.index("</p>")]
    assert "<code>1: QZ</code>" in told
    assert "1.33%" in told


def test_publication_is_shown_if_the_file_records_it(make_report: MakeReport) -> None:
    assert 'id="publication"' not in make_report()
    html = make_report(
        "create table ops.publication as select 'abc-20260321T120000' as publish_id, 'f00d' as content_sha256, "
        "false as is_simulated, 'replay' as profile, timestamp '2026-03-21 12:00:00' as published_at"
    )
    assert "abc-20260321T120000" in html
    assert "f00d" in html
    assert "21 maart 2026, 12:00 UTC" in html


@pytest.mark.parametrize(
    "change",
    [
        "update ops.loads set is_simulated = true, transport = 'simulator'",
        "create table ops.publication as select 'x' as publish_id, 'y' as content_sha256, true as is_simulated, "
        "timestamp '2026-03-21 12:00:00' as published_at",
    ],
)
def test_simulated_data_is_marked(make_report: MakeReport, change: str) -> None:
    html = make_report(change)
    assert 'class="is-simulated"' in html
    assert html.count(">Gesimuleerde gegevens / Simulated data<") == 2
    assert ".watermark" in html


def test_real_data_has_no_watermark(make_report: MakeReport) -> None:
    assert "Gesimuleerde gegevens / Simulated data" not in make_report()


def test_names_are_escaped(make_report: MakeReport) -> None:
    html = without_library(make_report())
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#34;en&#34;)&lt;/script&gt;" in html
    assert page_data(html)["scopes"]["mine"]["name"]["nl"] == '</script><script>alert("nl")</script>'


def test_page_fetches_nothing(make_report: MakeReport) -> None:
    html = make_report()
    elements = Elements()
    elements.feed(without_library(html))
    for tag, attributes in elements.found:
        assert "src" not in attributes, tag
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        href = attributes.get("href")
        if href:
            assert tag == "a"
            assert href.startswith(("#", "https://"))
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "javascript:" not in without_library(html)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;")
    assert "unsafe-eval" not in policy[1]


def test_same_marts_give_the_same_bytes(make_marts: Callable[..., Path], tmp_path: Path) -> None:
    marts = make_marts()
    first = build_report(marts, tmp_path / "first.html").read_bytes()
    second = build_report(marts, tmp_path / "second.html").read_bytes()
    assert first == second


def test_row_order_does_not_matter(make_report: MakeReport) -> None:
    shuffled = [
        f"create or replace table marts.{table} as select * from marts.{table} order by hash({table}::varchar)"
        for table in (
            "rpt_destination_shares",
            *dict.fromkeys(table for section in SECTIONS.values() for table in section.TABLES),
            "rpt_market_concentration",
        )
    ]
    assert make_report() == make_report(*shuffled)


def test_page_stays_small(make_report: MakeReport) -> None:
    assert len(make_report()) < 1_750_000


@pytest.mark.parametrize(
    "change",
    [
        "delete from marts.rpt_destination_shares",
        "update marts.rpt_destination_shares set is_complete = false, share = null, share_r12 = null, total_eur = null",
    ],
)
def test_page_states_that_no_month_is_complete(make_report: MakeReport, change: str) -> None:
    html = make_report(change)
    assert "Er zijn nog geen aandelen" in html
    assert "There are no shares yet" in html
    assert page_data(html)["views"] == []
    assert 'id="scope"' not in html


def test_warehouse_without_loads_and_checks(make_report: MakeReport) -> None:
    html = make_report(
        "delete from marts.rpt_destination_shares",
        "delete from marts.dim_dataset",
        "delete from ops.loads",
        "delete from ops.checks",
        "delete from ops.freshness",
    )
    assert "Nothing has been loaded yet." in html
    assert "This file contains no check results." in html


def test_failed_build_leaves_the_old_report(
    make_marts: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "report.html"
    target.write_text("old", encoding="utf-8")

    def refuse(self: Path, other: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        build_report(make_marts(), target)
    assert target.read_text(encoding="utf-8") == "old"
    assert list(folder.iterdir()) == [target]


def test_report_is_replaced_whole_and_readable(make_marts: Callable[..., Path], tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    marts = make_marts()
    before = marts.read_bytes()
    assert build_report(marts, target) == target
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o644
    assert target.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert marts.read_bytes() == before


def test_colours_are_readable_on_white() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colour in charts.PALETTE:
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour


def test_as_of_lists_only_loaded_datasets(make_report: MakeReport) -> None:
    """A declared dataset without a load has no origin to show."""
    on_request = (
        "insert into marts.dim_dataset (dataset_code, source_code, title_en, title_nl, n_loads)"
        " values ('eurostat_ert_bil_eur_m', 'EUROSTAT', 'Exchange rates', 'Wisselkoersen', 0)"
    )

    def as_of(html: str) -> str:
        return html.partition('id="as-of">')[2].partition("</ul>")[0]

    assert "Eurostat" in as_of(make_report())
    assert as_of(make_report(on_request)) == as_of(make_report())


def section_of(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', html, re.S)
    assert found
    return found[0]


def test_each_section_names_its_view(make_report: MakeReport) -> None:
    html = make_report()
    for name in SECTIONS:
        section = section_of(html, name)
        assert "publicatiestand" in section, name
        assert "release of" in section, name
        assert "Nederland" in section, name
    assert "onedele metalen en werken daarvan; Nederland; Eurostat, communautair concept" in html


def test_every_chart_is_described_with_figures_and_has_a_table(make_report: MakeReport) -> None:
    html = make_report()
    panels = page_data(html)["panels"]
    assert {panel["spec"] for panel in panels} == set(page_data(html)["specs"]) - {"shares", "equivalent"}
    for panel in panels:
        for language in ("nl", "en"):
            assert re.search(r"\d", panel["aria"][language]), panel["id"]
        assert f'id="{panel["id"]}"' in html
        name = panel["id"].partition("-")[0]
        assert "<table" in section_of(html, name), panel["id"]


@pytest.mark.parametrize("table", sorted({section.TABLES[0] for section in SECTIONS.values()}))
def test_section_without_rows_states_the_reason(make_report: MakeReport, table: str) -> None:
    html = make_report(f"delete from marts.{table}")
    if table == "rpt_destination_shares":
        assert "Er zijn nog geen aandelen" in html
        return
    for name, module in SECTIONS.items():
        section = section_of(html, name)
        assert ("Dit deel is leeg" in section) == (module.TABLES[0] == table), name
        assert ("This part is empty" in section) == (module.TABLES[0] == table), name


def test_section_without_its_table_states_the_remedy(make_report: MakeReport) -> None:
    tables = sorted({table for section in SECTIONS.values() for table in section.TABLES} - {"rpt_destination_shares"})
    html = make_report(*(f"drop table marts.{table}" for table in tables))
    for name, module in SECTIONS.items():
        section = section_of(html, name)
        absent = [table for table in module.TABLES if table in tables]
        assert ("Bouw en publiceer opnieuw" in section) == bool(absent), name
        assert ("Build and publish again" in section) == bool(absent), name
        for table in absent:
            assert table in section
    # One of these tables holds the growth of the total; without it the sentence reports the gap.
    assert "een vergelijking met een jaar eerder is niet mogelijk" in section_of(html, "month")


def test_moves_are_compared_with_noise(make_report: MakeReport) -> None:
    section = section_of(make_report(), "month")
    assert "the share of Germany fell from 21.25% to 20.00% (\u22121.25 percentage points)" in section
    assert "That is beyond noise (\u00b10.02 percentage points)." in section
    assert "Changes in the table beyond noise: 1 of 9." in section
    rows = re.findall(r"<tr>.*?</tr>", section, re.S)
    of = {name: next(row for row in rows if f">{name}<" in row) for name in ("Germany", "United States", "Belgium")}
    assert ">yes<" in of["Germany"]
    assert ">no<" in of["United States"]
    assert ">unknown<" in of["Belgium"]


def test_month_far_from_its_own_history_is_marked_unusual(make_report: MakeReport) -> None:
    assert "↯" not in without_library(make_report()).split('id="report-data"')[0]
    html = make_report(
        "update marts.rpt_destination_shares set is_unusual = true, value_to_expected_ratio = 7.14"
        " where destination_code = 'PL' and is_complete"
    )
    assert "Unusual (↯): Poland had 7.1 times the value expected from their own history" in html
    assert "Ongewoon (↯): Polen had 7,1 keer" in html


def test_map_lists_destinations_too_small_to_draw(make_report: MakeReport) -> None:
    small = """
        insert into marts.rpt_destination_shares by name
        select
            * replace ('SG' as destination_code, 'Singapore' as destination_name_nl, 'Singapore' as destination_name_en)
        from marts.rpt_destination_shares where destination_code = 'US'
    """
    section = section_of(make_report(small), "map")
    assert "1 destinations are too small" in section
    assert "Singapore (2.0%)" in section
    assert "All destinations with a share are on the map." in section_of(make_report(), "map")


def test_map_is_shaded_by_the_share(make_report: MakeReport) -> None:
    panel = next(panel for panel in page_data(make_report())["panels"] if panel["id"] == "map-world")
    shades = {row["code"]: row["colour"] for row in panel["datasets"]["shades"]}
    assert shades["DE"] == map_section.SHADES[-1]
    assert shades["US"] == map_section.SHADES[3]
    assert shades["NL"] == map_section.REPORTER
    # Portugal has no figure; that is not a share of zero.
    assert "PT" not in shades


def test_warehouse_knows_every_country_on_the_map() -> None:
    with (PROJECT / "reference" / "countries.csv").open(encoding="utf-8", newline="") as handle:
        known = {row["country_code"] for row in csv.DictReader(handle)}
    drawn = charts.countries_on_map()
    assert len(drawn) > 170
    assert drawn - known == set()


def test_parts_of_a_change_add_up_in_the_chart(make_report: MakeReport) -> None:
    panel = next(panel for panel in page_data(make_report())["panels"] if panel["id"] == "change-chart")
    for total in panel["datasets"]["sums"]:
        parts = [row["x"] for row in panel["datasets"]["parts"] if row["label"] == total["label"]]
        assert sum(parts) == pytest.approx(total["x"], abs=1e-4), total["label"]


def test_gap_in_the_flow_of_a_tariff_stays_a_gap(make_report: MakeReport) -> None:
    gap = "delete from marts.rpt_tariff_exposure where month = '2025-06-01'"
    panel = next(panel for panel in page_data(make_report(gap))["panels"] if panel["id"] == "tariffs-chart")
    values = [row["y"] for row in panel["datasets"]["lines"]]
    assert values.count(None) == 1
    assert len(values) == 25


def test_events_of_one_month_share_a_mark(make_report: MakeReport) -> None:
    panel = next(panel for panel in page_data(make_report())["panels"] if panel["id"] == "tariffs-chart")
    assert [row["label"] for row in panel["datasets"]["events"]] == ["1", "2\u20133"]


def test_ledger_gives_the_verdict_in_words(make_report: MakeReport) -> None:
    section = section_of(make_report(), "frontloading")
    assert "Verdict: front-loaded and then paid back, by both methods; \u20ac70.0 mln less than expected" in section
    assert "not detectable: the figures vary too much to detect 10%" in section
    cannot = """
        update marts.rpt_frontloading
        set verdict = 'not_detectable', verdict_reason = 'gaps', excess_eur = null, excess_lower_eur = null
        where scope_code = 'metal_core_hs'
    """
    section = section_of(make_report(cannot, "delete from marts.rpt_frontloading_months"), "frontloading")
    assert "Verdict: not detectable (months without a figure for this market)." in section
    assert "how much more than expected cannot be computed" in section
    assert "For comparison" not in section


def test_sections_name_the_remaining_offices_without_eurostat_shares(make_report: MakeReport) -> None:
    html = make_report("delete from marts.rpt_destination_shares where source_code = 'EUROSTAT'")
    assert page_data(html)["default"] == TOTALS
    assert "Dit deel is leeg" in section_of(html, "month")
    assert "CBS, grensoverschrijding exclusief quasi-doorvoer" in section_of(html, "opportunities")
    assert "In januari 2026 telt Eurostat" in section_of(html, "reconciliation")


def test_one_file_adds_a_section(make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = re.findall(r'<section id="(\w+)"', make_report())
    page = (PROJECT / "docs" / "contributing.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)
    (tmp_path / "sections").mkdir()
    name, order = "example_of_the_documentation", int(re.findall(r"^ORDER = (\d+)", example, re.M)[0])
    (tmp_path / "sections" / f"{name}.py").write_text(example, encoding="utf-8")
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path / "sections")])
    # `select 1` leaves the marts unchanged but bypasses the cached report.
    html = make_report("select 1")
    monkeypatch.delitem(sys.modules, f"publish.report.sections.{name}")
    assert f'<a href="#{name}">' in html
    assert "Exports were largest in January 2024: \u20ac2,500 mln." in section_of(html, name)
    after = re.findall(r'<section id="(\w+)"', html)
    assert [other for other in after if other != name] == before
    earlier = [other for other in before if other in SECTIONS and order > SECTIONS[other].ORDER]
    assert after[after.index(name) - 1] == earlier[-1]


@pytest.mark.parametrize("name", list(SECTIONS))
def test_section_has_the_required_attributes(name: str) -> None:
    module = SECTIONS[name]
    assert module.TABLES
    assert module.__doc__
    assert {"title", "empty"} <= set(own_texts(module))
    assert [other.ORDER for other in SECTIONS.values()].count(module.ORDER) == 1
