"""Sections of the report about one view, one module each.

A module with the names below is a section of the page; no registration is needed.

``ORDER``
    Position on the page. The figures of the chosen view come between the sections below and above ``FIGURES_ORDER``.
``TABLES``
    Tables of ``marts`` that the section reads, the one with its figures first.
``text``
    Its texts in both languages; ``title`` is the heading, ``empty`` explains a view without rows.
``build(marts, view)``
    Returns the content of the section, or None if there are no rows for the view.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from publish.report.marts import Marts
from publish.report.parts import Section, View
from publish.report.texts import Text, Texts, shared

FIGURES_ORDER = 30


class SectionModule(Protocol):
    """Interface of the modules in this package."""

    ORDER: int
    TABLES: tuple[str, ...]
    text: Texts

    def build(self, marts: Marts, view: View) -> Section | None:
        """Build the section."""


@dataclass(frozen=True)
class PlacedSection:
    """A section on the page; one without content has ``missing``, which states what is missing and why."""

    id: str
    title: Text
    is_before_figures: bool
    content: Section | None = None
    missing: Text | None = None


def section_modules() -> dict[str, SectionModule]:
    """Return the section modules by name, in page order."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = {name: cast(SectionModule, import_module(f"{__name__}.{name}")) for name in names}
    return dict(sorted(modules.items(), key=lambda item: (item[1].ORDER, item[0])))


def build_sections(marts: Marts, view: View) -> list[PlacedSection]:
    """Build every section for one view, in page order.

    Parameters
    ----------
    marts : Marts
        Published warehouse.
    view : View
        Subject of the sections.
    """
    sections = []
    for name, module in section_modules().items():
        absent = [table for table in module.TABLES if f"marts.{table}" not in marts.tables]
        content, missing = None, None
        if absent:
            missing = shared("no_table", tables=", ".join(absent))
        elif (content := module.build(marts, view)) is None:
            subject = shared("lead_view_name", **view.words)
            missing = shared("no_rows", tables=module.TABLES[0], view=subject, why=module.text("empty"))
        sections.append(PlacedSection(name, module.text("title"), module.ORDER < FIGURES_ORDER, content, missing))
    return sections
