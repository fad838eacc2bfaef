"""The offices' own payloads in tests/specimens, through the parsers for the live offices.

Payloads that are too large for a specimen, or third-party work, are read from the shared folder if present.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import defaultdict
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from extract.dataset import Dataset, Measure
from extract.errors import BadReplyError
from extract.landing.manifest import LoadManifest
from extract.offices.cbs.measures import v3_topics
from extract.offices.eurostat.asynchronous import read_envelope
from extract.offices.eurostat.faults import read_fault
from extract.offices.eurostat.formats import inspect_data
from extract.registry import get_dataset
from extract.replay import open_replay
from extract.slices import Slice
from metaalexport.settings import REFERENCE
from tests.contract.loading import CountingAdapter, Loader
from tests.contract.test_formats import fetched, v3_office, v3_rows

SPECIMENS = Path(__file__).resolve().parents[1] / "specimens"
FOUND = SPECIMENS.parents[2] / "shared" / "found"
PAGE = "observations-page-1.json"

# Declared like 85806NED, the sister table: the title repeats, so group and unit identify a measure.
SERVICES = replace(
    get_dataset("cbs_85806ned"),
    code="services",
    identifier="85828NED",
    select={},
    measures=(
        Measure("A042501_1", "2021=100", "INDEX", 1, title="Ongecorrigeerd", group="M001288_1"),
        Measure("A050903_1", "2021=100", "INDEX", 1, title="Seizoengecorrigeerd", group="M001288_1"),
        Measure("A050903_2", "%", "PERCENT", 1, title="Seizoengecorrigeerd", group="M000247_1"),
    ),
)
BANKRUPTCIES = replace(
    SERVICES,
    code="bankruptcies",
    identifier="82242NED",
    dimensions={"TypeGefailleerde": "activity", "Perioden": "period"},
    measures=(Measure("M001327", "Aantal", "COUNT", 1, title="Uitgesproken faillissementen"),),
)
TRADE = replace(get_dataset("cbs_85429ned"), bulk=False, fallback="")


def shared(name: str) -> Path:
    path = FOUND / name
    if not path.exists():
        pytest.skip(f"not on this machine: {path}")
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def replay(dataset: Dataset, folder: Path, state: Path) -> tuple[Loader, LoadManifest]:
    loader = Loader(dataset, state, "replay")
    found = open_replay(folder, dataset, ("NL",))
    (part,) = found.slices
    return loader, loader.load(found.adapter, part)


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """Copy a recording so that tests can change it."""
    return Path(shutil.copytree(SPECIMENS / "cbs" / "85828NED", tmp_path / "recording"))


def rename(folder: Path, before: str, after: str) -> None:
    """Give a measure another code, in its description and in the observations."""
    for name in ("measure-codes.json", PAGE):
        text = (folder / name).read_text("utf-8")
        assert f'"{before}"' in text
        (folder / name).write_text(text.replace(f'"{before}"', f'"{after}"'), encoding="utf-8")


# --- CBS OData v4 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [SERVICES, BANKRUPTCIES, TRADE], ids=lambda dataset: dataset.identifier)
def test_recorded_v4_table_matches_an_independent_parser(dataset: Dataset, tmp_path: Path) -> None:
    folder = SPECIMENS / "cbs" / dataset.identifier
    loader, manifest = replay(dataset, folder, tmp_path)
    rows = read(folder / PAGE)["value"]
    expected = sorted(
        (row["Measure"], *(row[name].strip() for name in dataset.dimensions), row["Value"])
        for row in rows
        if row["Measure"] in dataset.measure_codes
    )
    assert loader.rows(manifest, f"measure, {', '.join(dataset.columns)}, value") == expected
    assert len(expected) > 100
    assert (manifest.rows_rejected, loader.findings(manifest)) == (0, [])
    assert manifest.office_version == read(folder / "properties.json")["Version"]
    assert loader.failed_checks(manifest, ["key_is_unique", "values_are_not_negative"]) == set()


def test_growth_may_be_negative_but_an_index_may_not(tmp_path: Path) -> None:
    folder = SPECIMENS / "cbs" / "85828NED"
    loader, manifest = replay(SERVICES, folder, tmp_path / "growth")
    assert loader.rows(manifest, "min(value) < 0", where="measure = 'A050903_2'") == [(True,)]
    growth, index = SERVICES.measures[2], replace(SERVICES.measures[2], canonical_unit="INDEX")
    assert replace(SERVICES, measures=(growth,)).positive_measures == ()
    loader, manifest = replay(replace(SERVICES, measures=(index,)), folder, tmp_path / "index")
    assert loader.failed_checks(manifest, ["values_are_not_negative"]) == {"values_are_not_negative"}


def test_unit_comparison_ignores_blanks_but_not_the_base_year(services: Path, tmp_path: Path) -> None:
    assert '"Unit": "2021 = 100"' in (services / "measure-codes.json").read_text("utf-8")
    _, manifest = replay(SERVICES, services, tmp_path / "same")
    path = services / "measure-codes.json"
    path.write_text(path.read_text("utf-8").replace("2021 = 100", "2015 = 100"), encoding="utf-8")
    loader, manifest = replay(SERVICES, services, tmp_path / "other")
    assert loader.findings(manifest) == [("unit_change", code, "fail") for code in ("A042501_1", "A050903_1")]


# --- a measure that has another code ------------------------------------------------------------------------------


def test_measure_with_another_code_is_found_by_title_group_and_unit(services: Path, tmp_path: Path) -> None:
    _, before = replay(SERVICES, services, tmp_path / "before")
    rename(services, "A050903_2", "A050903_9")
    loader, manifest = replay(SERVICES, services, tmp_path / "after")
    assert manifest.rows_loaded == before.rows_loaded
    moved = [row for row in read(services / PAGE)["value"] if row["Measure"] == "A050903_9"]
    landed = loader.rows(manifest, "period, value", where="measure = 'A050903_2'")
    assert landed == sorted((row["Perioden"], row["Value"]) for row in moved)
    ((rule, subject, detail, mode),) = loader.rows(manifest, "rule, subject, detail, mode", "findings")
    assert (rule, subject, mode) == ("measure_found_by_title", "A050903_2", "warn")
    # The finding names both codes and the line to change.
    assert "A050903_9" in detail
    assert "extract/registry/services.yml to code: A050903_9" in detail
    assert loader.rows(manifest, "stated_unit", "measures", "measure_code = 'A050903_2'") == [("%",)]


def test_measure_with_another_code_is_requested_by_that_code(services: Path, tmp_path: Path) -> None:
    """The live office filters by measure, so the request must use the code that the office has now."""
    rename(services, "A050903_1", "A050903_9")
    table = "https://datasets.cbs.nl/odata/v1/CBS/85828NED"
    rows = [row for row in read(services / PAGE)["value"] if row["Measure"] in ("A042501_1", "A050903_9", "A050903_2")]
    query = "$filter=Measure in ('A042501_1','A050903_9','A050903_2')"
    files = {"Properties": "properties", "Dimensions": "dimensions", "MeasureCodes": "measure-codes"}
    files |= {f"{name}Codes": f"codes-{name}" for name in SERVICES.dimensions}
    office = CountingAdapter(
        {
            **{f"{table}/{name}": [services / f"{file}.json"] for name, file in files.items()},
            f"{table}/Observations/$count?{query}": [str(len(rows)).encode()],
            f"{table}/Observations?{query}": [json.dumps({"value": rows}).encode()],
        }
    )
    loader = Loader(SERVICES, tmp_path)
    manifest = loader.load(office, Slice(SERVICES.code, "NL", SERVICES.first_period))
    assert manifest.rows_loaded == len(rows) > 50
    assert {code for (code,) in loader.rows(manifest, "distinct measure")} == set(SERVICES.measure_codes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"group": ""}, r"A050903_1 \(.*'A050903_3', 'A050903_5', 'A050903_9'\] fit|A050903_1 \(.*fit\)"),
        ({"title": "Trendmatig"}, r"A050903_1 \(title 'Trendmatig'.*nothing fits\)"),
        ({"unit": "2015=100"}, r"A050903_1 \(.*nothing fits\)"),
        ({"title": "", "group": ""}, r"lacks the measures A050903_1; it has"),
    ],
    ids=["several fit", "no such title", "another unit", "no title declared"],
)
def test_unidentifiable_measure_fails_the_load_and_lists_candidates(
    services: Path, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    rename(services, "A050903_1", "A050903_9")
    measures = [replace(m, **change) if m.code == "A050903_1" else m for m in SERVICES.measures]  # type: ignore[arg-type]
    with pytest.raises(BadReplyError, match=words) as raised:
        replay(replace(SERVICES, measures=tuple(measures)), services, tmp_path)
    assert "A050903_9 'Seizoengecorrigeerd' in M001288_1 [2021 = 100]" in raised.value.problem


def test_registry_measures_match_the_recorded_tables() -> None:
    """Declared titles, groups, units and indices must match the recordings, if present."""
    for dataset, folder in ((TRADE, "85429NED"), (get_dataset("cbs_85806ned"), "85828NED")):
        rows = {row["Identifier"]: row for row in read(SPECIMENS / "cbs" / folder / "measure-codes.json")["value"]}
        for measure in dataset.measures:
            row = rows[measure.code]
            assert (row["Title"], row["Unit"].replace(" ", "")) == (measure.title, measure.unit.replace(" ", ""))
            assert measure.group in ("", row["MeasureGroupId"])
            assert folder == "85828NED" or row["Index"] == measure.index


# --- CBS OData v3 -------------------------------------------------------------------------------------------------

CAPITAL = replace(
    TRADE,
    code="capital",
    identifier="84328NED",
    fallback="odata_v3",
    dimensions={"BedrijfstakkenEnSectoren": "activity", "TypeKapitaalgoederen": "product", "Perioden": "period"},
    measures=(
        Measure("CLOSING", "mln euro", "EUR", 1e6, 4, title="Kapitaalgoederenvoorraad eindbalans"),
        Measure("OPENING", "mln euro", "EUR", 1e6, 7, title="Kapitaalgoederenvoorraad beginbalans"),
    ),
    total_partner="",
    first_period="1995-01",
)
CONSUMPTION = replace(
    CAPITAL,
    code="consumption",
    identifier="70076ned",
    dimensions={"GoederenEnDiensten": "product", "Perioden": "period"},
    period_pattern=r"\d{4}(MM(0[1-9]|1[0-2])|KW0[1-4]|JJ00)",
    measures=(
        Measure("VOLUME", "2000=100", "INDEX", 1, 5, title="Indexcijfers (2000 = 100)"),
        Measure("VALUE", "2000=100", "INDEX", 1, 8, title="Indexcijfers (2000 = 100)"),
    ),
)


def v3_sets(dataset: Dataset) -> dict[str, list[dict[str, Any]]]:
    folder = SPECIMENS / "cbs" / f"{dataset.identifier}-v3"
    return {n: v3_rows(folder / f"{n}.csv") for n in ("TableInfos", "DataProperties", *dataset.dimensions, "data")}


def load_v3(dataset: Dataset, declared: Dataset, state: Path) -> tuple[Loader, LoadManifest]:
    """Load a v3 table as `declared`, from a fake office that serves it as `dataset`."""
    part = Slice(declared.code, "NL", declared.first_period)
    loader = Loader(declared, state)
    return loader, loader.load(CountingAdapter(v3_office(dataset, part, v3_sets(dataset))), part)


@pytest.mark.parametrize(
    ("dataset", "columns"),
    [
        (CAPITAL, ("KapitaalgoederenvoorraadEindbalans_1", "KapitaalgoederenvoorraadBeginbalans_3")),
        (CONSUMPTION, ("Indexcijfers2000100_3", "Indexcijfers2000100_5")),
    ],
    ids=["84328NED", "70076ned"],
)
def test_recorded_v3_table_lands_its_topics(dataset: Dataset, columns: tuple[str, str], tmp_path: Path) -> None:
    loader, manifest = load_v3(dataset, dataset, tmp_path)
    expected = sorted(
        (code, *(row[name].strip() for name in dataset.dimensions), row[column])
        for row in v3_sets(dataset)["data"]
        for code, column in zip(dataset.measure_codes, columns, strict=True)
        if row[column] is not None
    )
    assert loader.rows(manifest, f"measure, {', '.join(dataset.columns)}, value") == expected
    assert [rule for rule, _, _ in loader.findings(manifest)] == ["fallback_used"]
    # The field in which CBS would report a discontinued table is present.
    assert [row["OutputStatus"] for row in v3_sets(dataset)["TableInfos"]] == ["Regulier"]
    assert loader.failed_checks(manifest, ["key_is_unique"]) == set()


def test_topic_listed_twice_is_one_column(tmp_path: Path) -> None:
    keys = [row["Key"] for row in v3_sets(CAPITAL)["DataProperties"]]
    assert keys.count("KapitaalgoederenvoorraadEindbalans_1") == 2
    second = replace(CAPITAL, measures=(replace(CAPITAL.measures[0], index=13), CAPITAL.measures[1]))
    loader, manifest = load_v3(second, second, tmp_path)
    assert [rule for rule, _, _ in loader.findings(manifest)] == ["fallback_used"]


@pytest.mark.parametrize("index", [8, 99], ids=["another measure's place", "no place"])
def test_topic_with_another_index_is_found_by_its_title(index: int, tmp_path: Path) -> None:
    moved = replace(CAPITAL, measures=(replace(CAPITAL.measures[0], index=index), CAPITAL.measures[1]))
    loader, manifest = load_v3(CAPITAL, moved, tmp_path)
    _, right = load_v3(CAPITAL, CAPITAL, tmp_path / "right")
    assert manifest.rows_loaded == right.rows_loaded
    found = loader.rows(manifest, "subject, detail", "findings", "rule = 'measure_found_by_title'")
    assert [subject for subject, _ in found] == ["CLOSING"]
    assert "extract/registry/capital.yml to index: 4" in found[0][1]


def test_topic_with_a_repeated_title_is_not_found_by_title(tmp_path: Path) -> None:
    path = tmp_path / "DataProperties"
    path.write_text(json.dumps({"value": v3_sets(CONSUMPTION)["DataProperties"]}), encoding="utf-8")
    moved = replace(CONSUMPTION, measures=tuple(replace(m, index=90 + i) for i, m in enumerate(CONSUMPTION.measures)))
    with pytest.raises(BadReplyError, match=r"\['Indexcijfers2000100_3', 'Indexcijfers2000100_5'\] fit"):
        v3_topics(path, moved)


# --- Eurostat -----------------------------------------------------------------------------------------------------


def test_confidential_cells_of_a_tsv_keep_flag_and_confidentiality(tmp_path: Path) -> None:
    path = SPECIMENS / "eurostat" / "sts-confidential-cells.tsv"
    assert inspect_data(path, "text/tab-separated-values") is None
    dataset = replace(get_dataset("eurostat_sts_inpr_m"), select={"freq": ("M",)}, slice_by="whole")
    loader = Loader(dataset, tmp_path)
    sha256, _ = loader.raw.put([path.read_bytes()])
    part = Slice(dataset.code, "*", "2023-01", "2023-02")
    manifest = loader.stage(part, fetched(sha256, "15/09/26 11:00:00"))
    assert manifest.rows_rejected == 0
    assert loader.rows(manifest, "reporter, period, value, status, confidentiality") == [
        ("BG", "2023-01", 94.4, "p", None),
        ("IE", "2023-01", None, None, "C"),
        ("IE", "2023-02", None, None, "C"),
        ("XX", "2023-01", 7.0, "p", "C"),
        ("XX", "2023-02", 12.5, "bdep", None),
    ]


def test_queue_envelope_has_a_key() -> None:
    envelope = read_envelope(SPECIMENS / "eurostat" / "async-queue-envelope.xml")
    assert envelope is not None
    assert envelope.key == "e3d39a1b-27eb-4ce4-936d-8f95b23bf74f"


@pytest.mark.parametrize(
    ("code", "words", "step"),
    [
        ("140", "INVALID_QUERY_NB_FILTERS", "syntax is wrong"),
        ("150", "not allowed: UNIT=NOTAUNIT", "a code is not in the dataset"),
    ],
)
def test_faults_quote_the_office(code: str, words: str, step: str) -> None:
    verdict = read_fault(SPECIMENS / "eurostat" / f"fault-{code}.xml")
    assert verdict is not None
    assert (verdict.retryable, f"fault {code}" in verdict.reason, words in verdict.reason) == (False, True, True)
    assert step in verdict.next_step


def eurostat_partners() -> dict[str, dict[str, str]]:
    with (REFERENCE / "office_partners.csv").open(encoding="utf-8", newline="") as handle:
        return {row["office_code"]: row for row in csv.DictReader(handle) if row["office"] == "eurostat"}


def test_partner_aggregates_in_live_replies_are_not_countries() -> None:
    with shared("eurostat/ds-045409-partner-aggregates.csv").open(encoding="utf-8", newline="") as handle:
        seen = [row["code"] for row in csv.DictReader(handle)]
    partners = eurostat_partners()
    assert {partners[code]["member_kind"] for code in seen if code != "WORLD"} == {"aggregate"}
    assert partners["WORLD"]["member_kind"] == "total"
    # The next accession renames the euro area; a pattern must match the unseeded code.
    patterns = [code for code in partners if "*" in code]
    assert all(any(fnmatchcase(code, pattern) for pattern in patterns) for code in ("INT_EA22", "EXT_EA22"))


def test_partners_match_the_data_dictionary_and_its_validity() -> None:
    text = shared("eurostat/comext-full_v2-data-dictionary.txt").read_text(encoding="utf-8")
    listed: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    section = text.split("\nPARTNER\n")[1].split("\n\n")[0]
    for code, first, last, name in re.findall(r"^  (\w\w)\t(\S+)\t(\S+)\t(.+)$", section, re.MULTILINE):
        listed[code].append(("-".join(first.split("/")[::-1]), "-".join(last.split("/")[::-1]), name))
    partners = eurostat_partners()
    known = {code: row for code, row in partners.items() if len(code) == 2 and code not in ("EU", "EA")}
    # Three codes of the list have not been observed on any axis.
    assert set(listed) - set(known) == {"PZ", "QT", "VD"}
    assert set(known) <= set(listed)
    for code, row in known.items():
        spells = listed[code]
        assert row["office_name"] == spells[-1][2], code
        assert row["valid_from"] in {first for first, _, _ in spells}, code
        assert (row["valid_to"] or "2500-12-31") == max(last for _, last, _ in spells), code


def test_sitc_sections_sum_to_the_total_of_ds_059331() -> None:
    """The gate and the marts assume this of the dataset: 2,290 months of four reporters and two flows."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    totals: dict[tuple[str, str], list[float]] = {}
    with shared("eurostat/ds-059331-sections-DE-ES-FR-IT-WORLD.csv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            key = (row["fecha"], row["pais_code"])
            both = [float(row["exportaciones"] or 0), float(row["importaciones"] or 0)]
            if row["sector_code"] == "TOTAL":
                totals[key] = both
            else:
                sums[key] = [before + more for before, more in zip(sums[key], both, strict=True)]
    pairs = [pair for key, total in totals.items() for pair in zip(total, sums[key], strict=True)]
    assert len(pairs) == 2290
    assert sum(total == parts for total, parts in pairs) == 1920
    assert max(abs(parts / total - 1) for total, parts in pairs) < 1e-6


def test_partners_of_ds_059331_are_listed() -> None:
    with shared("eurostat/ds-059331-total-DE-partners-2002-2019.csv").open(encoding="utf-8", newline="") as handle:
        seen = {row["socio_code"] for row in csv.DictReader(handle)}
    assert len(seen) > 25
    assert seen <= set(eurostat_partners())


def test_published_rows_of_85427ned_sum_to_exports() -> None:
    """Topics 2, 3 and 4 of v3 are exports, re-exports and Dutch product: 3 and 4 sum to 2."""
    with shared("cbs/85427NED/rows.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        parts = float(row["Wederuitvoerwaarde_3"]) + float(row["UitvoerwaardeProductNL_4"])
        assert abs(float(row["TotaleUitvoerwaarde_2"]) - parts) <= 1
    titles = {
        "".join(word[:1].upper() + word[1:] for word in m.title.split()) for m in get_dataset("cbs_85427ned").measures
    }
    assert titles == {name.rsplit("_")[0] for name in rows[0] if name[-2:] in ("_2", "_3", "_4")}


def pairs_of(table: str) -> list[tuple[str, str]]:
    """Return questions about a table with the codes that a CBS author gives as answers."""
    # The lines are truncated after the answer and are not valid JSON.
    pattern = re.compile(r'"question": "((?:[^"\\]|\\.)*)", "sexp": "((?:[^"\\]|\\.)*)"')
    found = pattern.findall(shared("cbs/locust-qa-industry-and-goods.txt").read_text("utf-8"))
    pairs = [(json.loads(f'"{question}"').lower(), sexp) for question, sexp in found]
    return [(question, codes) for question, sexp in pairs for codes in re.findall(rf"\(VALUE {table} (.*)", sexp)]


def test_measures_of_81234ned_match_a_cbs_authors_questions() -> None:
    words = {
        "M002289": ("vertrouwen", "positief"),
        "M002291": ("bedrijvigheid", "toekomstige activiteiten"),
        "M000210": ("order", "opdrachten"),
        "M000004": ("voorra",),
    }
    pairs = pairs_of("81234ned")
    assert len(pairs) == 12
    for question, codes in pairs:
        asked = re.findall(r"M00\d{4}", re.findall(r"\(MSR \((.*?)\)\)", codes)[0])
        assert asked
        assert all(any(word in question for word in words[code]) for code in asked), question
        # Every answer uses this member of the seasonal adjustment.
        assert "(DIM Seizoencorrectie (A042500))" in codes
    assert set(get_dataset("cbs_81234ned").measure_codes) <= set(words)


def test_production_of_85806ned_has_separate_index_and_growth_measures() -> None:
    pairs = pairs_of("85806NED")
    index = [question for question, codes in pairs if "(MSR (A050903_1))" in codes]
    growth = [question for question, codes in pairs if "(MSR (A050903_3))" in codes]
    assert all("gecorrigeerde productie" in question for question in index)
    assert all("productiegroei" in question for question in growth)
    assert index
    assert growth
    with shared("cbs/85806NED-derived-sa-index.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["industry_branch"] == "total_manufacturing"]
    levels = [float(row["seasonally_adjusted_production"]) for row in rows]
    changes = [float(row["previous_period_seasonally_adjusted_production_change"]) for row in rows]
    # The level is around 100; the other series is its monthly growth, which is sometimes negative.
    assert 80 < min(levels) < max(levels) < 130
    assert min(changes) < 0 < max(changes)
    for before, now, change in zip(levels, levels[1:], changes[1:], strict=False):
        assert 100 * (now / before - 1) == pytest.approx(change, abs=0.16)


def test_published_steel_figures_match_the_press() -> None:
    with shared("figures/cbs_metal_figures.csv").open(encoding="utf-8", newline="") as handle:
        press = {(row["period"], row["product"][:40], row["destination"]): row for row in csv.DictReader(handle)}
    with (REFERENCE / "published_figures.csv").open(encoding="utf-8", newline="") as handle:
        seed = {row["anchor_code"]: float(row["published_value"]) for row in csv.DictReader(handle)}
    tariff = press["2018", "iron and steel subject to the US tariff", "US"]
    assert (seed["N30.US"], tariff["unit"]) == (float(tariff["value"]), "mln eur")
    assert seed["N28.US"] == 1000 * float(press["2024-01..2024-09", "HS 72", "US"]["value"])
    assert round(seed["N28.total"] / 1000, 1) == float(
        press["2024-01..2024-09", "HS 72 (iron and steel)", "total"]["value"]
    )
