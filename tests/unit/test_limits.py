"""The limits of the landing gate's comparison with the last vintage, on both sides of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from expectations.landing import landing_checks, prepare_database
from tests.fault.loads import passes
from tests.unit.gate_inputs import monthly_cells

# New value of each of one hundred cells of 100; None for a missing cell.
Change = Callable[[int], float | None]


def failed(folder: Path, change: Change, **kinds: tuple[str, ...]) -> set[str]:
    """Return the checks that a load fails if it changes the cells of the last vintage."""
    columns = "partner varchar, product varchar, period varchar, measure varchar, value double"
    with duckdb.connect() as connection:
        connection.execute(f"create table o ({columns})")
        # The newest month of the last vintage is not compared: the office is still filling it.
        cells = [("US", f"{n:06d}", month, "VALUE", 100.0) for month in ("2025-01", "2025-02") for n in range(100)]
        connection.executemany("insert into o values (?, ?, ?, ?, ?)", cells)
        connection.execute(
            "copy (select *, null::double as superseded_value, '2026-01-01T00:00:00' as vintage_at from o)"
            f" to '{folder / 'previous.parquet'}' (format parquet)"
        )
        changed = [(*cell[:4], change(n % 100) if cell[2] == "2025-01" else 100.0) for n, cell in enumerate(cells)]
        connection.execute("delete from o")
        connection.executemany("insert into o values (?, ?, ?, ?, ?)", [row for row in changed if row[4] is not None])
        connection.execute(f"copy o to '{folder / 'observations.parquet'}' (format parquet)")
        for table in ("rejects", "findings"):
            connection.execute(
                "copy (select '' as rule, '' as subject, '' as detail, 'warn' as mode, '' as load_id limit 0)"
                f" to '{folder / table}.parquet' (format parquet)"
            )
    load = monthly_cells(folder, **kinds)
    database = folder / "gate.duckdb"
    prepare_database(database, load)
    with duckdb.connect(str(database), read_only=True) as connection:
        checks = [check for check in landing_checks(load) if check.table in ("compared", "previous")]
        assert {"published_cells_do_not_vanish", "rows_do_not_shrink"} <= {check.name for check in checks}
        return {check.name for check in checks if not passes(connection, check)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda n: 100.0, set(), id="unchanged"),
        pytest.param(lambda n: 100.0 if n >= 2 else None, set(), id="2 of 100 are gone"),
        pytest.param(
            lambda n: 100.0 if n >= 3 else None,
            {"published_cells_do_not_vanish", "rows_do_not_shrink"},
            id="3 of 100 are gone",
        ),
        pytest.param(lambda n: 125.0, set(), id="all 25 % higher"),
        pytest.param(lambda n: 126.0, {"level_is_as_before"}, id="all 26 % higher"),
        pytest.param(lambda n: 80.0, set(), id="all 20 % lower"),
        pytest.param(lambda n: 79.0, {"level_is_as_before"}, id="all 21 % lower"),
        pytest.param(
            lambda n: None,
            {"periods_do_not_disappear", "published_cells_do_not_vanish", "rows_do_not_shrink"},
            id="a month is gone",
        ),
    ],
)
def test_cells_of_the_last_vintage(tmp_path: Path, change: Change, expected: set[str]) -> None:
    assert failed(tmp_path, change) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda n: 106.0 if n < 2 else 100.0, set(), id="2 of 100 move"),
        pytest.param(lambda n: 106.0 if n < 3 else 100.0, {"indexes_are_hardly_revised"}, id="3 of 100 move"),
        pytest.param(lambda n: 105.0, set(), id="all move by 5 %"),
        pytest.param(lambda n: 105.1, {"indexes_are_hardly_revised"}, id="all move by more"),
    ],
)
def test_indexes_of_the_last_vintage(tmp_path: Path, change: Change, expected: set[str]) -> None:
    assert failed(tmp_path, change, index_measures=("VALUE",), level_measures=()) == expected
