"""Figures of the reader's chosen view: headlines, and the figures of the modules in this package.

Each module has ``build(view, names)``, which returns the data and the words of its charts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publish.report import charts
from publish.report import formats as fmt
from publish.report.figures import concentration, ranking, shares
from publish.report.figures.view import not_loaded, period, text
from publish.report.marts import OF_VIEW, UNITED_STATES, Marts, Row, country_name, office_name
from publish.report.texts import LANGUAGES, Text, join, localize, lower_first, page_texts, same

DEFAULT_VIEW = ("EUROSTAT", "community", "metal_core_hs", "NL")
PARTS = ("source", "concept", "scope", "reporter")
CHARTS = (*shares.CHARTS, *ranking.CHARTS, *concentration.CHARTS)


def read_views(marts: Marts, names: Mapping[str, Any]) -> list[Row]:
    """Read one record per combination that has a month with shares."""
    scope_order = list(names["scopes"])
    combinations = marts.rows(
        """
        select
            source_code, concept_code, scope_code, reporter_code,
            min(month) as first_month, max(month) as newest_month
        from marts.rpt_destination_shares
        where is_complete
        group by all
        """
    )
    combinations.sort(
        key=lambda row: (
            scope_order.index(row["scope_code"]),
            row["reporter_code"] != "NL",
            row["reporter_code"],
            row["source_code"] != "EUROSTAT",
            row["source_code"],
            row["concept_code"],
        )
    )
    return [_read_view(marts, combination) for combination in combinations]


def _read_view(marts: Marts, combination: Row) -> Row:
    key = [combination[f"{part}_code"] for part in PARTS]
    newest = combination["newest_month"]
    months = fmt.months_between(combination["first_month"], newest)
    rows = marts.rows(
        f"""
        select * from marts.rpt_destination_shares
        where {OF_VIEW} and month = ?
        order by
            destination_kind <> 'country', destination_rank nulls last, destination_rank_r12 nulls last,
            destination_code
        """,
        [*key, newest],
    )
    countries = [row for row in rows if row["destination_kind"] == "country"]
    basis = "r12" if any(row["share_r12"] is not None for row in countries) else "month"
    lines = shares.read_lines(marts, key, countries, months, basis)
    incomplete = marts.rows(
        f"""
        select month, max(incomplete_reason) as reason
        from marts.rpt_destination_shares
        where {OF_VIEW} and not is_complete and month > ?
        group by month order by month
        """,
        [*key, newest],
    )
    headlines = {line["code"]: _headline(line, basis) for line in lines}
    return {
        "key": ".".join(key),
        **dict(zip(PARTS, key, strict=True)),
        "vintage": rows[0]["vintage_at"],
        "months": months,
        "basis": basis,
        "total_eur": next((row["total_eur"] for row in rows if row["total_eur"] is not None), None),
        "top": next(iter(headlines.values()), None),
        "us": headlines.get(UNITED_STATES),
        "lines": lines,
        **ranking.read_rows(rows),
        "concentration": concentration.read_concentration(marts, key, months),
        "incomplete": [(row["month"], row["reason"] or "unknown") for row in incomplete],
    }


def _headline(line: Row, basis: str) -> Row:
    now, before = line[basis][-1], line[basis][-13] if len(line[basis]) > 12 else None
    change = None if now is None or before is None else charts.rounded(now - before, 4, 100)
    return {"code": line["code"], "share": now, "change_pp": change}


def default_view(views: list[Row]) -> Row | None:
    """Return the view that the page opens with: the preferred one, else the first."""
    preferred = ".".join(DEFAULT_VIEW)
    return next((view for view in views if view["key"] == preferred), views[0] if views else None)


def view_data(view: Row, names: Mapping[str, Any]) -> Row:
    """Return the page's data of a view: codes, chart data, and words in each language."""
    scope, concept = (names[f"{part}s"][view[part]]["name"] for part in ("scope", "concept"))
    reporter = country_name(names, view["reporter"])
    office = join([same(office_name(view["source"])), lower_first(concept)])
    release = text("release", date=fmt.day(view["vintage"]))
    subject = join([office, scope, reporter], "; ")
    view = {**view, "subject": subject, "cite": text("cite", subject=subject, release=release)}
    data: Row = {}
    words: Row = {
        "name": join([reporter, office], " · "),
        "title": join([scope, reporter], " · "),
        "about": join([office, release], "; "),
        "subject": subject,
        "cite": view["cite"],
        "headlines": headlines(view, names),
        "notices": notices(view),
    }
    for name, module in (("shares", shares), ("ranking", ranking), ("concentration", concentration)):
        data[name], words[name] = module.build(view, names)
    return {
        **{part: view[part] for part in ("key", *PARTS)},
        **data,
        "words": {language: localize(words, language) for language in LANGUAGES},
    }


def headlines(view: Row, names: Mapping[str, Any]) -> list[tuple[Text, Text | None, Text, list[Text]]]:
    """Return the headline figures of a view: name, country, figure, and remarks."""
    newest = view["months"][-1]
    is_partial = not_loaded(view) is not None

    def share(name: str, row: Row, country: Text | None) -> tuple[Text, Text | None, Text, list[Text]]:
        change = None if row["change_pp"] is None else fmt.points(row["change_pp"], 1)
        return text(name), country, fmt.percent(row["share"]), [_on_year_before(change), period(view["basis"], newest)]

    items = []
    if top := view["top"]:
        name = "top_destination_loaded" if is_partial else "top_destination"
        items.append(share(name, top, country_name(names, top["code"])))
    if view["us"]:
        items.append(share("us_share", view["us"], None))
    if series := view["concentration"]:
        last = concentration.last_index(series)
        equivalent, before = (concentration.at(series, index, "equivalent") for index in (last, last - 12))
        change = None if before is None else fmt.number(equivalent - before, 1, signed=True)
        when = period(series["basis"], view["months"][last])
        possible = text("of_loaded") if is_partial else text("of_markets", n=fmt.number(series["possible"][last]))
        items.append((text("equivalent"), None, fmt.number(equivalent, 1), [_on_year_before(change), when]))
        items.append((text("active"), None, fmt.number(series["active"][last]), [possible, when]))
    total = text("millions", value=fmt.millions(view["total_eur"], ranking.million_digits(view)))
    return [*items, (text("total"), None, total, [fmt.month(newest)])]


def _on_year_before(change: Text | None) -> Text:
    return text("no_year_before") if change is None else text("year_before", change=change)


def notices(view: Row) -> list[tuple[str, Text]]:
    """Return the notices of a view: data not loaded, and months without shares."""
    found = []
    if not any(row["kind"] == "country" for row in view["rows"]):
        found.append(("warn", text("no_countries")))
    elif row := not_loaded(view):
        found.append(("warn", text("not_loaded_warning", share=fmt.percent(row["share"]))))
    if view["incomplete"]:
        reasons = page_texts()["reasons"]
        why = dict.fromkeys(reason if reason in reasons else "unknown" for _, reason in view["incomplete"])
        months = join(fmt.month(each) for each, _ in view["incomplete"])
        found.append(("", text("incomplete_now", months=months, reason=join((reasons[reason] for reason in why), " "))))
    return found
