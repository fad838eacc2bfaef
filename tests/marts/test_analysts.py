"""The analysts' tools on a whole warehouse: table macros, the commands and code of docs/analysts.md, the notebook."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.test_docs import fences, read
from tests.marts.conftest import Warehouse

ROOT = Path(__file__).resolve().parents[2]
# The prompt needs a terminal: see tests/integration/test_prompt.py.
COMMANDS = [block for block in fences(read("docs/analysts.md"), "sh") if block != ".venv/bin/metaalexport sql\n"]
DEFAULT_VIEW = (
    "source_code = 'EUROSTAT' and concept_code = 'community' and scope_code = 'metal_core_hs' and reporter_code = 'NL'"
)


@pytest.fixture
def checkout(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder like the repository after `make run`, with its environment and its state."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "simulator").symlink_to(warehouse.published.parent.resolve())
    monkeypatch.setenv("METAALEXPORT_VAR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_page_commands_and_code_work(checkout: Path) -> None:
    """Run the blocks in the order of the page: later code reads the exports of an earlier command."""
    assert len(COMMANDS) >= 3
    for block in COMMANDS:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", block],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip() or done.stderr.strip()
    assert sorted(path.name for path in (checkout / "exports" / "shares").iterdir()) == [
        "data_dictionary.csv",
        "datapackage.json",
        "marts.rpt_destination_shares.csv",
        "ops.publication.csv",
    ]
    package = json.loads((checkout / "exports" / "all" / "datapackage.json").read_text(encoding="utf-8"))
    assert package["is_simulated"] is True
    assert len(package["resources"]) > 28
    assert [item["name"] for item in package["resources"] if "primaryKey" not in item["schema"]] == []
    assert len((checkout / "us.csv").read_text(encoding="utf-8").splitlines()) > 24
    blocks = fences(read("docs/analysts.md"), "python")
    assert len(blocks) == 2
    for block in blocks:
        names: dict[str, Any] = {}
        exec(compile(block, "docs/analysts.md", "exec"), names)
        assert len(names["shares"]) > 24


def test_notebook_numbers_match_the_marts(checkout: Path, warehouse: Warehouse) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "metal_exports.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    (checkout / "notebooks").mkdir()
    resources = {"metadata": {"path": str(checkout / "notebooks")}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == 1
    texts = [output["data"]["text/plain"] for output in outputs if "data" in output]
    assert "SIMULATED figures, not for quotation" in texts[0]
    (quotation,) = [text for text in texts if "of Dutch metal exports went to" in text]
    (then_and_now,) = [text for text in texts if "us_pct_then" in text]
    shares = dict(
        warehouse.frame(
            f"""
            select strftime(month, '%Y-%m-%d') as month, round(100 * share, 3) as share_pct
            from marts.rpt_destination_shares
            where {DEFAULT_VIEW} and destination_code = 'US' and is_complete
            order by month
            """
        ).itertuples(index=False)
    )
    assert f"{[*shares.values()][-1]:.1f} % of" in quotation
    rows = re.findall(r"^\d+ (\d{4}-\d\d-\d\d) +([\d.]+) +([\d.]+)$", then_and_now, re.MULTILINE)
    assert len(rows) == 6
    assert {month: float(now) for month, _, now in rows} == pytest.approx({month: shares[month] for month, *_ in rows})
    assert any(then != now for _, then, now in rows)


def test_destination_share_is_a_view_of_the_shares(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.published), read_only=True) as connection:
        columns = [column[0] for column in connection.execute("from marts.destination_share()").description or ()]
        names = ", ".join(columns)
        expected = connection.execute(
            f"select {names} from marts.rpt_destination_shares where {DEFAULT_VIEW} order by month, destination_code"
        ).fetchall()
        assert len(expected) > 1000
        assert connection.execute("from marts.destination_share()").fetchall() == expected
        assert connection.execute("from marts.destination_share(scope := null)").fetchall() == expected
        of_us = connection.execute(
            "from marts.destination_share('metal_sitc', reporter := 'DE', destination := 'US')"
        ).fetchall()
        assert (
            of_us
            == connection.execute(
                f"select {names} from marts.rpt_destination_shares where source_code = 'EUROSTAT'"
                " and scope_code = 'metal_sitc' and reporter_code = 'DE' and destination_code = 'US' order by month"
            ).fetchall()
        )
        of_cbs = connection.execute(
            "select distinct source_code, concept_code from marts.destination_share("
            "scope := 'all_goods', source := 'CBS', concept := 'ownership_transfer')"
        ).fetchall()
        assert of_cbs == [("CBS", "ownership_transfer")]


@pytest.mark.parametrize(
    "call",
    [
        "destination_share(scope := 'metal_core')",
        "destination_share(destination := 'XX')",
        "destination_share(source := 'CBS')",
        "top_destinations(reporter := 'nl')",
        "top_destinations(to_month := date '1999-01-01')",
    ],
)
def test_unknown_value_returns_no_rows(warehouse: Warehouse, call: str) -> None:
    assert warehouse.frame(f"from marts.{call}").empty


def test_top_destinations_ranks_the_newest_or_given_month(warehouse: Warehouse) -> None:
    newest = warehouse.frame("from marts.top_destinations()")
    assert newest.destination_rank_r12.tolist() == [*range(1, 11)]
    assert newest.value_r12_eur.is_monotonic_decreasing
    (month,) = warehouse.frame(
        f"select max(month) as month from marts.rpt_destination_shares where {DEFAULT_VIEW} and share_r12 is not null"
    ).month
    assert {*newest.month} == {month}
    earlier = warehouse.frame("from marts.top_destinations(to_month := '2025-06-01', n := 3)")
    expected = warehouse.frame(
        f"""
        select destination_code, value_r12_eur, share_r12
        from marts.rpt_destination_shares
        where {DEFAULT_VIEW} and month = date '2025-06-01' and destination_kind = 'country' and share_r12 is not null
        order by share_r12 desc
        limit 3
        """
    )
    assert earlier[[*expected.columns]].equals(expected)
