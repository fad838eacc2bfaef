"""Tariffs: exports to the United States under each tariff, over time, and the events behind them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import altair as alt

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import UNITED_STATES, Key, Marts, Row
from publish.report.parts import Column, Mark, Panel, Section, Table, View, the_destination
from publish.report.sections import frontloading
from publish.report.texts import MISSING, Text, Texts, join, name_of, same

ORDER = 50
TABLES = ("rpt_tariff_exposure", "dim_tariff_event", "dim_policy_list")
# Number of months in the chart and the table.
N_MONTHS = 36

text = Texts(
    title={"nl": "Heffingen", "en": "Tariffs"},
    empty={"nl": "Er zijn geen maanden waarvoor alle goederen van een heffing zijn opgevraagd.",
           "en": "There are no months for which all goods of a tariff were requested."},
    note={"nl": "Heffingen kunnen dezelfde goederen treffen: tel ze niet op. Waarde maal tarief, tegen de waarde van de exporteur. Minstens: goederen die geheel genoemd zijn, en niets waar het tarief pas buiten een contingent geldt. Hoogstens: alle goederen van de lijst; afgeleide producten buiten de metaalhoofdstukken staan er niet op.",
          "en": "Tariffs overlap in goods: do not sum them. Value times rate, at the exporter's value. At least: goods that are named whole, and nothing where the rate applies beyond a quota only. At most: all goods of the list, which has no derivatives outside the chapters of metal."},
    lead={"nl": "In {month} golden {n} van de heffingen in de tabel op uitvoer naar {country}. De grootste stroom, {value}, viel onder: {title} ({rate}); {duty}.",
          "en": "In {month} {n} of the tariffs in the table applied to exports to {country}. The largest flow, {value}, was under: {title} ({rate}); {duty}."},
    lead_one={"nl": "In {month} gold één van de heffingen in de tabel op uitvoer naar {country}: {title} ({rate}), op {value}; {duty}.",
              "en": "In {month} one of the tariffs in the table applied to exports to {country}: {title} ({rate}), on {value}; {duty}."},
    duty_exact={"nl": "dat is {most} heffing over de dagen dat die gold", "en": "that is {most} in duty over the days in force"},
    duty_between={"nl": "dat is {least} tot {most} heffing over de dagen dat die gold",
                  "en": "that is {least} to {most} in duty over the days in force"},
    duty_unknown={"nl": "de heffing is niet bekend", "en": "the duty is not known"},
    rate_unknown={"nl": "tarief niet bekend", "en": "rate not known"},
    none={"nl": "In {month} gold geen van de heffingen in de tabel op uitvoer naar {country}.",
          "en": "In {month} none of the tariffs in the table applied to exports to {country}."},
    unknown_value={"nl": "Heffingen uit de tabel die in {month} golden op uitvoer naar {country}: {n}; de waarde is niet gepubliceerd.",
                   "en": "Tariffs in the table that applied in {month} to exports to {country}: {n}; the value is not published."},
    not_known={"nl": "De lijst van heffingen is bekend t/m {day}; wat daarna veranderde, zit er niet in.",
               "en": "The list of tariffs is known up to {day}; what changed later is not in it."},
    event_no={"nl": "Nr.", "en": "No."},
    event={"nl": "Gebeurtenis", "en": "Event"},
    event_date={"nl": "Datum", "en": "Date"},
    rate={"nl": "Tarief, %", "en": "Rate, %"},
    confidence={"nl": "Zekerheid", "en": "Confidence"},
    status={"nl": "Status", "en": "Status"},
    period={"nl": "Geldig", "en": "In force"},
    duty_least={"nl": "Heffing minstens, mln euro", "en": "Duty at least, million euros"},
    duty_most={"nl": "Heffing hoogstens, mln euro", "en": "Duty at most, million euros"},
    timeline_caption={"nl": "Uitvoer naar de Verenigde Staten per maand, mln euro",
                      "en": "Exports to the United States by month, million euros"},
    timeline_table={"nl": "Uitvoer per maand", "en": "Exports by month"},
    timeline_event={"nl": "genummerde gebeurtenis, zie de tabel", "en": "numbered event, see the table"},
    timeline_flow={"nl": "goederen van de heffing", "en": "goods of the tariff"},
    timeline_aria={"nl": "Uitvoer naar {country}, goederen van: {title}. {value} in {month}; hoogste maand {top_month} met {top}.",
                   "en": "Exports to {country}, goods of: {title}. {value} in {month}; highest month {top_month} with {top}."},
    timeline_about={"nl": "Goederen van: {title}. Nummers verwijzen naar de gebeurtenissen in de tabel.",
                    "en": "Goods of: {title}. Numbers refer to the events in the table."},
    events_table={"nl": "Gebeurtenissen in de grafiek", "en": "Events in the chart"},
    exposure_table={"nl": "Uitvoer onder heffingen", "en": "Exports under tariffs"},
    in_force={"nl": "{first} t/m {last}", "en": "{first} to {last}"},
    in_force_open={"nl": "vanaf {first}", "en": "from {first}"},
    all_scopes={"nl": "goederen van elke heffing", "en": "goods of each tariff"},
    status_before={"nl": "nog niet aangekondigd", "en": "not announced yet"},
    status_announced={"nl": "aangekondigd", "en": "announced"},
    status_effective={"nl": "van kracht", "en": "in force"},
    status_effective_rate_unknown={"nl": "van kracht, tarief niet bekend", "en": "in force, rate not known"},
    status_expired={"nl": "vervallen", "en": "expired"},
    confidence_confirmed={"nl": "bevestigd", "en": "confirmed"},
    confidence_day_unverified={"nl": "dag niet geverifieerd", "en": "day unverified"},
    confidence_conflicting={"nl": "bronnen verschillen", "en": "sources differ"},
    confidence_unverified={"nl": "niet geverifieerd", "en": "unverified"},
    confidence_open={"nl": "vervolg onbekend", "en": "outcome not known"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_exposure(marts, view.key)
    if not rows:
        return None
    newest = max(row["month"] for row in rows)
    now = [row for row in rows if row["month"] == newest]
    charted = _charted(marts, view.key, now)
    months = fmt.months_between(max(fmt.months_before(newest, N_MONTHS - 1), rows[0]["month"]), newest)
    flow = {row["month"]: row["value_eur"] for row in rows if row["event_code"] == charted["event_code"]}
    values = [(each, flow.get(each)) for each in months]
    events = read_events(marts, months[0], newest)
    of_tariffs = [
        Column(text("tariff"), lambda row: name_of(row, "title"), "name"),
        Column(text("status"), lambda row: text(f"status_{row['status']}"), "text"),
        Column(text("period"), _in_force, "text"),
        Column(text("rate"), lambda row: fmt.number(row["rate_pct"])),
        Column(text("value"), lambda row: fmt.millions(row["value_eur"])),
        Column(text("duty_least"), lambda row: fmt.millions(row["duty_lower_eur"])),
        Column(text("duty_most"), lambda row: fmt.millions(row["duty_upper_eur"])),
        Column(text("confidence"), lambda row: text(f"confidence_{row['confidence']}"), "text"),
    ]
    of_events = [
        Column(text("event_no"), lambda row: fmt.number(row["event_no"]), "text"),
        Column(text("event_date"), lambda row: fmt.day(row["event_date"]), "text"),
        Column(text("event"), lambda row: name_of(row, "title"), "name"),
        Column(text("rate"), lambda row: fmt.number(row["rate_pct"])),
        Column(text("confidence"), lambda row: text(f"confidence_{row['confidence']}"), "text"),
    ]
    of_months = [
        Column(text("month"), lambda pair: fmt.month(pair[0]), "name"),
        Column(text("value"), lambda pair: fmt.millions(pair[1])),
    ]
    return Section(
        leads=[[*describe_tariffs(now), *describe_policy(now, read_known_until(marts))]],
        panels=[_panel(values, events, name_of(charted, "title"), the_destination(now[0]))],
        legend=[
            Mark(text("timeline_flow"), charts.PALETTE[0], "line"),
            Mark(text("timeline_event"), charts.PALETTE[1], "dash"),
        ],
        tables=[
            Table("tariffs-table", join([text("exposure_table"), fmt.month(newest)]), now, of_tariffs, is_open=True),
            Table("tariffs-events", text("events_table"), events, of_events),
            Table("tariffs-months", text("timeline_table"), values[::-1], of_months),
        ],
        note=text("note"),
        source=view.source(fmt.month(newest), now, scope=text("all_scopes")),
    )


def _charted(marts: Marts, key: Key, now: Sequence[Row]) -> Row:
    """Return the first tariff of the front-loading ledger; without one, that of the largest flow."""
    by_code = {row["event_code"]: row for row in now}
    ledger = frontloading.read_ledger(marts, key) if "marts.rpt_frontloading" in marts.tables else []
    in_ledger = (by_code[row["event_code"]] for row in ledger if row["event_code"] in by_code)
    return next(in_ledger, max(now, key=lambda row: (row["value_eur"] or 0, row["event_code"])))


def _panel(values: Sequence[tuple[date, Decimal | None]], events: Sequence[Row], title: Text, country: Text) -> Panel:
    months = [each for each, _ in values]
    newest, value = values[-1]
    known = [(amount, each) for each, amount in values if amount is not None]
    top, top_month = max(known) if known else (None, newest)
    y_max = 1.45 * float(top or 1) / 1e6
    # Events of one month share a mark; marks alternate between four levels, because they are close together.
    in_month: dict[date, list[Row]] = {}
    for event in events:
        in_month.setdefault(event["event_date"].replace(day=1), []).append(event)
    marks = [
        {
            "t": charts.milliseconds(each),
            "label": MISSING.join(dict.fromkeys(str(of_month[at]["event_no"]) for at in (0, -1))),
            "label_y": y_max * (0.97 - 0.07 * (position % 4)),
        }
        for position, (each, of_month) in enumerate(in_month.items())
    ]
    datasets = charts.over_time(
        months,
        {"lines": [charts.in_millions(amount) for _, amount in values]},
        (
            [
                (text("timeline_flow"), fmt.euros(amount)),
                *((same(str(event["event_no"])), name_of(event, "title")) for event in in_month.get(each, [])),
            ]
            for each, amount in values
        ),
    )
    aria = text(
        "timeline_aria",
        country=country,
        title=title,
        month=fmt.month(newest),
        value=fmt.euros(value),
        top_month=fmt.month(top_month),
        top=fmt.euros(top),
    )
    return Panel(
        "tariffs-chart",
        timeline,
        text("timeline_caption"),
        aria,
        {**datasets, "events": marks},
        about=text("timeline_about", title=title),
        params={"y_max": y_max},
    )


@charts.chart(height=300)
def timeline() -> alt.LayerChart:
    """Return a flow over time, with numbered events."""
    x = charts.month_axis()
    events = alt.Chart(alt.NamedData("events")).encode(x=x)
    return alt.layer(
        events.mark_rule(color=charts.PALETTE[1], strokeWidth=1, strokeDash=[3, 3]).properties(name="timeline_rules"),
        charts.pointer("timeline"),
        charts.line("lines", "timeline_line", x, charts.from_zero(), color=charts.PALETTE[0], strokeWidth=2),
        # Above the flow, on several levels, with a white edge, because events of one year are close together.
        *(
            events.mark_text(fontSize=12, fontWeight=600, baseline="middle", align="left", dx=3, **ink)
            .encode(y=alt.Y("label_y:Q", title=None), text="label:N")
            .properties(name=f"timeline_{name}")
            for name, ink in (
                ("edges", {"color": "#ffffff", "stroke": "#ffffff", "strokeWidth": 5}),
                ("labels", {"color": charts.PALETTE[1]}),
            )
        ),
    ).add_params(alt.param(name="y_max", value=100))


def _in_force(row: Row) -> Text:
    if row["effective_to"] is None:
        return text("in_force_open", first=fmt.day(row["effective_from"]))
    return text("in_force", first=fmt.day(row["effective_from"]), last=fmt.day(row["effective_to"]))


def read_exposure(marts: Marts, key: Key) -> list[Row]:
    """Read exports to the United States under each tariff, by month, with the event's titles."""
    source, concept, _, reporter = key
    return marts.rows(
        """
        select exposure.*, events.title_nl, events.title_en, events.confidence
        from marts.rpt_tariff_exposure as exposure
        inner join marts.dim_tariff_event as events on exposure.event_code = events.event_code
        where source_code = ? and concept_code = ? and reporter_code = ? and destination_code = ?
        order by month, effective_from, event_code
        """,
        [source, concept, reporter, UNITED_STATES],
    )


