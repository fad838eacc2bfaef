"""Parsing and landing compared with a bare DuckDB copy, pandas and the offices' public clients.

For each of three responses (a 2-million-row SDMX-CSV, a 5-million-row bulk month, a CBS pull of 100 pages) these
methods go from the bytes on disk to Parquet:

- **ours**: from the raw store to a committed load (`extract.load.stage`, `Landing.commit`): hashes verified, every row
  checked and accounted for, codes compared, committed;
- **bare**: DuckDB's `read_csv` or `read_json` into Parquet, nothing else;
- **pandas**: read into a data frame, write Parquet;
- **client**: the office's public client with its network replaced: ``cbsodata4`` over the same pages, and ``eurostat``
  over the same observations as TSV, the format that it requests. The bulk files have no client.

Each method runs in its own process, in alternating rounds, so that a slow moment of the machine affects all of them;
ratios are medians over the rounds. The bytes come from a seeded generator. Run with `make bench`; the table goes to
`benchmarks/extraction.md`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import py7zr

from extract.dataset import Dataset
from extract.landing.store import Landing
from extract.load import stage
from extract.offices.base import Fetched, OfficeVersion, Payload
from extract.raw import RawStore
from extract.registry import get_dataset
from extract.slices import Slice
from extract.streams import seven_zip_member

CASES = ("sdmx_csv", "bulk_month", "cbs_json")
WAYS = {
    "sdmx_csv": ("ours", "bare", "pandas", "client"),
    "bulk_month": ("ours", "bare", "pandas"),
    "cbs_json": ("ours", "bare", "pandas", "client"),
}
CLIENTS = {"sdmx_csv": "eurostat", "cbs_json": "cbsodata4"}
SDMX_ROWS, BULK_ROWS, CBS_PAGES, CBS_PAGE_ROWS = 2_000_000, 5_000_000, 100, 100_000
STAMP = "15/09/26 11:00:00"


def make_bytes(case: str, folder: Path, scale: float) -> None:
    """Write the responses of a case, as the office would send them."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("select setseed(0.42)")
        if case == "sdmx_csv":
            _make_sdmx(connection, folder / "reply.csv", int(SDMX_ROWS * scale))
            _make_tsv(connection, folder / "reply.csv", folder.with_name("sdmx_csv.tsv.gz"))
        elif case == "bulk_month":
            _make_bulk(connection, folder, int(BULK_ROWS * scale))
        else:
            _make_cbs(connection, folder, max(1, int(CBS_PAGES * scale)))


def _make_sdmx(connection: duckdb.DuckDBPyConnection, target: Path, rows: int) -> None:
    per_month = 2 * 260 * 64
    connection.execute(
        f"""
        copy (
            select 'ESTAT:DS-045409(1.0)' as "DATAFLOW", '{STAMP}' as "LAST UPDATE", 'M' as freq, 'NL' as reporter,
                chr(65 + (p % 26)::int) || chr(65 + ((p // 26) % 26)::int) as partner,
                lpad((72000000 + i // {per_month} % 7 * 1000000 + (i // 520) % 64 * 7919)::varchar, 8, '0') as product,
                '2' as flow, if(i % 2 = 0, 'VALUE_IN_EUROS', 'QUANTITY_IN_100KG') as indicators,
                printf('%04d-%02d', 2000 + (i // {per_month} // 12)::int, 1 + (i // {per_month} % 12)::int)
                    as "TIME_PERIOD",
                if(i % 2 = 0, (hash(i) % 100000000)::varchar, ((hash(i) % 1000000) / 100.0)::decimal(12, 2)::varchar)
                    as "OBS_VALUE"
            from (select i, (i // 2) % 260 as p from range({rows}) as t(i))
        ) to '{target}' (header, delim ',')
        """
    )


