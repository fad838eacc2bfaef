"""Building the warehouse with one and with ten million facts, and the queries of the documentation.

A seeded generator writes a landing area: exports of NL, DE and the EU (all members together) to every country, by CN8
code and month, with weights, in one user scope, and the total of all goods. The number of CN8 codes sets the number of
facts. dbt then builds all models, as in a run, within the profile's memory limit (4 GB). Reported are

- **all models**: wall time of the whole build, from Parquet to the last mart, including dbt's start;
- **from the facts on**: the part of it after every figure has its version (`int_export_versions`): both fact tables,
  scopes, goods, all reports;
- **marts**: the time in which models of `models/marts` were running (two at a time);
- **queries**: the slowest query of `docs/questions.md` on the published file of a run, if there is one (`make run`).

Each size is built in its own process, in alternating rounds; seconds are medians over the rounds. Run with `make
bench-marts`; the table goes to `benchmarks/marts.md`.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from extract.landing.layout import MARKER
from extract.landing.manifest import LoadManifest
from extract.registry import get_dataset
from metaalexport.building import build_candidate
from metaalexport.run import Run
from metaalexport.settings import DBT_PROJECT, REFERENCE, Settings
from metaalexport.state import prepare_state

DATASET = "eurostat_ds_045409"
REPORTERS = ("NL", "DE", "EU27_2020")
MONTHS = 68
SIZES = (1_000_000, 10_000_000)
QUESTIONS = Path(__file__).resolve().parent.parent / "docs" / "questions.md"
_STAMP = "2026-10-15T09:00:00Z"


def make_state(state: Path, facts: int) -> Settings:
    """Write a landing area with about `facts` facts, and the scope that covers their goods."""
    scopes = state.parent / "scope.csv"
    settings = Settings(profile="simulator", state=state, user_scopes=scopes)
    with duckdb.connect() as connection:
        connection.execute("set threads = 2")
        connection.execute(
            "create table partners as select office_code"
            f" from read_csv('{REFERENCE / 'office_partners.csv'}', all_varchar = true)"
            " where office = 'eurostat' and member_kind = 'country' and valid_to is null"
        )
        (partners,) = connection.execute("select count(*) from partners").fetchall()[0]
        n_products = max(1, round(facts / (len(REPORTERS) * partners * MONTHS)))
        # Codes of one chapter, spaced like CN8 codes.
        products = [f"72{10 + i // 90:02}{10 + i % 90:02}00" for i in range(n_products)]
        lines = [f"detail,Detail,Detail,CN,{product},," for product in products]
        header = "scope_code,scope_name_en,scope_name_nl,nomenclature_code,product_code,valid_from,valid_to"
        state.parent.mkdir(parents=True, exist_ok=True)
        scopes.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        prepare_state(settings)
        connection.execute("create table products (product varchar, no integer)")
        connection.executemany(
            "insert into products values (?, ?)", [(p, i) for i, p in enumerate((*products, "TOTAL"))]
        )
        for reporter in REPORTERS:
            _write_load(connection, settings.landing, reporter, (*products, "TOTAL"))
    return settings


def _write_load(connection: duckdb.DuckDBPyConnection, landing: Path, reporter: str, products: tuple[str, ...]) -> None:
    load_id = f"{DATASET}__{reporter.lower()}__20261015T0900__bench"
    folder = landing / DATASET / load_id
    folder.mkdir(parents=True)
    size = 30 if reporter == "EU27_2020" else 1
    connection.execute(
        f"""
        create or replace temp table cells as
        select
            partners.office_code as partner,
            products.product,
            strftime(date '2021-01-01' + to_months(cast(m as integer)), '%Y-%m') as period,
            -- Gravity, a trend and noise, derived from hashes: the same numbers on every machine.
            {size} * cast(
                1000 + (hash(partners.office_code) % 1000) * (1 + products.no % 7)
                * (100 + m + hash(partners.office_code, products.no, m) % 20)
                * if(products.product = 'TOTAL', 400, 1)
                as bigint
            ) as eur
        from partners, products, range({MONTHS}) as months(m)
        where partners.office_code != '{reporter}'
        """
    )
    connection.execute(
        f"""
        copy (
            with all_cells as (
                from cells
                union all by name
                select 'WORLD' as partner, product, period, sum(eur) as eur from cells group by all
            )
            select
                '{load_id}' as load_id, 0 as request_no, 'new' as change_kind, 'M' as freq, '{reporter}' as reporter,
                partner, product, '2' as flow, period, measure,
                case measure when 'VALUE_IN_EUROS' then eur else round(eur / (50.0 + hash(product) % 300), 2) end
                    as value,
                cast(null as varchar) as status, cast(null as varchar) as confidentiality
            from all_cells, (values ('VALUE_IN_EUROS'), ('QUANTITY_IN_100KG')) as measures(measure)
        ) to '{folder / "changes.parquet"}' (format parquet, compression zstd)
        """
    )
    (rows,) = connection.execute(f"select count(*) from '{folder / 'changes.parquet'}'").fetchall()[0]
    schema = landing / DATASET / "_schema"
    for table in ("codes", "findings", "rejects"):
        shutil.copy(schema / f"{table}.parquet", folder / f"{table}.parquet")
    measures = ", ".join(
        f"('{load_id}', '{m.code}', '{m.unit}', '{m.unit}', '{m.canonical_unit}', cast({m.factor} as double))"
        for m in get_dataset(DATASET).measures
    )
    connection.execute(
        "copy (from (values "
        + measures
        + ") as m(load_id, measure_code, stated_unit, declared_unit, canonical_unit, factor))"
        f" to '{folder / 'measures.parquet'}' (format parquet)"
    )
    asked = ", ".join(f"('{product}')" for product in products)
    connection.execute(
        f"""
        copy (
            select '{load_id}' as load_id, '{reporter}' as reporter_code, product as product_code,
                date '2021-01-01' as first_month, date '2026-08-01' as last_month, true as has_all_partners,
                '*' as panel
            from (values {asked}) as asked(product)
        ) to '{folder / "coverage.parquet"}' (format parquet)
        """
    )
    manifest = LoadManifest(
        load_id=load_id, dataset=DATASET, office="eurostat", reporter=reporter, slice={}, office_version=_STAMP,
        vintage_at=_STAMP, retrieved_at=_STAMP, transport="simulator", is_simulated=True, rows_read=rows,
        rows_loaded=rows, rows_rejected=0, rows_changed=rows, protocol="sdmx", request_ids=["bench"],
        payload_sha256s=["bench"],
    )  # fmt: skip
    (folder / MARKER).write_text(json.dumps(manifest.to_dict()) + "\n", encoding="utf-8")


def build_one(state: Path) -> dict[str, float]:
    """Build all models once, in this process; return seconds, facts and peak memory."""
    settings = Settings(profile="simulator", state=state, user_scopes=state.parent / "scope.csv")
    settings.warehouse.unlink(missing_ok=True)
    started = time.perf_counter()
    build_candidate(Run(settings, "benchmark"))
    seconds = time.perf_counter() - started
    results = json.loads((settings.dbt / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        (facts,) = connection.execute("select count(*) from marts.fct_exports").fetchall()[0]
    return {
        "facts": float(facts),
        "seconds": seconds,
        "downstream_seconds": _seconds_after(results, "int_export_versions"),
        "marts_seconds": _busy_seconds(results, "models/marts/"),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _spans(results: list[dict[str, Any]]) -> dict[str, tuple[datetime, datetime]]:
    """Return the start and end time of each model."""
    spans = {}
    for result in results:
        for step in result["timing"]:
            if step["name"] == "execute":
                began, ended = (datetime.fromisoformat(step[end]) for end in ("started_at", "completed_at"))
                spans[str(result["unique_id"]).rsplit(".", 1)[-1]] = (began, ended)
    return spans


def _seconds_after(results: list[dict[str, Any]], model: str) -> float:
    """Return the build time after a model was finished, in seconds."""
    spans = _spans(results)
    return (max(ended for _, ended in spans.values()) - spans[model][1]).total_seconds()


def _busy_seconds(results: list[dict[str, Any]], folder: str) -> float:
    """Return the seconds in which at least one model of a folder was running."""
    names = {path.stem for path in (DBT_PROJECT / folder).glob("*.sql")}
    spans = [span for name, span in _spans(results).items() if name in names]
    moments = sorted({moment for span in spans for moment in span})
    return sum(
        (end - start).total_seconds()
        for start, end in pairwise(moments)
        if any(begin <= start and end <= finish for begin, finish in spans)
    )


def slowest_query(published: Path) -> tuple[float, int]:
    """Return the seconds of the documentation's slowest query, median of three, and the number of queries."""
    queries = re.findall(r"```sql\n(.*?)```", QUESTIONS.read_text(encoding="utf-8"), re.DOTALL)
    slowest = 0.0
    with duckdb.connect(str(published), read_only=True) as connection:
        for query in queries:
            turns = []
            for _ in range(3):
                started = time.perf_counter()
                connection.execute(query.strip().rstrip(";")).fetchall()
                turns.append(time.perf_counter() - started)
            slowest = max(slowest, statistics.median(turns))
    return slowest, len(queries)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", type=Path, metavar="STATE", help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--facts", type=int, action="append", help="only this size; may be repeated")
    parser.add_argument("--published", type=Path, default=Settings.from_environment({}).published)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(build_one(options.one)))
        return
    sizes = options.facts or list(SIZES)
    home = Path(tempfile.mkdtemp(prefix="metaalexport-bench-"))
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    try:
        for size in sizes:
            print(f"{size:,} facts: making the landing area", flush=True)
            make_state(home / str(size) / "simulator", size)
        for _ in range(options.turns):
            for size in sizes:
                command = [sys.executable, "-m", "benchmarks.marts", "--one", str(home / str(size) / "simulator")]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs[size].append(json.loads(done.stdout.splitlines()[-1]))
                print(size, {name: round(value, 1) for name, value in runs[size][-1].items()}, flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    median = {
        size: {name: statistics.median(run[name] for run in turns) for name in turns[0]} for size, turns in runs.items()
    }
    smallest = median[min(sizes)]
    lines = "".join(
        f"| {m['facts']:,.0f} | {m['seconds']:.0f} s | {m['downstream_seconds']:.0f} s"
        f" | {m['marts_seconds']:.0f} s | {m['memory_mb']:.0f} MB"
        f" | {m['facts'] / smallest['facts']:.1f} | {m['seconds'] / smallest['seconds']:.1f} |\n"
        for m in median.values()
    )
    text = (
        f"# Building the marts\n\nMedians of {options.turns} turns on two cores, 4 GB for DuckDB."
        " Written by `make bench-marts`; method: `benchmarks/marts.py`.\n\n"
        "| facts | all models | from the facts on | marts | peak memory | facts, times the smallest"
        " | time, times the smallest |\n"
        f"|---|---|---|---|---|---|---|\n{lines}"
    )
    if options.published.exists():
        seconds, count = slowest_query(options.published)
        text += (
            f"\nThe slowest of the {count} queries of `docs/questions.md` takes {seconds:.2f} s on the file that"
            " `make run` publishes.\n"
        )
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
