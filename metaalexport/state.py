"""Preparation of a profile's state folders, and damaged records in them."""

from __future__ import annotations

import json
from pathlib import Path

from common.files import write_atomically
from extract.landing.store import Landing
from extract.raw import RawStore
from extract.registry import load_registry
from metaalexport import gaps, reference, verified
from metaalexport.journal import Journal
from metaalexport.settings import Settings


def prepare_state(settings: Settings) -> None:
    """Make the profile's folders readable before the first load: empty tables, registry, user scopes."""
    landing = Landing(settings.landing)
    for dataset in load_registry().values():
        landing.ensure_schema(dataset)
    RawStore(settings.raw).ensure_schema()
    Journal(settings.journal).prepare()
    scheduled = settings.datasets_to_load()
    rows = [
        {
            "dataset_code": dataset.code,
            "office": dataset.office,
            "identifier": dataset.identifier,
            "title_nl": dataset.title_nl,
            "title_en": dataset.title_en,
            "licence": dataset.licence,
            "licence_url": dataset.licence_url,
            "citation": dataset.citation,
            "source_url": dataset.source_url,
            "release_note": dataset.release_note,
            "look_hours": dataset.release.look_hours,
            # Datasets loaded on request have no polling schedule.
            "is_scheduled": dataset.code in scheduled,
            "release_days": dataset.release.days,
            "is_verified": verified.is_verified(settings, dataset),
            "rounding_unit_eur": dataset.threshold("rounding_unit_eur"),
            "nomenclature_code": dataset.nomenclature or None,
            "total_partner": dataset.total_partner,
            "total_parts": dataset.total_parts,
        }
        for dataset in load_registry().values()
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(settings.journal / "datasets.jsonl", text)
    reference.write_user_scopes(settings.user_scopes, settings.journal / gaps.USER_SCOPES)
    reference.write_overlay_partners(settings.journal / reference.PARTNERS_FILE)


def damaged_records(settings: Settings) -> list[Path]:
    """Return the unreadable records of steps, checks and requests."""
    return [*Journal(settings.journal).damaged(), *RawStore(settings.raw).damaged()]


def set_damaged_aside(settings: Settings) -> list[Path]:
    """Move unreadable records aside; return the new paths.

    dbt reads whole folders, and a damaged record must not block a build.
    """
    return [*Journal(settings.journal).set_damaged_aside(), *RawStore(settings.raw).set_damaged_aside()]