def _make_tsv(connection: duckdb.DuckDBPyConnection, source: Path, target: Path) -> None:
    """Write the same observations as Eurostat TSV: one line per series, one column per month."""
    months = [
        row[0] for row in connection.execute(f"select distinct TIME_PERIOD from '{source}' order by 1").fetchall()
    ]
    lines = connection.execute(
        f"""
        select series || chr(9) || array_to_string(list_transform({months}, m -> coalesce(cells[m], ':')), chr(9))
        from (
            select concat_ws(',', freq, reporter, partner, product, flow, indicators) as series,
                map_from_entries(list((TIME_PERIOD, OBS_VALUE))) as cells
            from read_csv('{source}', all_varchar = true) group by all
        ) order by series
        """
    ).fetchall()
    head = "\t".join(["freq,reporter,partner,product,flow,indicators\\TIME_PERIOD", *months])
    text = "".join(f"{line}\r\n" for line in (head, *(row[0] for row in lines)))
    target.write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))


def _make_bulk(connection: duckdb.DuckDBPyConnection, folder: Path, rows: int) -> None:
    content = folder / "full_202512.dat"
    connection.execute(
        f"""
        copy (
            select chr(65 + (i % 27 % 26)::int) || chr(65 + (i % 27 // 13)::int) as REPORTER,
                chr(65 + ((i // 27) % 26)::int) || chr(65 + ((i // 702) % 10)::int) as PARTNER,
                if(i % 3 = 0, 'I', 'E') as TRADE_TYPE,
                lpad((1012100 + (i // 7020) * 104729 % 96000000)::varchar, 8, '0')
                    as PRODUCT_NC,
                (10000 + i // 7020 % 80000)::varchar as PRODUCT_SITC, '2059' as PRODUCT_CPA21, '2059' as PRODUCT_CPA22,
                '220' as PRODUCT_BEC, '311210' as PRODUCT_BEC5, '06' as PRODUCT_SECTION, 1 + (hash(i) % 2) as FLOW,
                1 as STAT_PROCEDURE, 'NO_SU' as SUPPL_UNIT, 202512 as PERIOD, hash(i) % 10000000 as VALUE_EUR,
                hash(i) % 10000000 as VALUE_NAC, hash(i + 1) % 100000 as QUANTITY_KG, 0 as QUANTITY_SUPPL_UNIT
            from range({rows}) as t(i)
        ) to '{content}' (header, delim ',')
        """
    )
    with py7zr.SevenZipFile(folder / "reply.7z", "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]) as archive:
        archive.write(content, content.name)
    content.unlink()


def _make_cbs(connection: duckdb.DuckDBPyConnection, folder: Path, pages: int) -> None:
    for page in range(pages):
        first = page * CBS_PAGE_ROWS
        body = connection.execute(
            f"""
            select string_agg(row, ',' order by i) from (
                select i, to_json({{'Id': i, 'Measure': (['D001636', 'M001648', 'M001632', 'M007897'])[1 + i % 4],
                    'ValueAttribute': 'None', 'Value': (hash(i) % 100000)::double, 'StringValue': null,
                    'Landen': 'L00' || (7000 + i // 4 % 254), 'SITC': 'A01' || (8000 + i // 1016 % 660),
                    'Perioden': (2015 + i // 670560 % 12) || 'MM' || lpad((1 + i // 8046720 % 12)::varchar, 2, '0')
                    }})::varchar as row
                from range({first}, {first + CBS_PAGE_ROWS}) as t(i)
            )
            """
        ).fetchall()[0][0]
        link = f',"@odata.nextLink":"https://example.invalid/Observations?$skip={first}"' if page < pages - 1 else ""
        text = f'{{"@odata.context":"https://example.invalid/$metadata#Observations","value":[{body}]{link}}}'
        (folder / f"page-{page:03d}.json").write_text(text, encoding="utf-8")


def run_ours(case: str, folder: Path, work: Path) -> None:
    """Go from the raw store to a committed load."""
    raw, landing = RawStore(work / "raw"), Landing(work / "landing")
    dataset, part, fetched = _ours_input(case, folder, raw)
    manifest = stage(landing, raw, dataset, part, fetched, transport="simulator")
    landing.commit(manifest.load_id, dataset)


def _ours_input(case: str, folder: Path, raw: RawStore) -> tuple[Dataset, Slice, Fetched]:
    """Describe the stored responses, whose bytes `prepare_ours` already put into the raw store."""
    hashes = json.loads((folder / "hashes.json").read_text(encoding="utf-8"))
    payloads = tuple(
        Payload(f"r{number:03d}", "observations", sha256, "https://example.invalid/", "2026-09-16T00:00:00Z")
        for number, sha256 in enumerate(hashes)
    )
    version = OfficeVersion(STAMP, "2026-09-15T09:00:00Z")
    if case == "sdmx_csv":
        dataset = get_dataset("eurostat_ds_045409")
        return dataset, Slice(dataset.code, "NL", "2000-01", products=("72",)), Fetched(version, payloads, "sdmx")
    if case == "bulk_month":
        dataset = get_dataset("eurostat_comext_bulk")
        return dataset, Slice(dataset.code, "*", "2025-12", "2025-12"), Fetched(version, payloads, "comext_bulk")
    dataset = replace(get_dataset("cbs_85429ned"), first_period="2000-01")
    return dataset, Slice(dataset.code, "NL", "2015-01"), Fetched(version, payloads, "odata_v4")


def prepare_ours(folder: Path, work: Path) -> None:
    """Put the responses into a raw store; not part of the measurement."""
    raw = RawStore(work / "raw")
    hashes = []
    for path in _replies(folder):
        with path.open("rb") as handle:
            hashes.append(raw.put(iter(lambda: handle.read(1 << 20), b""))[0])
    (folder / "hashes.json").write_text(json.dumps(hashes), encoding="utf-8")


def _replies(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "hashes.json")


def run_bare(case: str, folder: Path, work: Path) -> None:
    """Copy into Parquet with DuckDB alone."""
    target = work / "bare.parquet"
    with duckdb.connect() as connection:
        if case == "cbs_json":
            source = f"""(select unnest(value, recursive := true) from read_json('{folder}/page-*.json',
                format = 'unstructured', maximum_object_size = 33554432, columns = {{value: 'STRUCT("Id" BIGINT,
                "Measure" VARCHAR, "ValueAttribute" VARCHAR, "Value" DOUBLE, "StringValue" VARCHAR, "Landen" VARCHAR,
                "SITC" VARCHAR, "Perioden" VARCHAR)[]'}}))"""
        else:
            source = f"read_csv('{_unpacked(folder, work)}', all_varchar = true)"
        connection.execute(f"copy (from {source}) to '{target}' (format parquet)")


def run_pandas(case: str, folder: Path, work: Path) -> None:
    """Read into a data frame and write Parquet."""
    import pandas

    target = work / "pandas.parquet"
    if case == "cbs_json":
        rows = [row for path in _replies(folder) for row in json.loads(path.read_text(encoding="utf-8"))["value"]]
        frame = pandas.DataFrame(rows)
    else:
        frame = pandas.read_csv(_unpacked(folder, work), dtype=str)
    frame.to_parquet(target)


def run_client(case: str, folder: Path, work: Path) -> None:
    """Let the office's public client read the responses from disk, and write Parquet."""
    if case == "cbs_json":
        import pandas
        from cbsodata4 import downloader

        pages = iter(_replies(folder))

        def fetch_json(url: str) -> Any:
            return json.loads(next(pages).read_bytes())

        downloader.fetch_json = fetch_json
        downloader.download_data_stream("https://example.invalid/Observations", work / "client", pandas.DataFrame())
        return
    from eurostat import eurostat

    names = ["freq", "reporter", "partner", "product", "flow", "indicators"]
    content = folder.with_name("sdmx_csv.tsv.gz").read_bytes()
    eurostat.__get_dims_info__ = lambda code, **_: (None, "COMEXT", list(enumerate(names)))
    eurostat.__get_resp__ = lambda url, **_: SimpleNamespace(content=content)
    eurostat.get_data_df("DS-045409").to_parquet(work / "client.parquet")


def _unpacked(folder: Path, work: Path) -> Path:
    """Return the CSV of a case, unpacking an archive first, as is usual without streaming."""
    path = _replies(folder)[0]
    if path.suffix != ".7z":
        return path
    with py7zr.SevenZipFile(path) as archive:
        archive.extractall(work)
    return work / seven_zip_member(path)


def measure(case: str, way: str, folder: Path) -> tuple[float, float]:
    """Run one method in its own process.

    Returns
    -------
    tuple of float
        Seconds, and peak memory in MB.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        if way == "ours":
            prepare_ours(folder, Path(work))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.extraction", "--one", case, way, str(folder), work],
            check=True,
            capture_output=True,
            text=True,
        )
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


def _run_one(case: str, way: str, folder: Path, work: Path) -> None:
    run = {"ours": run_ours, "bare": run_bare, "pandas": run_pandas, "client": run_client}[way]
    started = time.perf_counter()
    run(case, folder, work)
    seconds = time.perf_counter() - started
    # Memory of this process alone; getrusage would include the parent.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(json.dumps([seconds, int(status.split("VmHWM:")[1].split()[0]) / 1024]))


def run_case(case: str, folder: Path, turns: int) -> dict[str, float]:
    """Measure a case in rounds and return medians and ratios."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS[case]}
    for _ in range(turns):
        for way in found:
            found[way].append(measure(case, way, folder))
    # Duration of each method relative to ours, round by round.
    ratios = {
        way: statistics.median(w[0] / o[0] for o, w in zip(found["ours"], found[way], strict=True)) for way in found
    }
    return {
        **{f"{way}_seconds": statistics.median(s for s, _ in found[way]) for way in found},
        **{f"{way}_mb": statistics.median(m for _, m in found[way]) for way in found},
        **{f"{way}_to_ours": ratio for way, ratio in ratios.items()},
    }


def write_table(results: dict[str, dict[str, float]], target: Path, note: str) -> str:
    """Write the results as a Markdown table."""
    head = (
        "| reply | ours | bare DuckDB | pandas | public client | ours / bare | pandas / ours | client / ours"
        " | peak memory of ours |\n|---|---|---|---|---|---|---|---|---|\n"
    )

    def line(case: str, r: dict[str, float]) -> str:
        has_client = "client" in WAYS[case]
        client = f"{r['client_seconds']:.1f} s ({CLIENTS[case]})" if has_client else "none"
        return (
            f"| {case} | {r['ours_seconds']:.1f} s | {r['bare_seconds']:.1f} s | {r['pandas_seconds']:.1f} s"
            f" | {client} | {1 / r['bare_to_ours']:.2f} | {r['pandas_to_ours']:.1f}"
            f" | {format(r['client_to_ours'], '.1f') if has_client else 'none'} | {r['ours_mb']:.0f} MB |\n"
        )

    lines = "".join(line(case, r) for case, r in results.items())
    text = f"# Parsing and landing\n\n{note}\n\n{head}{lines}"
    target.write_text(text, encoding="utf-8")
    return text


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=4, metavar=("CASE", "WAY", "FOLDER", "WORK"), help=argparse.SUPPRESS)
    parser.add_argument("--case", action="append", choices=CASES, help="only this case; may be repeated")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the full number of rows")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    if options.one:
        case, way, folder, work = options.one
        _run_one(case, way, Path(folder), Path(work))
        return
    results = {}
    home = Path(tempfile.mkdtemp(prefix="metaalexport-bench-"))
    try:
        for case in options.case or CASES:
            print(f"{case}: making the bytes", flush=True)
            make_bytes(case, home / case, options.scale)
            results[case] = run_case(case, home / case, options.turns)
            print({name: round(value, 2) for name, value in results[case].items()}, flush=True)
            shutil.rmtree(home / case)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    note = (
        f"Medians of {options.turns} turns, each way in its own process, on two cores; {options.scale:g} of the full"
        f" size. Written by `make bench`; method: `benchmarks/extraction.py`."
    )
    print(write_table(results, options.output, note))


if __name__ == "__main__":
    main()
