"""The newest month: the largest changes of 12-month shares on a year before, and whether they exceed noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import altair as alt

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import OF_VIEW, UNITED_STATES, Key, Marts, Row
from publish.report.parts import (
    Column,
    Mark,
    Panel,
    Section,
    Table,
    View,
    destination,
    share_at,
    the_destination,
    yes_or_no,
)
from publish.report.texts import Text, Texts, join, lower_first, same

ORDER = 10
TABLES = ("rpt_destination_shares",)
# Number of months in the chart and the table.
N_MONTHS = 36
N_ROWS = 10
N_PANELS = 4
# Displayed precision of a change; two changes that look the same are a tie.
CHANGE_DIGITS = 2

text = Texts(
    title={"nl": "Deze maand", "en": "This month"},
    empty={"nl": "Voor een verschuiving over 12 maanden zijn 24 volledige maanden nodig.",
           "en": "A change over 12 months needs 24 complete months."},
    note={"nl": "Ruis: hoeveel maanden van dit aandeel onregelmatig verschillen en hoeveel het later nog wordt bijgesteld, omgerekend naar een verschil tussen twee jaren (95%). Wat daarbinnen blijft, is waarschijnlijk ruis. Seizoengecorrigeerd: om een trend te lezen, niet om te citeren.",
          "en": "Noise: how much months of this share differ irregularly and how much it is still revised, as a difference between two years (95%). What stays within it is probably noise. Seasonally adjusted: for reading a trend, not for quoting."},
    share_before={"nl": "Jaar eerder, %", "en": "Year before, %"},
    share_sa={"nl": "Seizoengecorrigeerd, %", "en": "Seasonally adjusted, %"},
    share_month={"nl": "Aandeel van de maand, %", "en": "Share of the month, %"},
    noise={"nl": "Ruis, ± procentpunt", "en": "Noise, ± pct. points"},
    beyond={"nl": "Meer dan ruis", "en": "Beyond noise"},
    raw={"nl": "zoals gepubliceerd", "en": "as published"},
    adjusted={"nl": "seizoengecorrigeerd", "en": "seasonally adjusted"},
    caption={"nl": "Grootste verschuivingen in aandeel over 12 maanden",
             "en": "Largest changes in share over 12 months"},
    months={"nl": "Aandelen per maand", "en": "Shares by month"},
    season_caption={"nl": "Aandeel per maand, in procenten", "en": "Share by month, per cent"},
    season_aria={"nl": "{country}: {now} over 12 maanden, een jaar eerder {before}; in {month} {share}, seizoengecorrigeerd {adjusted}.",
                 "en": "{country}: {now} over 12 months, {before} a year before; {share} in {month}, seasonally adjusted {adjusted}."},
    total_up={"nl": "In {month} was de uitvoer van {scope} {value}, {growth} meer dan een jaar eerder.",
              "en": "In {month} exports of {scope} were {value}, {growth} more than a year earlier."},
    total_down={"nl": "In {month} was de uitvoer van {scope} {value}, {growth} minder dan een jaar eerder.",
                "en": "In {month} exports of {scope} were {value}, {growth} less than a year earlier."},
    total_equal={"nl": "In {month} was de uitvoer van {scope} {value}, evenveel als een jaar eerder.",
                 "en": "In {month} exports of {scope} were {value}, as much as a year earlier."},
    total_alone={"nl": "In {month} was de uitvoer van {scope} {value}; een vergelijking met een jaar eerder is niet mogelijk.",
                 "en": "In {month} exports of {scope} were {value}; no comparison with a year earlier is possible."},
    total_unknown={"nl": "De totale uitvoer van {scope} in {month} is niet bekend.",
                   "en": "Total exports of {scope} in {month} are not known."},
    move_rose={"nl": "De grootste verschuiving over 12 maanden: het aandeel van {country} steeg van {before} naar {now} ({change}).",
               "en": "The largest change over 12 months: the share of {country} rose from {before} to {now} ({change})."},
    move_fell={"nl": "De grootste verschuiving over 12 maanden: het aandeel van {country} daalde van {before} naar {now} ({change}).",
               "en": "The largest change over 12 months: the share of {country} fell from {before} to {now} ({change})."},
    move_tie={"nl": "De grootste verschuivingen over 12 maanden zijn even groot: {countries} ({size}).",
              "en": "The largest changes over 12 months are equally large: {countries} ({size})."},
    move_none={"nl": "Geen enkel aandeel verschoof over 12 maanden.", "en": "No share changed over 12 months."},
    unusual={"nl": "Ongewoon (↯): {countries} de waarde die op grond van hun eigen verleden te verwachten was. Dat kan één grote zending zijn, of een fout van het bureau.",
             "en": "Unusual (↯): {countries} the value expected from their own history. It may be one large consignment, or an error of the office."},
    unusual_country={"nl": "{name} had {times} keer", "en": "{name} had {times} times"},
    beyond_yes={"nl": "Dat is meer dan ruis ({noise}).", "en": "That is beyond noise ({noise})."},
    beyond_no={"nl": "Dat is waarschijnlijk ruis ({noise}).", "en": "That is probably noise ({noise})."},
    beyond_unknown={"nl": "Of dat meer is dan ruis, is met minder dan drie jaar aan cijfers niet te zeggen.",
                    "en": "Whether that is more than noise, less than three years of figures cannot tell."},
    beyond_count={"nl": "Verschuivingen in de tabel die meer zijn dan ruis: {beyond} van {n}.",
                  "en": "Changes in the table beyond noise: {beyond} of {n}."},
    us_now={"nl": "Het aandeel van de Verenigde Staten was over 12 maanden {now} ({change} ten opzichte van een jaar eerder).",
            "en": "The share of the United States was {now} over 12 months ({change} on a year before)."},
    us_month={"nl": "In {month} zelf was het {share}, seizoengecorrigeerd {adjusted}.",
              "en": "In {month} itself it was {share}, seasonally adjusted {adjusted}."},
    us_month_raw={"nl": "In {month} zelf was het {share}; voor een seizoengecorrigeerd cijfer zijn drie jaren nodig.",
                  "en": "In {month} itself it was {share}; a seasonally adjusted figure needs three years."},
    us_unknown={"nl": "Het aandeel van de Verenigde Staten is voor deze maand niet bekend.",
                "en": "The share of the United States is not known for this month."},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    moves = read_moves(marts, view.key, view.month)
    if not moves:
        return None
    shown = moves[:N_ROWS]
    us = next((row for row in moves if row["destination_code"] == UNITED_STATES), None)
    in_panels = shown[:N_PANELS]
    if us is not None and us not in in_panels:
        in_panels = [*in_panels[: N_PANELS - 1], us]
    months = fmt.months_between(fmt.months_before(view.month, N_MONTHS - 1), view.month)
    by_cell = {
        (row["destination_code"], row["month"]): row
        for row in read_months(marts, view.key, [row["destination_code"] for row in in_panels], months)
    }
    series = [[by_cell.get((row["destination_code"], each), {}) for each in months] for row in in_panels]
    unusual = describe_unusual(read_unusual(marts, view.key, view.month))
    columns = [
        Column(text("destination"), destination, "name"),
        Column(text("share_12"), lambda row: fmt.share_figure(row["share_r12"])),
        Column(text("share_before"), lambda row: fmt.share_figure(row["share_r12_year_before"])),
        Column(text("change"), lambda row: fmt.number(row["share_r12_change_pp"], 2, signed=True)),
        Column(text("noise"), lambda row: fmt.small_points(row["share_r12_change_noise_pp"], CHANGE_DIGITS)),
        Column(text("beyond"), lambda row: yes_or_no(row["is_r12_change_beyond_noise"]), "text"),
        Column(text("share_month"), lambda row: fmt.share_figure(row["share"])),
        Column(text("share_sa"), lambda row: fmt.share_figure(row["share_sa"])),
    ]
    monthly = [
        Column(text("month"), lambda position: fmt.month(months[position]), "name"),
        *(
            Column(join([destination(row), text(kind)]), share_at([cell.get(column) for cell in cells]))
            for row, cells in zip(in_panels, series, strict=True)
            for kind, column in (("raw", "share"), ("adjusted", "share_sa"))
        ),
    ]
    return Section(
        leads=[
            [*describe_total(read_total(marts, view.key, view.month), lower_first(view.scope)), *describe_moves(shown)],
            describe_united_states(us),
            *([unusual] if unusual else []),
        ],
        panels=[
            _panel(f"month-chart-{position}", row, months, cells, view.month)
            for position, (row, cells) in enumerate(zip(in_panels, series, strict=True))
        ],
        legend=[Mark(text("raw"), charts.GREY, "line"), Mark(text("adjusted"), charts.PALETTE[0], "line")],
        tables=[
            Table("month-table", text("caption"), shown, columns, is_open=True),
            Table("month-months", text("months"), range(len(months) - 1, -1, -1), monthly),
        ],
        note=text("note"),
        source=view.source(text("period_12", month=fmt.month(view.month)), moves),
        layout="halves",
    )


def _panel(name: str, row: Row, months: Sequence[date], cells: Sequence[Row], newest: date) -> Panel:
    return Panel(
        name,
        season,
        destination(row),
        text(
            "season_aria",
            country=destination(row),
            month=fmt.month(newest),
            now=fmt.percent(row["share_r12"], 2),
            before=fmt.percent(row["share_r12_year_before"], 2),
            share=fmt.percent(row["share"], 2),
            adjusted=fmt.percent(row["share_sa"], 2),
        ),
        charts.over_time(
            months,
            {
                "raw": [charts.per_cent(cell.get("share")) for cell in cells],
                "adjusted": [charts.per_cent(cell.get("share_sa")) for cell in cells],
            },
            (
                [
                    (text("raw"), fmt.percent(cell.get("share"), 2)),
                    (text("adjusted"), fmt.percent(cell.get("share_sa"), 2)),
                ]
                for cell in cells
            ),
        ),
        about=text("season_caption"),
        height=150,
        width=310,
    )


@charts.chart(height=150)
def season() -> alt.LayerChart:
    """Return one share, raw and seasonally adjusted."""
    x = charts.month_axis(4)
    y = alt.Y("y:Q", title=None, axis=charts.figure_axis(4), scale=alt.Scale(zero=False, nice=True))
    return alt.layer(
        charts.pointer("season", 4),
        charts.line("raw", "season_raw", x, y, color=charts.GREY, strokeWidth=1.2),
        charts.line("adjusted", "season_adjusted", x, y, color=charts.PALETTE[0], strokeWidth=2.4),
    )


def read_moves(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read the countries with a change of their 12-month share on a year before, largest change first."""
    return marts.rows(
        f"""
        select *, share_r12 - share_r12_change_pp / 100 as share_r12_year_before
        from marts.rpt_destination_shares
        where {OF_VIEW} and month = ? and destination_kind = 'country' and share_r12_change_pp is not null
        order by abs(share_r12_change_pp) desc, destination_code
        """,
        [*key, month],
    )


