"""Real series against their own history: no month of 2008-09 or 2020 is an alarm, and a planted error is one."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from expectations.history.findings import prepare_history
from expectations.landing import landing_checks
from tests.fault.loads import passes
from tests.unit.gate_inputs import monthly_cells

SERIES = Path(__file__).resolve().parents[1] / "specimens" / "history" / "ds-059331-exports-by-section.csv"
# One month in 26, and those in which real trade fell most.
MONTHS = [f"{year}-{month:02d}" for year in range(2008, 2021) for month in range(1, 13)]
TRIED = sorted({*MONTHS[::26], "2008-11", "2009-01", "2020-03", "2020-04", "2020-05"})
BEFORE = "strftime(date '{month}-01' - interval {n} month, '%Y-%m')"


def findings(folder: Path, month: str, load: str = "from series") -> list[str]:
    """Return the checks that a month fails when it is loaded after the previous 24 months."""
    previous, observations = folder / "previous.parquet", folder / "observations.parquet"
    first = BEFORE.format(month=month, n=24)
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            create table series as
            select left(name, 2) as partner, name[4:] as product, 'VALUE' as measure, period, value::double as value
            from (unpivot (select month as period, * exclude (month) from '{SERIES}') on * exclude (period))
            """
        )
        connection.execute(
            f"copy (select *, null::double as superseded_value, '2026-01-01T00:00:00' as vintage_at from series"
            f" where period >= {first} and period < '{month}') to '{previous}' (format parquet)"
        )
        connection.execute(
            f"copy (select * from ({load}) where period >= {first} and period <= '{month}')"
            f" to '{observations}' (format parquet)"
        )
    gate = monthly_cells(folder, positive_measures=("VALUE",), history_measures=("VALUE",))
    with duckdb.connect() as connection:
        connection.execute(f"create view observations as from '{observations}'")
        connection.execute(f"create view previous as from '{previous}'")
        prepare_history(connection, gate)
        checks = [check for check in landing_checks(gate) if check.table.startswith("history_")]
        return [check.name for check in checks if not passes(connection, check)]


@pytest.mark.parametrize("month", TRIED)
def test_real_month_raises_no_alarm(tmp_path: Path, month: str) -> None:
    assert findings(tmp_path, month) == []


@pytest.mark.parametrize("month", ["2009-01", "2014-08", "2020-04"])
@pytest.mark.parametrize(
    ("load", "check"),
    [
        ("select * replace (if(period = '{month}', 10 * value, value) as value) from series", "level"),
        ("select * replace (if(period = '{month}', value / 1000, value) as value) from series", "level"),
        (
            "select * replace (if(period = '{month}', translate(partner, 'DEFRIST', 'FRDEIST'), partner) as partner)"
            " from series",
            "structure",
        ),
        (
            "select * replace ('{month}' as period) from series where period = {before}"
            " union all from series where period < '{month}'",
            "copies",
        ),
        ("select * replace (10 * value as value) from series", "restated"),
    ],
)
def test_planted_error_is_found(tmp_path: Path, month: str, load: str, check: str) -> None:
    planted = load.format(month=month, before=BEFORE.format(month=month, n=1))
    assert any(check in name for name in findings(tmp_path, month, planted))
