"""The page: what was read, said and drawn, put together in one HTML file that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from datetime import date
from pathlib import Path

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from publish.duckdb_file import connect_published
from publish.report.charts import MAPS, PALETTE, chart_library, chart_specs, countries_topology
from publish.report.marts import (
    Marts,
    Row,
    default_view,
    read_datasets,
    read_gaps,
    read_gates,
    read_incomplete,
    read_names,
    read_offices,
    read_publication,
    read_unmapped,
    read_views,
)
from publish.report.sections import View, make_sections
from publish.report.sentences import tell_concentration, tell_shares, tell_status
from publish.report.words import MISSING, TEMPLATES, Pair, integer, join, month, same, say, texts


def build_report(marts: Path, target: Path) -> Path:
    """Write the report on a published warehouse.

    Parameters
    ----------
    marts : Path
        Published DuckDB file; only read.
    target : Path
        HTML file to write. Readers see the old one or the new one, never half of it.

    Returns
    -------
    Path
        The target.
    """
    with connect_published(marts) as connection:
        html = render(connection)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as handle:
            handle.write(html)
            handle.flush()
            os.fsync(handle.fileno())
        # mkstemp makes the file private; a report is there to be read.
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def render(connection: duckdb.DuckDBPyConnection) -> str:
    """Turn the marts behind a connection into the page.

    The page is a pure function of the marts: no clock, no random names, rows in a stated order.
    """
    marts = Marts(connection)
    names = read_names(marts)
    views = read_views(marts, names)
    for view in views:
        view["leads"] = _tell_view(view, names)
    default = default_view(views)
    chosen = next((view for view in views if view["key"] == default), None)
    subject = _subject_of(chosen, names) if chosen else None
    sections = make_sections(marts, subject) if subject else {}
    panels = [panel.as_data() for section in sections.values() for panel in section.panels]
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
        "texts": texts()["script"],
        "reasons": texts()["reasons"],
        "months": texts()["months"],
        "names": names,
        "specs": chart_specs(),
        "default": default,
        "views": views,
        "palette": PALETTE,
        "panels": panels,
        "topology": countries_topology() if any(panel["spec"] in MAPS for panel in panels) else None,
    }
    # The page fetches nothing; a content security policy in it lets the browser hold it to that.
    return environment.get_template("report.html.j2").render(
        page=texts()["page"],
        css=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=script,
        chart_library=library,
        data_json=json_for_html(data),
        content_security_policy=_content_security_policy(script, library),
        is_simulated=any(row["is_simulated"] for row in loads) or bool(publication and publication["is_simulated"]),
        is_replayed=any(row["transport"] == "replay" for row in loads),
        sections=sections,
        subject=say("lead_view", **subject.words) if subject else None,
        offices=read_offices(marts, datasets),
        incomplete=read_incomplete(marts, names),
        datasets=datasets,
        status=tell_status(datasets, gates),
        publication=publication,
        gaps=read_gaps(marts),
        unmapped=read_unmapped(marts),
        gates=gates,
        not_passed=not_passed,
        concepts=names["concepts"].values(),
        scopes=names["scopes"].values(),
        integer=integer,
        link=_link,
    )


def _subject_of(view: Row, names: Row) -> View:
    source, concept, scope, reporter = (view[part] for part in ("source", "concept", "scope", "reporter"))
    return View(
        key=(source, concept, scope, reporter),
        month=date.fromisoformat(f"{view['months'][-1]}-01"),
        reporter=names["countries"].get(reporter, same(reporter)),
        scope=names["scopes"][scope]["name"],
        concept=names["concepts"][concept]["name"],
    )


def _tell_view(view: Row, names: Row) -> dict[str, Pair | None]:
    """Write the sentences of a view that the reader can choose."""
    months = [date.fromisoformat(f"{text}-01") for text in view["months"]]
    period = say("period_12" if view["basis"] == "r12" else "period_month", month=month(months[-1]))
    shares = tell_shares(view, period, names["countries"])
    told: dict[str, Pair | None] = {"shares": join(shares, " ") if shares else None, "concentration": None}
    series = view["concentration"]
    if series:
        at = [{name: series[name][index] for name in ("equivalent", "hhi", "top5")} for index in range(len(months))]
        last = max(index for index, row in enumerate(at) if row["equivalent"] is not None)
        told["concentration"] = join(tell_concentration(at[last], at[last - 12] if last >= 12 else None), " ")
    return told


def json_for_html(data: object) -> str:
    """Serialise data so that no value can end the script element that holds it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _content_security_policy(*scripts: str) -> str:
    """Allow the page's own scripts by hash and nothing from outside.

    Styles stay open, as Vega sets them on the elements it draws.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts if text
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _link(text: str | None, url: str | None) -> Markup:
    """Link to a web page; anything else (a ``javascript:`` address) stays text."""
    if url and url.startswith(("https://", "http://")):
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(url, text or url)
    return escape(text or MISSING)