def read_unusual(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read the countries whose month is far from their own history, largest share first."""
    return marts.rows(
        f"""
        select * from marts.rpt_destination_shares
        where {OF_VIEW} and month = ? and is_unusual
        order by share desc nulls last, destination_code
        """,
        [*key, month],
    )


def read_total(marts: Marts, key: Key, month: date) -> Row:
    """Read the office's total of a month, and its growth on a year earlier."""
    of_month = f"where {OF_VIEW} and month = ?"
    total = marts.rows(f"select max(total_eur) as eur from marts.rpt_destination_shares {of_month}", [*key, month])
    grown: list[Row] = [{"pct": None}]
    if "marts.rpt_share_change" in marts.tables:
        grown = marts.rows(f"select max(total_growth_pct) as pct from marts.rpt_share_change {of_month}", [*key, month])
    return {"month": month, "total_eur": total[0]["eur"], "total_growth_pct": grown[0]["pct"]}


def read_months(marts: Marts, key: Key, codes: Iterable[str], months: Sequence[date]) -> list[Row]:
    """Read the shares of some countries over months, raw and seasonally adjusted."""
    return marts.rows(
        f"""
        select destination_code, month, share, share_sa
        from marts.rpt_destination_shares
        where {OF_VIEW} and list_contains(?, destination_code) and month between ? and ?
        """,
        [*key, list(codes), months[0], months[-1]],
    )


def describe_total(row: Row, scope: Text) -> list[Text]:
    """Return the exports of the month, compared with a year earlier."""
    when, change = fmt.month(row["month"]), row["total_growth_pct"]
    if row["total_eur"] is None:
        return [text("total_unknown", month=when, scope=scope)]
    values: dict[str, Text | str] = {"month": when, "scope": scope, "value": fmt.euros(row["total_eur"])}
    if change is None:
        return [text("total_alone", **values)]
    if fmt.round_half_up(change, 1) == 0:
        return [text("total_equal", **values)]
    return [text("total_up" if change > 0 else "total_down", **values, growth=fmt.percent(abs(change) / 100))]


def describe_moves(rows: Sequence[Row]) -> list[Text]:
    """Return the largest change of a 12-month share, and whether it exceeds noise."""
    first = rows[0]
    size = fmt.round_half_up(abs(first["share_r12_change_pp"]), CHANGE_DIGITS)
    if size == 0:
        return [text("move_none")]
    level = [row for row in rows if fmt.round_half_up(abs(row["share_r12_change_pp"]), CHANGE_DIGITS) == size]
    if len(level) > 1:
        names = fmt.enumerate_names(
            text("named_share", name=the_destination(row), share=fmt.points(row["share_r12_change_pp"]))
            for row in level
        )
        sentences = [text("move_tie", countries=names, size=fmt.points(size, signed=False))]
    else:
        sentences = [
            text(
                "move_rose" if first["share_r12_change_pp"] > 0 else "move_fell",
                country=the_destination(first),
                before=fmt.percent(first["share_r12_year_before"], 2),
                now=fmt.percent(first["share_r12"], 2),
                change=fmt.points(first["share_r12_change_pp"]),
            ),
            _describe_beyond(first),
        ]
    judged = [row for row in rows if row["is_r12_change_beyond_noise"] is not None]
    if judged:
        beyond = sum(row["is_r12_change_beyond_noise"] for row in judged)
        sentences.append(text("beyond_count", n=fmt.number(len(judged)), beyond=fmt.number(beyond)))
    return sentences


def _describe_beyond(row: Row) -> Text:
    if row["is_r12_change_beyond_noise"] is None:
        return text("beyond_unknown")
    size = fmt.small_points(row["share_r12_change_noise_pp"], CHANGE_DIGITS)
    noise = text("points", value=join([same("±"), size], ""))
    return text("beyond_yes" if row["is_r12_change_beyond_noise"] else "beyond_no", noise=noise)


def describe_unusual(rows: Sequence[Row]) -> list[Text]:
    """Return the countries whose month is far from their own history; empty if there are none."""
    if not rows:
        return []
    names = fmt.enumerate_names(
        text("unusual_country", name=the_destination(row), times=fmt.number(row["value_to_expected_ratio"], 1))
        for row in rows
    )
    return [text("unusual", countries=names)]


def describe_united_states(row: Row | None) -> list[Text]:
    """Return the share of the United States over 12 months, its change, and the share of the month."""
    if row is None or row["share_r12"] is None:
        return [text("us_unknown")]
    change = row["share_r12_change_pp"]
    sentences = [text("us_now", now=fmt.percent(row["share_r12"], 2), change=fmt.points(change)), _describe_beyond(row)]
    when, share = fmt.month(row["month"]), fmt.percent(row["share"], 2)
    if row["share_sa"] is None:
        return [*sentences, text("us_month_raw", month=when, share=share)]
    return [*sentences, text("us_month", month=when, share=share, adjusted=fmt.percent(row["share_sa"], 2))]
