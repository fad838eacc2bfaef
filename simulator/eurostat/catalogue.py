"""Catalogue of the main host: inventory, table of contents and the feed of updates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from html import escape

from simulator.eurostat.model import Dataset, Query
from simulator.eurostat.observations import observation_annotations
from simulator.release import Release
from simulator.reply import Reply


def inventory(datasets: Sequence[Dataset], root: str, query: Query, release: Release) -> Reply:
    """Return the inventory of datasets; ``root`` is the path of the host."""
    if query.get("type") != "data":
        return Reply(b"<html><body>Only type=data is simulated</body></html>", "text/html", 404)
    columns = (
        "Code", "Type", "Source dataset", "Last data change", "Last structural change", "Data download url (tsv)",
        "Data download url (csv)", "Data download url (sdmx)", "Data structure download url",
        "Open in Data Browser url",
    )  # fmt: skip
    lines = ["\t".join(columns)]
    for dataset in sorted(datasets, key=lambda dataset: dataset.code):
        base = f"{query.base_url}{root}/sdmx/2.1"
        forms = ("format=TSV&compressed=true", "format=SDMX-CSV&compressed=true", "compressed=true")
        lines.append(
            "\t".join(
                (
                    dataset.code, "DATASET", "", dataset.stamp(release), dataset.stamp(release),
                    *(f"{base}/data/{dataset.code}/?{form}" for form in forms),
                    f"{base}/dataflow/ESTAT/{dataset.code}/1.0?references=descendants&detail=referencepartial",
                    f"https://ec.europa.eu/eurostat/databrowser/product/view/{dataset.code}",
                )
            )
        )  # fmt: skip
    return Reply(("\r\n".join(lines) + "\r\n").encode(), "text/tab-separated-values")


def table_of_contents(datasets: Sequence[Dataset], release: Release) -> Reply:
    """Return the table of contents: folders have seven columns and a trailing tab, datasets have eight."""
    header = (
        "title", "code", "type", "last update of data", "last table structure change", "data start", "data end",
        "values",
    )  # fmt: skip
    lines = ["\t".join(f'"{name}"' for name in header)]

    def folder(depth: int, title: str, code: str) -> None:
        cells = (" " * 4 * depth + title, code, "folder", " ", " ", " ", " ")
        lines.append("\t".join(f'"{cell}"' for cell in cells) + "\t")

    def listed(depth: int, start: str) -> None:
        for dataset in datasets:
            if dataset.code.startswith(start):
                facts = dict(observation_annotations(dataset, release))
                stamp = dataset.stamp(release)
                day = f"{stamp[8:10]}.{stamp[5:7]}.{stamp[:4]}"
                cells = (
                    " " * 4 * depth + dataset.titles["en"], dataset.code.lower(), "dataset", day, day,
                    facts["OBS_PERIOD_OVERALL_OLDEST"], facts["OBS_PERIOD_OVERALL_LATEST"],
                )  # fmt: skip
                lines.append("\t".join(f'"{cell}"' for cell in cells) + f"\t{facts['OBS_COUNT']}")

    folder(0, "Database by themes", "data")
    folder(1, "Economy and finance", "economy")
    folder(2, "Exchange rates", "ert")
    listed(3, "ERT_")
    folder(1, "Industry, trade and services", "icts")
    folder(2, "Short-term business statistics", "sts")
    listed(3, "STS_")
    folder(1, "International trade", "external")
    folder(2, "International trade in goods", "ext_go")
    listed(3, "EXT_")
    return Reply(("\r\n".join(lines) + "\r\n").encode(), "text/plain;charset=UTF-8")


def updates(datasets: Sequence[Dataset], release: Release) -> Reply:
    """Return the updates of the last days as RSS 2.0; the wording of the items is made up."""
    base = "https://ec.europa.eu/eurostat/databrowser/product/view"
    items = "".join(
        f"<item><title>{dataset.code} - {escape(dataset.titles['en'])}</title>"
        f"<link>{base}/{dataset.code}</link><description>DATA UPDATED</description>"
        f'<guid isPermaLink="false">{dataset.code}-{dataset.stamp(release)}</guid>'
        f"<pubDate>{format_datetime(datetime.fromisoformat(dataset.stamp(release)))}</pubDate></item>"
        for dataset in datasets
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Eurostat updates</title>'
        "<link>https://ec.europa.eu/eurostat</link><description>Simulated updates of datasets</description>"
        f"<lastBuildDate>{format_datetime(datetime.fromisoformat(release.eurostat_stamp))}</lastBuildDate>"
        f"{items}</channel></rss>"
    )
    return Reply(text.encode(), "application/rss+xml")
