"""The office's code of each declared measure, found by code or by title, group and unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.sql import quote
from extract.dataset import Dataset, Measure, same_unit
from extract.errors import BadReplyError
from extract.offices.cbs.replies import REDESIGNED, text_of
from extract.parsing import Finding
from extract.replies import (
    member,
    read_rows,
)


@dataclass(frozen=True)
class _Offered:
    """A measure as a table describes it; `code` is that of v4, or the name of the column in v3."""

    code: str
    title: str
    unit: str
    group: str = ""

    def is_meant_by(self, measure: Measure) -> bool:
        """True if title, and group and unit where declared, are equal; v3 has no group ids."""
        return (
            bool(measure.title)
            and " ".join(self.title.split()) == " ".join(measure.title.split())
            and (not measure.unit or same_unit(self.unit, measure.unit))
            and (not (measure.group and self.group) or self.group == measure.group)
        )


def _matched(
    dataset: Dataset, offered: Iterable[_Offered], known: Mapping[str, str], *, where: str, next_step: str
) -> dict[str, str]:
    """Return the office's code of each declared measure: from `known`, or of the only measure with its title.

    Raises
    ------
    BadReplyError
        If zero or several measures match the title, group and unit of a measure not in `known`.
    """
    by_code = {measure.code: measure for measure in offered}
    free = [measure for code, measure in by_code.items() if code not in known.values()]
    found, doubts = dict(known), []
    for measure in dataset.measures:
        if measure.code in found:
            continue
        meant = [other.code for other in free if other.is_meant_by(measure)]
        if len(meant) == 1 and meant[0] not in found.values():
            found[measure.code] = meant[0]
        else:
            declared = f"title {measure.title!r}, group {measure.group!r}, unit {measure.unit!r}"
            fits = f"{meant} fit" if meant else "nothing fits"
            doubts.append(f"{measure.code} ({declared}; {fits})" if measure.title else measure.code)
    if doubts:
        has = [f"{m.code} {m.title!r}" + f" in {m.group}" * bool(m.group) + f" [{m.unit}]" for m in by_code.values()]
        raise BadReplyError(
            f"the table lacks the measures {', '.join(doubts)}; it has {'; '.join(has)}",
            dataset=dataset.code,
            where=where,
            next_step=next_step,
        )
    return {code: found[code] for code in dataset.measure_codes}


def v4_measures(path: Path, dataset: Dataset, where: str = "") -> dict[str, str]:
    """Return the office's code of each declared measure, from ``MeasureCodes`` of v4.

    Raises
    ------
    BadReplyError
        If a measure is found neither by code nor by title: the id may have been reused for another table.
    """
    rows = read_rows(path, "Identifier")
    offered = [_Offered(*(text_of(row, n) for n in ("Identifier", "Title", "Unit", "MeasureGroupId"))) for row in rows]
    codes = {measure.code for measure in offered}
    known = {code: code for code in dataset.measure_codes if code in codes}
    return _matched(dataset, offered, known, where=where or str(path), next_step=REDESIGNED)


def v3_topics(path: Path, dataset: Dataset) -> dict[str, str]:
    """Return the measure code by column name of a v3 table, by the declared ``Index`` or by title.

    A column at the declared index with a different title is a different measure.

    Raises
    ------
    BadReplyError
        If a declared measure has no column.
    """
    rows = _topic_rows(path)
    offered = [_Offered(*(text_of(row, name) for name in ("Key", "Title", "Unit"))) for row in rows]
    places = {member(row, "ID", int, path): other for row, other in zip(rows, offered, strict=True)}
    known = {
        measure.code: places[measure.index].code
        for measure in dataset.measures
        if measure.index in places
        and (not measure.title or replace(places[measure.index], unit="").is_meant_by(replace(measure, unit="")))
    }
    next_step = "compare `index` of the registry file with MeasureCodes.Index of OData v4"
    found = _matched(dataset, offered, known, where=str(path), next_step=next_step)
    return {column: code for code, column in found.items()}


def _topic_rows(path: Path) -> list[dict[str, Any]]:
    return [row for row in read_rows(path) if row.get("Key") and row.get("Type", "Topic") == "Topic"]


def found_by_title(dataset: Dataset, measures: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a finding for each v4 measure whose code differs from the declared one."""
    return tuple(
        Finding("measure_found_by_title", code, _elsewhere(dataset, code, f"code: {own}", own), "warn")
        for code, own in measures.items()
        if own != code
    )


def topics_by_title(path: Path, dataset: Dataset, topics: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a finding for each v3 measure whose index differs from the declared one."""
    # A topic can occur twice in the list, under two groups.
    places: dict[str, list[int]] = {}
    for row in _topic_rows(path):
        places.setdefault(text_of(row, "Key"), []).append(row["ID"])
    declared = {measure.code: measure.index for measure in dataset.measures}
    return tuple(
        Finding("measure_found_by_title", code, _elsewhere(dataset, code, f"index: {places[key][0]}", key), "warn")
        for key, code in topics.items()
        if declared[code] not in places[key]
    )


def _elsewhere(dataset: Dataset, code: str, line: str, own: str) -> str:
    title = next(measure.title for measure in dataset.measures if measure.code == code)
    return (
        f"the office has {title!r} as {own}, the registry as {code}: its rows are landed as {code};"
        f" change the line of {code} in extract/registry/{dataset.code}.yml to {line}"
    )


def declared(measure: str, codes: Mapping[str, str]) -> str:
    """Return the SQL expression of the declared code of an office's measure."""
    cases = "".join(f" when {quote(own)} then {quote(code)}" for code, own in codes.items() if own != code)
    return f"case {measure}{cases} else {measure} end" if cases else measure
