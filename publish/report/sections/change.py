"""Why shares changed: own growth and the rest, and own growth by price, volume and mix."""

from __future__ import annotations

from datetime import date

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import OF_VIEW, Key, Marts, Row
from publish.report.parts import Column, Mark, Section, Table, View, destination, split_panel, sum_mark, the_destination
from publish.report.texts import Text, Texts, join

ORDER = 40
TABLES = ("rpt_share_change",)
N_ROWS = 10
COLOURS = {
    "price": charts.PALETTE[0],
    "volume": "#5aa9a0",
    "mix": "#d9a441",
    "unmatched": "#b9c2cc",
    "own_unsplit": charts.PALETTE[8],
    "rest_short": charts.PALETTE[1],
}

text = Texts(
    title={"nl": "Waarom aandelen veranderden", "en": "Why shares changed"},
    empty={"nl": "Voor een splitsing is uitvoer nodig in een volledige maand en in dezelfde maand een jaar eerder.",
           "en": "A decomposition needs exports in a complete month and in the same month a year earlier."},
    note={"nl": "Beide splitsingen zijn exact. De goederen volgen de codes van de productgroep: bij minder dan acht cijfers komt een deel van het prijseffect door een andere samenstelling.",
          "en": "Both decompositions are exact. Goods follow the codes of the product group: below eight digits, part of the price effect is a change in mix."},
    own={"nl": "Eigen groei, procentpunt", "en": "Own growth, pct. points"},
    rest={"nl": "De rest, procentpunt", "en": "The rest, pct. points"},
    price={"nl": "Prijs", "en": "Price"},
    volume={"nl": "Volume", "en": "Volume"},
    mix={"nl": "Samenstelling", "en": "Mix"},
    unmatched={"nl": "Niet te splitsen", "en": "Cannot be split"},
    own_unsplit={"nl": "Eigen groei (niet gesplitst)", "en": "Own growth (not split)"},
    rest_short={"nl": "De rest", "en": "The rest"},
    net={"nl": "verschil in aandeel", "en": "change in share"},
    caption={"nl": "Bijdragen aan de verandering van het aandeel, in procentpunt", "en": "Contributions to the change in share, percentage points"},
    matched={"nl": "Vergelijkbaar, %", "en": "Comparable, %"},
    lead={"nl": "Het aandeel van {country} veranderde met {change}: {own} door de uitvoer ernaartoe en {rest} door die naar alle andere bestemmingen.",
          "en": "The share of {country} changed by {change}: {own} from exports to it and {rest} from exports to all other destinations."},
    split={"nl": "Van de eigen groei kwam {price} door de prijs, {volume} door het volume en {mix} door de samenstelling.",
           "en": "Of its own growth, {price} came from price, {volume} from volume and {mix} from mix."},
    no_split={"nl": "Prijs en volume zijn hier niet te scheiden: er zijn geen gewichten.",
              "en": "Price and volume cannot be separated here: there are no weights."},
    behind={"nl": "Cijfers als tabel: {title}", "en": "Figures as a table: {title}"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_share_change(marts, view.key, view.month)
    if not rows:
        return None
    shown = rows[:N_ROWS]
    leads = describe_change(shown[0])
    parts = [_parts(row) for row in shown]
    used = {part for figures in parts for part, value in figures.items() if value is not None}
    columns = [
        Column(text("destination"), destination, "name"),
        Column(text("change"), lambda row: _signed(row["share_change_pp"])),
        Column(text("own"), lambda row: _signed(row["own_growth_pp"])),
        Column(text("rest"), lambda row: _signed(row["rest_growth_pp"])),
        Column(text("price"), lambda row: _signed(row["price_pp"])),
        Column(text("volume"), lambda row: _signed(row["volume_pp"])),
        Column(text("mix"), lambda row: _signed(row["mix_pp"])),
        Column(text("unmatched"), lambda row: _signed(row["unmatched_pp"])),
        Column(text("matched"), lambda row: fmt.share_figure(row["matched_share"], 0)),
    ]
    return Section(
        leads=[leads],
        panels=[
            split_panel(
                "change-chart",
                text("caption"),
                join(leads, " "),
                (
                    (
                        destination(row),
                        {COLOURS[part]: value for part, value in figures.items()},
                        row["share_change_pp"],
                        _tip(row, figures),
                    )
                    for row, figures in zip(shown, parts, strict=True)
                ),
                step=30,
            )
        ],
        legend=[*(Mark(text(part), colour) for part, colour in COLOURS.items() if part in used), sum_mark(text("net"))],
        tables=[Table("change-table", text("behind", title=text("caption")), shown, columns)],
        note=text("note"),
        source=view.source(fmt.month(view.month), rows),
    )


def _parts(row: Row) -> dict[str, fmt.Figure]:
    return {
        "price": row["price_pp"],
        "volume": row["volume_pp"],
        "mix": row["mix_pp"],
        "unmatched": row["unmatched_pp"],
        "own_unsplit": row["own_growth_pp"] if row["price_pp"] is None else None,
        "rest_short": row["rest_growth_pp"],
    }


def _tip(row: Row, figures: dict[str, fmt.Figure]) -> Row:
    return charts.tip(
        destination(row),
        [
            *((text(part), fmt.points(value), COLOURS[part]) for part, value in figures.items() if value is not None),
            (text("net"), fmt.points(row["share_change_pp"])),
        ],
    )


def _signed(value: fmt.Figure) -> Text:
    return fmt.number(value, 2, signed=True)


def read_share_change(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read the components of each share change, largest change first, in percentage points of share."""
    return marts.rows(
        f"""
        select * from marts.rpt_share_change
        where {OF_VIEW} and month = ?
        order by abs(share_change_pp) desc, destination_code
        """,
        [*key, month],
    )


def describe_change(row: Row) -> list[Text]:
    """Describe the components of a share change: own growth and the rest, and own growth by price, volume and mix."""
    lead = text(
        "lead",
        country=the_destination(row),
        change=fmt.points(row["share_change_pp"]),
        own=_signed(row["own_growth_pp"]),
        rest=_signed(row["rest_growth_pp"]),
    )
    if row["price_pp"] is None:
        return [lead, text("no_split")]
    return [lead, text("split", **{part: _signed(row[f"{part}_pp"]) for part in ("price", "volume", "mix")})]
