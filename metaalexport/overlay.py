"""The user's overlay: corrections of registry and partner codes that `doctor` found."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from common.files import write_atomically
from extract.examine import Examined
from extract.registry import REGISTRY_DIR, get_dataset, merge_declarations, packaged_declaration, read_declaration
from metaalexport import reference
from metaalexport.rehearsal import Rehearsed

# Units as stated by the offices whose factor to euros is certain.
FACTORS_TO_EUR = {
    "euro": 1.0,
    "EUR": 1.0,
    "1 000 euro": 1e3,
    "1000 euro": 1e3,
    "mln euro": 1e6,
    "mld euro": 1e9,
}
_HEADER = "# Differences from extract/registry/{name}, written by `metaalexport doctor --write`; edit as needed.\n"
# Registry lines that need no decision. Dimensions do: a landing column has to be chosen.
_SURE_FIELDS = ("title_nl", "identifier")


@dataclass
class Learned:
    """Corrections certain enough to be written into an overlay.

    Attributes
    ----------
    registry : dict of str to dict
        Differing fields by dataset, in the format of a registry file.
    partners : list of dict
        Rows of ``office_partners.csv``.
    """

    registry: dict[str, dict[str, Any]] = field(default_factory=dict)
    partners: list[dict[str, str]] = field(default_factory=list)


def learn(examined: Sequence[Examined], rehearsed: Sequence[Rehearsed]) -> Learned:
    """Return the certain results of examination and rehearsal: titles, table ids, units and partners."""
    learned = Learned()
    lines: dict[tuple[str, str], set[str]] = {}
    for result in examined:
        if result.registry_line.partition(":")[0] in _SURE_FIELDS:
            found = yaml.safe_load(result.registry_line)
            for name, value in found.items():
                lines.setdefault((result.dataset, name), set()).add(str(value))
    loaded = {each.dataset_code for each in rehearsed if each.is_passed}
    for (code, name), values in lines.items():
        # Two tables with the goods are ambiguous, and a title counts only if the declared table was loaded.
        is_sure = _has_moved(code, examined) if name == "identifier" else code in loaded
        if len(values) == 1 and is_sure:
            learned.registry.setdefault(code, {})[name] = values.pop()
    for each in rehearsed:
        if measures := [measure for row in each.units if (measure := _unit(each.dataset_code, *row))]:
            learned.registry.setdefault(each.dataset_code, {})["measures"] = measures
        learned.partners += [
            row
            for row in each.partners
            if (row["office"], row["office_code"]) not in {(r["office"], r["office_code"]) for r in learned.partners}
        ]
    return learned


def write(folder: Path, learned: Learned) -> list[str]:
    """Merge corrections into the overlay; its partners take precedence.

    Returns
    -------
    list of str
        Each new line with its file.
    """
    written = []
    for code, fields in sorted(learned.registry.items()):
        path = folder / "registry" / f"{code}.yml"
        before = read_declaration(path) if path.exists() else {}
        after = _differing(code, _over(before, fields))
        if after == before:
            continue
        text = _as_yaml(after)
        if after:
            write_atomically(path, _HEADER.format(name=path.name) + text)
        else:
            path.unlink()
        old = set(_as_yaml(before).splitlines())
        written += [f"{path}: {line}" for line in text.splitlines() if after and line not in old]
        if not after:
            written.append(f"{path}: removed, the package has the same")
    path = folder / reference.PARTNERS_FILE
    rows = reference.overlay_partners()
    known = {(row["office"], row["office_code"]) for row in rows}
    new = [row for row in learned.partners if (row["office"], row["office_code"]) not in known]
    if new:
        output = io.StringIO()
        writer = csv.DictWriter(output, reference.PARTNER_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, *new])
        write_atomically(path, output.getvalue())
        lines = output.getvalue().splitlines()[-len(new) :]
        written += [f"{path}: {line}" for line in lines]
    return written


def describe(learned: Learned) -> list[str]:
    """Return one line per correction, for display."""
    lines = [
        f"registry/{code}.yml: {line}"
        for code, fields in sorted(learned.registry.items())
        for line in _as_yaml(fields).splitlines()
    ]
    for row in learned.partners:
        lines.append(f"{reference.PARTNERS_FILE}: {','.join(row.get(name, '') for name in reference.PARTNER_COLUMNS)}")
    return lines


def _as_yaml(fields: dict[str, Any]) -> str:
    """Return YAML with one line per field and per measure."""
    return "".join(
        yaml.safe_dump(
            {name: value},
            allow_unicode=True,
            sort_keys=False,
            width=1000,
            default_flow_style=None if isinstance(value, (dict, list)) else False,
        )
        for name, value in fields.items()
    )


def _has_moved(code: str, examined: Sequence[Examined]) -> bool:
    """True if the declared table is gone or lacks the declared products."""
    products = f"v4 {get_dataset(code).dimension_of('product')}Codes"
    return any(
        (result.endpoint == "v4 Properties" and result.outcome == "fails" and "HTTP 404" in result.detail)
        or (result.endpoint == products and result.outcome == "differs")
        for result in examined
        if result.dataset == code
    )


def _unit(code: str, measure: str, stated: str, declared: str, canonical: str) -> dict[str, Any] | None:
    """Return the overlay's entry for a measure; None if nothing differs or a person has to decide."""
    if "".join(stated.split()) == "".join(declared.split()):
        return None
    if canonical == "EUR" and stated in FACTORS_TO_EUR:
        return {"code": measure, "unit": stated, "factor": FACTORS_TO_EUR[stated]}
    if not declared and canonical not in ("EUR", "KG"):
        # Nothing is scaled: a unit seen for the first time is recorded, so that a change is noticed.
        return {"code": measure, "unit": stated}
    return None


def _over(before: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an overlay overridden by others; measures by code."""
    merged = {**before, **fields}
    if "measures" in before and "measures" in fields:
        of_code = {str(measure["code"]): measure for measure in before["measures"]}
        for measure in fields["measures"]:
            code = str(measure["code"])
            of_code[code] = {**of_code.get(code, {}), **measure}
        merged["measures"] = list(of_code.values())
    return merged


def _differing(code: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields in which an overlay differs from the package."""
    packaged = packaged_declaration(REGISTRY_DIR / f"{code}.yml")
    merged = merge_declarations(packaged, fields)
    return {name: value for name, value in fields.items() if merged[name] != packaged.get(name)}
