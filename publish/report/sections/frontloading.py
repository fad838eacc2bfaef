"""Front-loading ledger: actual and expected exports before a tariff, by two methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import altair as alt

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import Key, Marts, Row
from publish.report.parts import Column, Mark, Panel, Section, Table, View, the_destination
from publish.report.texts import MISSING, Text, Texts, join, lower_first, name_of, same

ORDER = 60
TABLES = ("rpt_frontloading", "rpt_frontloading_months", "dim_tariff_event")
BAND = "#c9dcf0"

text = Texts(
    title={"nl": "Naar voren gehaalde uitvoer", "en": "Front-loading ledger"},
    empty={"nl": "Er is geen heffing met cijfers van deze bron voor een van haar productgroepen.",
           "en": "No tariff has figures from this source for any of its product groups."},
    note={"nl": "De verwachting berust alleen op cijfers van vóór het nieuws (controlegroep: met de groei van de uitvoer naar alle andere landen). Terugloop: verwachte min werkelijke uitvoer in de eerste maanden onder de heffing; positief is minder dan verwacht.",
          "en": "The expectation uses only figures from before the news (control group: with the growth of exports to all other countries). Payback: expected less actual exports in the first months under the tariff; positive is less than expected."},
    lead={"nl": "{title}; uitvoer van {scope} naar {country} van {first} t/m {last}: {excess_text}",
          "en": "{title}; exports of {scope} to {country} from {first} to {last}: {excess_text}"},
    control={"nl": "Ter vergelijking: in andere markten, zonder de heffing, vindt dezelfde toets naar voren gehaalde uitvoer in {n} van {markets}.",
             "en": "For comparison, the same test finds front-loading in {n} of {markets} other markets, without the tariff."},
    aria={"nl": "Werkelijke en verwachte uitvoer naar {country}, methode {method}. {excess_text}",
          "en": "Actual and expected exports to {country}, method {method}. {excess_text}"},
    by_scope={"nl": "productgroep per regel", "en": "product group by row"},
    scope={"nl": "Productgroep", "en": "Product group"},
    method={"nl": "Methode", "en": "Method"},
    expected={"nl": "Verwacht, mln euro", "en": "Expected, million euros"},
    excess={"nl": "Meer dan verwacht, mln euro", "en": "Above expected, million euros"},
    interval={"nl": "95%-interval", "en": "95% interval"},
    detectable={"nl": "Kleinste aantoonbare, %", "en": "Smallest detectable, %"},
    payback={"nl": "Terugloop, mln euro", "en": "Payback, million euros"},
    payback_interval={"nl": "95%-interval terugloop", "en": "95% interval of payback"},
    verdict={"nl": "Oordeel", "en": "Verdict"},
    table={"nl": "Grootboek per heffing en productgroep", "en": "Ledger by tariff and product group"},
    months={"nl": "Maand voor maand", "en": "Month by month"},
    caption={"nl": "Uitvoer en verwachting per maand, mln euro",
             "en": "Exports and expectation by month, million euros"},
    actual={"nl": "uitvoer", "en": "exports"},
    expected_line={"nl": "verwacht", "en": "expected"},
    band={"nl": "95%-interval van de verwachting", "en": "95% interval of the expectation"},
    news_line={"nl": "nieuws en ingang van de heffing", "en": "news and start of the tariff"},
    actual_column={"nl": "Uitvoer, mln euro", "en": "Exports, million euros"},
    cumulated={"nl": "Gecumuleerd, mln euro", "en": "Cumulated, million euros"},
    phase={"nl": "Fase", "en": "Phase"},
    others={"nl": "Andere productgroepen en heffingen", "en": "Other product groups and tariffs"},
    excess_above={"nl": "{excess} meer dan de verwachte {baseline} ({pct}; 95%-interval {lower} tot {upper}, methode {method}).",
                  "en": "{excess} more than the expected {baseline} ({pct}; 95% interval {lower} to {upper}, method {method})."},
    excess_below={"nl": "{excess} minder dan de verwachte {baseline} ({pct}; 95%-interval {lower} tot {upper}, methode {method}).",
                  "en": "{excess} less than the expected {baseline} ({pct}; 95% interval {lower} to {upper}, method {method})."},
    excess_unknown={"nl": "hoeveel meer dan verwacht is niet te berekenen.",
                    "en": "how much more than expected cannot be computed."},
    says_front_loaded={"nl": "Oordeel: naar voren gehaald, volgens beide methoden. Een terugloop in de eerste {months} maanden is niet aangetoond.",
                       "en": "Verdict: front-loaded, by both methods. A payback in the first {months} months is not established."},
    says_front_loaded_and_paid_back={"nl": "Oordeel: naar voren gehaald en daarna teruggelopen, volgens beide methoden; in de eerste {months} maanden {payback} minder dan verwacht. Een deel daarvan kan verloren handel zijn.",
                                     "en": "Verdict: front-loaded and then paid back, by both methods; {payback} less than expected in the first {months} months. Part of that may be lost trade."},
    says_none_found={"nl": "Oordeel: niet gevonden, al zou 10% meer dan verwacht zijn opgevallen.",
                     "en": "Verdict: none found, although 10% more than expected would have been detected."},
    says_not_detectable={"nl": "Oordeel: niet vast te stellen ({reason}). Dat betekent niet dat er niets gebeurde.",
                         "en": "Verdict: not detectable ({reason}). That does not mean that nothing happened."},
    with_reason={"nl": "{verdict}: {reason}", "en": "{verdict}: {reason}"},
    between={"nl": "{lower} tot {upper}", "en": "{lower} to {upper}"},
    method_seasonal_trend={"nl": "seizoen en niveau", "en": "season and level"},
    method_control_group={"nl": "controlegroep", "en": "control group"},
    phase_before_news={"nl": "vóór het nieuws", "en": "before the news"},
    phase_front_loading={"nl": "vóór de heffing", "en": "before the tariff"},
    phase_payback={"nl": "onder de heffing", "en": "under the tariff"},
    verdict_front_loaded={"nl": "naar voren gehaald", "en": "front-loaded"},
    verdict_front_loaded_and_paid_back={"nl": "naar voren gehaald en teruggelopen", "en": "front-loaded and paid back"},
    verdict_none_found={"nl": "niet gevonden", "en": "none found"},
    verdict_not_detectable={"nl": "niet vast te stellen", "en": "not detectable"},
    reason_too_few_months={"nl": "minder dan drie jaar cijfers vóór het nieuws",
                           "en": "fewer than three years of figures before the news"},
    reason_window_not_over={"nl": "niet alle maanden vóór de heffing zijn gepubliceerd",
                            "en": "not all months before the tariff are published"},
    reason_not_comparable={"nl": "maanden zonder aandelen of met andere goederen",
                           "en": "months without shares or with other goods"},
    reason_gaps={"nl": "maanden zonder cijfer voor deze markt", "en": "months without a figure for this market"},
    reason_no_control_group={"nl": "geen ander land om mee te vergelijken", "en": "no other country to compare with"},
    reason_too_noisy={"nl": "de cijfers schommelen te veel om 10% te kunnen aantonen",
                      "en": "the figures vary too much to detect 10%"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_ledger(marts, view.key)
    if not rows:
        return None
    first = rows[0]
    same_series = ("event_code", "scope_code", "destination_code")
    lead = [row for row in rows if all(row[part] == first[part] for part in same_series)]
    others = [row for row in rows if row not in lead]
    country = the_destination(first)
    span = {"first": fmt.month(first["news_month"]), "last": fmt.month(fmt.months_before(first["effective_month"], 1))}
    leads = [
        text(
            "lead",
            title=name_of(first, "title"),
            scope=lower_first(name_of(first, "scope_name")),
            country=country,
            **span,
            excess_text=describe_excess(first),
        ),
        describe_verdict(first),
    ]
    markets = count_other_markets(marts, first)
    if markets["n_markets"] and first["verdict"] != "not_detectable":
        leads.append(text("control", n=fmt.number(markets["n_front_loaded"]), markets=fmt.number(markets["n_markets"])))
    with_months = [(row, months) for row in lead if (months := read_months(marts, row))]
    return Section(
        leads=[leads],
        panels=[_panel(row, months, country) for row, months in with_months],
        legend=[
            Mark(text("actual"), charts.PALETTE[0], "line"),
            Mark(text("expected_line"), charts.GREY, "dash"),
            Mark(text("band"), BAND),
            Mark(text("news_line"), charts.PALETTE[1], "dash"),
        ]
        if with_months
        else [],
        tables=[
            _ledger("frontloading-table", text("table"), lead, is_open=True),
            *(_months(row, months) for row, months in with_months),
            *([_ledger("frontloading-others", text("others"), others)] if others else []),
        ],
        note=text("note"),
        source=view.source(text("period_span", **span), rows, scope=text("by_scope")),
        layout="halves",
    )


def _ledger(name: str, title: Text, rows: Sequence[Row], *, is_open: bool = False) -> Table:
    columns = [
        Column(text("tariff"), lambda row: name_of(row, "title"), "name"),
        Column(text("scope"), lambda row: name_of(row, "scope_name"), "text"),
        Column(text("method"), _method, "text"),
        Column(text("expected"), lambda row: fmt.millions(row["baseline_eur"])),
        Column(text("excess"), lambda row: fmt.millions(row["excess_eur"], signed=True)),
        Column(text("interval"), _range("excess")),
        Column(text("detectable"), lambda row: fmt.number(row["smallest_detectable_pct"], 1)),
        Column(text("payback"), lambda row: fmt.millions(row["payback_eur"], signed=True)),
        Column(text("payback_interval"), _range("payback")),
        Column(text("verdict"), _verdict, "text"),
    ]
    return Table(name, title, rows, columns, is_open)


def _months(row: Row, months: Sequence[Row]) -> Table:
    columns = [
        Column(text("month"), lambda each: fmt.month(each["month"]), "name"),
        Column(text("phase"), lambda each: text(f"phase_{each['phase']}"), "text"),
        Column(text("actual_column"), lambda each: fmt.millions(each["value_eur"])),
        Column(text("expected"), lambda each: fmt.millions(each["baseline_eur"])),
        Column(text("interval"), _range("baseline")),
        Column(text("excess"), lambda each: fmt.millions(each["excess_eur"], signed=True)),
        Column(text("cumulated"), lambda each: fmt.millions(each["cumulated_excess_eur"], signed=True)),
    ]
    title = join([text("months"), name_of(row, "scope_name"), _method(row)])
    return Table(f"frontloading-months-{_slug(row)}", title, months[::-1], columns)


def _panel(row: Row, months: Sequence[Row], country: Text) -> Panel:
    lines = charts.over_time(
        [each["month"] for each in months],
        {
            "actual": [charts.in_millions(each["value_eur"]) for each in months],
            "expected": [charts.in_millions(each["baseline_eur"]) for each in months],
        },
        (
            [
                (text("phase"), text(f"phase_{each['phase']}")),
                (text("actual"), fmt.euros(each["value_eur"])),
                (text("expected_line"), fmt.euros(each["baseline_eur"])),
                (text("excess"), fmt.millions(each["excess_eur"], signed=True)),
            ]
            for each in months
        ),
    )
    band = [
        {
            "t": charts.milliseconds(each["month"]),
            "lower": charts.in_millions(each["baseline_lower_eur"]),
            "upper": charts.in_millions(each["baseline_upper_eur"]),
        }
        for each in months
        if each["baseline_lower_eur"] is not None
    ]
    turns = [{"t": charts.milliseconds(row[turn])} for turn in ("news_month", "effective_month")]
    return Panel(
        f"frontloading-chart-{_slug(row)}",
        ledger,
        _method(row),
        text("aria", country=country, method=_method(row), excess_text=describe_excess(row)),
        {**lines, "band": band, "turns": turns},
        about=text("caption"),
        width=310,
    )


@charts.chart(height=260)
def ledger() -> alt.LayerChart:
    """Return actual and expected exports, with the interval of the expectation."""
    x = charts.month_axis()
    scale = alt.Scale(zero=False, nice=True)
    y = alt.Y("y:Q", title=None, axis=charts.figure_axis(), scale=scale)
    band = (
        alt.Chart(alt.NamedData("band"), name="ledger_band")
        .mark_area(color=BAND)
        .encode(x=x, y=alt.Y("lower:Q", title=None, axis=charts.figure_axis(), scale=scale), y2="upper:Q")
    )
    turns = (
        alt.Chart(alt.NamedData("turns"), name="ledger_turns")
        .mark_rule(color=charts.PALETTE[1], strokeWidth=1.2, strokeDash=[3, 3])
        .encode(x=x)
    )
    expected = charts.line("expected", "ledger_expected", x, y, color=charts.GREY, strokeWidth=1.8, strokeDash=[6, 3])
    actual = charts.line("actual", "ledger_actual", x, y, color=charts.PALETTE[0], strokeWidth=2.2)
    return alt.layer(band, turns, charts.pointer("ledger"), expected, actual)


def _slug(row: Row) -> str:
    return str(row["baseline_method"]).replace("_", "-")


def _method(row: Row) -> Text:
    return text(f"method_{row['baseline_method']}")


def _range(prefix: str) -> Callable[[Row], Text]:
    def write(row: Row) -> Text:
        lower, upper = row[f"{prefix}_lower_eur"], row[f"{prefix}_upper_eur"]
        if lower is None or upper is None:
            return same(MISSING)
        return text("between", lower=fmt.millions(lower), upper=fmt.millions(upper))

    return write


def _verdict(row: Row) -> Text:
    verdict = text(f"verdict_{row['verdict']}")
    if not row["verdict_reason"]:
        return verdict
    return text("with_reason", verdict=verdict, reason=text(f"reason_{row['verdict_reason']}"))


def read_ledger(marts: Marts, key: Key) -> list[Row]:
    """Read the ledger of the markets that imposed a tariff, the view's product group first.

    ``payback_eur`` is the payback over the months of the verdict, if the ledger has that sum.
    """
    source, concept, scope, reporter = key
    rows = marts.rows(
        """
        select ledger.*, events.title_nl, events.title_en, scopes.scope_name_nl, scopes.scope_name_en
        from marts.rpt_frontloading as ledger
        inner join marts.dim_tariff_event as events on ledger.event_code = events.event_code
        inner join marts.dim_metal_scope as scopes on ledger.scope_code = scopes.scope_code
        where source_code = ? and concept_code = ? and reporter_code = ? and is_event_market
        order by
            ledger.scope_code <> ?, events.event_date, ledger.event_code, ledger.scope_code, destination_code,
            baseline_method
        """,
        [source, concept, reporter, scope],
    )
    for row in rows:
        for column in ("eur", "lower_eur", "upper_eur"):
            row[f"payback_{column}"] = row.get(f"payback_{row['payback_months']}_{column}")
    return rows


def count_other_markets(marts: Marts, row: Row) -> Row:
    """Count the markets without the tariff, and those among them with a front-loading verdict."""
    return marts.rows(
        """
        select
            count(distinct destination_code) as n_markets,
            count(distinct destination_code) filter (where starts_with(verdict, 'front_loaded')) as n_front_loaded
        from marts.rpt_frontloading
        where
            event_code = ? and source_code = ? and concept_code = ? and scope_code = ? and reporter_code = ?
            and not is_event_market
        """,
        [row[f"{part}_code"] for part in ("event", "source", "concept", "scope", "reporter")],
    )[0]


def read_months(marts: Marts, row: Row) -> list[Row]:
    """Read the months behind a row of the ledger."""
    return marts.rows(
        """
        select * from marts.rpt_frontloading_months
        where
            event_code = ? and source_code = ? and concept_code = ? and scope_code = ? and reporter_code = ?
            and destination_code = ? and baseline_method = ?
        order by month
        """,
        [
            *(row[f"{part}_code"] for part in ("event", "source", "concept", "scope", "reporter", "destination")),
            row["baseline_method"],
        ],
    )


def describe_excess(row: Row) -> Text:
    """Return exports before a tariff compared with the expectation, by one method."""
    excess = row["excess_eur"]
    if excess is None or row["excess_lower_eur"] is None:
        return text("excess_unknown")
    return text(
        "excess_above" if excess >= 0 else "excess_below",
        excess=fmt.euros(abs(excess)),
        baseline=fmt.euros(row["baseline_eur"]),
        pct=fmt.growth(row["excess_pct"]),
        lower=fmt.euros(row["excess_lower_eur"]),
        upper=fmt.euros(row["excess_upper_eur"]),
        method=_method(row),
    )


def describe_verdict(row: Row) -> Text:
    """Return the joint verdict of both methods, or the reason for none."""
    return text(
        f"says_{row['verdict']}",
        months=fmt.number(row["payback_months"]),
        payback=fmt.euros(row["payback_eur"]),
        reason=text(f"reason_{row['verdict_reason']}" if row["verdict_reason"] else "unknown"),
    )
