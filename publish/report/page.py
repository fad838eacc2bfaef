"""The page: sections, figures and status in one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from common.files import write_atomically
from publish.duckdb_file import connect_published
from publish.report.charts import chart_library, countries_topology
from publish.report.figures import CHARTS, PARTS, default_view, read_views, view_data
from publish.report.formats import axis_locales, number
from publish.report.marts import Marts, Row, country_name, read_names
from publish.report.parts import View
from publish.report.sections import build_sections
from publish.report.status import (
    describe_status,
    read_datasets,
    read_gaps,
    read_gates,
    read_incomplete,
    read_offices,
    read_publication,
    read_unmapped,
)
from publish.report.texts import MISSING, TEMPLATES, join, page_texts, shared


def build_report(marts: Path, target: Path) -> Path:
    """Write the report on a published warehouse.

    Parameters
    ----------
    marts : Path
        Published DuckDB file; read only.
    target : Path
        HTML file to write, replaced atomically.

    Returns
    -------
    Path
        The target.
    """
    with connect_published(marts) as connection:
        html = render(connection)
    write_atomically(target, html)
    return target


def render(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the page of the marts behind a connection.

    The page is a pure function of the marts: no clock, no random names, rows in a defined order.
    """
    marts = Marts(connection)
    names = read_names(marts)
    views = read_views(marts, names)
    default = default_view(views)
    subject = _subject_of(default, names) if default else None
    sections = build_sections(marts, subject) if subject else []
    panels = [panel for section in sections if section.content for panel in section.content.panels]
    charts = {chart.name: chart for chart in (*CHARTS, *(panel.chart for panel in panels))}
    datasets = read_datasets(marts)
    publication = read_publication(marts)
    loads = marts.rows("select distinct transport, is_simulated from ops.loads")
    gates, not_passed = read_gates(marts)

    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    library = chart_library() if views else ""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    data = {
        "texts": page_texts()["script"],
        "missing": MISSING,
        "locales": axis_locales(),
        "scopes": names["scopes"],
        "specs": {name: chart.spec() for name, chart in charts.items()},
        "default": default and default["key"],
        "views": [view_data(view, names) for view in views],
        "panels": [panel.as_data() for panel in panels],
        "topology": countries_topology() if any(panel.ratio for panel in panels) else None,
    }
    # The content security policy makes the browser enforce that the page fetches nothing.
    return environment.get_template("report.html.j2").render(
        page=page_texts()["page"],
        css=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=script,
        chart_library=library,
        data_json=json_for_html(data),
        content_security_policy=_content_security_policy(script, library),
        is_simulated=any(row["is_simulated"] for row in loads) or bool(publication and publication["is_simulated"]),
        is_replayed=any(row["transport"] == "replay" for row in loads),
        sections=sections,
        subject=shared("lead_view", **subject.words) if subject else None,
        offices=read_offices(marts, datasets),
        incomplete=read_incomplete(marts, names),
        datasets=datasets,
        status=describe_status(datasets, gates),
        publication=publication,
        gaps=read_gaps(marts),
        unmapped=read_unmapped(marts),
        gates=gates,
        not_passed=not_passed,
        concepts=names["concepts"].values(),
        scopes=names["scopes"].values(),
        number=number,
        join=join,
        link=_link,
    )


def _subject_of(view: Row, names: Row) -> View:
    source, concept, scope, reporter = (view[part] for part in PARTS)
    return View(
        key=(source, concept, scope, reporter),
        month=view["months"][-1],
        reporter=country_name(names, reporter),
        scope=names["scopes"][scope]["name"],
        concept=names["concepts"][concept]["name"],
    )


def json_for_html(data: object) -> str:
    """Return data as JSON that cannot end the surrounding script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _content_security_policy(*scripts: str) -> str:
    """Allow the page's own scripts by hash and nothing external.

    Styles stay open, because Vega sets them on the elements it draws.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts if text
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _link(text: str | None, url: str | None) -> Markup:
    """Link to a web page; any other address (``javascript:``) stays text."""
    if url and url.startswith(("https://", "http://")):
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(url, text or url)
    return escape(text or MISSING)
