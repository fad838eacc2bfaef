"""Parts of a report section: table, chart, legend, and the section's view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from publish.report.charts import INK, Chart, rounded, split
from publish.report.formats import Figure, day, share_figure
from publish.report.marts import Key, Row, office_name
from publish.report.texts import Text, in_sentence, lower_first, name_of, shared


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    head : Text
        Head of the column.
    cell : callable
        Returns the text of a row's cell.
    kind : {"figure", "text", "name"}
        ``name`` is the column that names the row.
    """

    head: Text
    cell: Callable[[Any], Text]
    kind: Literal["figure", "text", "name"] = "figure"


@dataclass(frozen=True)
class Table:
    """A table of the page, in a fold with ``title``, expanded if ``is_open``.

    Parameters
    ----------
    rows : sequence
        Input of the columns' cells, usually rows of a mart.
    """

    id: str
    title: Text
    rows: Sequence[Any]
    columns: Sequence[Column]
    is_open: bool = False


@dataclass(frozen=True)
class Panel:
    """A chart with its data and its words.

    ``width`` and ``height`` are pixels on paper and on screen; ``ratio`` ties the height of a map to its width.
    """

    id: str
    chart: Chart
    caption: Text
    aria: Text
    datasets: dict[str, Any]
    about: Text | None = None
    height: int | None = None
    ratio: float | None = None
    width: int = 660
    params: dict[str, float] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Return the data that the script needs to draw it."""
        drawn = ("id", "aria", "datasets", "height", "ratio", "width", "params")
        return {**{name: getattr(self, name) for name in drawn}, "spec": self.chart.name}


@dataclass(frozen=True)
class Mark:
    """An entry of a legend: ``shape`` is ``line``, ``dash``, ``box``, ``dot``, ``ring`` or ``tick``."""

    name: Text
    colour: str
    shape: str = "box"


@dataclass(frozen=True)
class Section:
    """The content of a section: leading paragraphs, charts with their legend, tables, a note and the source.

    A paragraph is a list of sentences; ``layout`` names the CSS class that places several charts.
    """

    leads: list[list[Text]]
    source: Text
    panels: list[Panel] = field(default_factory=list)
    legend: list[Mark] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    note: Text | None = None
    layout: str = "single"


@dataclass(frozen=True)
class View:
    """Subject of the sections: source, concept, scope and reporter (``key``), their names, and the month."""

    key: Key
    month: date
    reporter: Text
    scope: Text
    concept: Text

    @property
    def reporter_in_sentence(self) -> Text:
        """Name of the exporting country with its article."""
        return in_sentence(self.key[3], self.reporter)

    @property
    def words(self) -> dict[str, Text | str]:
        """Names of the parts of the key, for a sentence."""
        return {
            "office": office_name(self.key[0]),
            "concept": lower_first(self.concept),
            "scope": lower_first(self.scope),
            "reporter": self.reporter,
        }

    def source(self, period: Text, rows: Iterable[Row], **names: Text) -> Text:
        """Return the source line: office, concept, scope, reporter, period, and the newest release in the rows."""
        vintage = max(row["vintage_at"] for row in rows)
        return shared("source", **{**self.words, **names}, period=period, vintage=day(vintage))


def destination(row: Row) -> Text:
    """Return the name of a row's destination."""
    return name_of(row, "destination_name")


def the_destination(row: Row) -> Text:
    """Return the name of a row's destination with its article."""
    return in_sentence(row["destination_code"], destination(row))


def share_at(shares: Sequence[Figure], digits: int = 2) -> Callable[[int], Text]:
    """Return the cell function of a column of shares (0-1), for a table whose rows are positions in `shares`."""
    return lambda position: share_figure(shares[position], digits)


def yes_or_no(value: bool | None) -> Text:
    """Return a flag in words."""
    return shared("unknown" if value is None else "yes" if value else "no")


def split_panel(
    name: str, caption: Text, aria: Text, bars: Iterable[tuple[Text, dict[str, Figure], Figure, Row]], step: int
) -> Panel:
    """Return a chart of components that sum to a total.

    Parameters
    ----------
    name : str
        Name of the element.
    bars : iterable of tuple
        Label, components by colour (None is left out), total and tooltip of each bar.
    step : int
        Pixels from one bar to the next.
    """
    parts, sums = [], []
    for label, figures, total, shown in bars:
        parts += [
            {"label": label, "x": rounded(value, 5), "colour": colour, "order": order, "tip": shown}
            for order, (colour, value) in enumerate(figures.items())
            if value is not None
        ]
        sums.append({"label": label, "x": rounded(total, 5), "tip": shown})
    datasets = {"parts": parts, "sums": sums, "zero": [{"x": 0}]}
    return Panel(name, split, caption, aria, datasets, height=step * len(sums) + 30)


def sum_mark(name: Text) -> Mark:
    """Return the legend entry of the tick at a total."""
    return Mark(name, INK, "tick")