def read_known_until(marts: Marts) -> date:
    """Read the last day on which events are in the list of tariffs."""
    (row,) = marts.rows("select known_until from marts.dim_policy_list where list_code = 'tariffs'")
    known_until: date = row["known_until"]
    return known_until


def describe_policy(rows: Sequence[Row], known_until: date) -> list[Text]:
    """Return to which day the tariffs are known, if the month of the rows is later."""
    return [] if all(row["is_policy_known"] for row in rows) else [text("not_known", day=fmt.day(known_until))]


def read_events(marts: Marts, first: date, last: date) -> list[Row]:
    """Read the announcements and actions of the United States in a span of months."""
    return marts.rows(
        """
        select *, row_number() over (order by event_date, event_code) as event_no
        from marts.dim_tariff_event
        where imposed_by_code = ? and date_trunc('month', event_date) between ? and ?
        order by event_no
        """,
        [UNITED_STATES, first, last],
    )


def describe_tariffs(rows: Sequence[Row]) -> list[Text]:
    """Return the tariffs that applied in the month of the rows, and the value they covered."""
    when, country = fmt.month(rows[0]["month"]), the_destination(rows[0])
    applied = [row for row in rows if row["status"].startswith("effective")]
    if not applied:
        return [text("none", month=when, country=country)]
    largest = max(applied, key=lambda row: (row["value_eur"] is not None, row["value_eur"] or 0, row["event_code"]))
    if largest["value_eur"] is None:
        return [text("unknown_value", month=when, country=country, n=fmt.number(len(applied)))]
    rate = largest["rate_pct"]
    lead = text(
        "lead_one" if len(applied) == 1 else "lead",
        month=when,
        country=country,
        n=fmt.number(len(applied)),
        title=name_of(largest, "title"),
        rate=text("rate_unknown") if rate is None else fmt.percent(rate / 100, 0),
        value=fmt.euros(largest["value_eur"]),
        duty=_duty(largest),
    )
    return [lead]


def _duty(row: Row) -> Text:
    least, most = row["duty_lower_eur"], row["duty_upper_eur"]
    if most is None:
        return text("duty_unknown")
    if least == most:
        return text("duty_exact", most=fmt.euros(most))
    return text("duty_between", least=fmt.euros(least), most=fmt.euros(most))
