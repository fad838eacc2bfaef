"""From rows to a staged table: each row is loaded or rejected once, by the first rule that it breaks."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.errors import BadReplyError
from extract.offices.base import in_slice, ready
from extract.parsing import OTHER_VINTAGE, Codes, Counts, Finding, Rows, land_observations
from extract.registry import get_dataset
from extract.slices import Slice

DATASET = get_dataset("cbs_85429ned")
KNOWN = "D001636"
Row = tuple[int, str | None, str | None, str | None]


def rows_of(values: list[Row], **changes: Any) -> Rows:
    """Return rows of request, partner, period and value, with two rules."""
    listed = ", ".join(
        f"({number}, {', '.join('null' if text is None else repr(text) for text in texts)})"
        for number, *texts in values
    )
    source = (
        f"select * from (values {listed}) as t(request_no, p, m, v)"
        if values
        else "select 0 as request_no, null as p, null as m, null as v limit 0"
    )
    expressions = {
        "partner": "p",
        "product": "'A018678'",
        "period": "m",
        "measure": f"'{KNOWN}'",
        "value": "try_cast(v as double)",
        "status": "null::varchar",
        "confidentiality": "null::varchar",
    }
    rules = (("p is null", "missing_key"), ("v is not null and try_cast(v as double) is null", "not_a_number"))
    doubt = "partner is null or value is null"
    return Rows(**{"open": ready(source), "columns": expressions, "rules": rules, "doubt": doubt, **changes})


def land(
    folder: Path, rows: Rows, declared: Codes | None = None, before: Codes | None = None
) -> tuple[Counts, list[Finding]]:
    with duckdb.connect() as connection:
        return land_observations(
            connection, DATASET, rows, "load", folder, declared=declared or {}, codes_before=lambda _: before or {}
        )


def read(folder: Path, table: str, columns: str = "*") -> list[Any]:
    with duckdb.connect() as connection:
        return connection.sql(f"select {columns} from '{folder}/{table}.parquet' order by all").fetchall()


def test_good_rows_are_loaded_as_new_with_their_request(tmp_path: Path) -> None:
    counts, findings = land(tmp_path, rows_of([(0, "a", "2026MM01", "1"), (3, "b", "2026MM01", None)]))
    assert (counts, findings) == (Counts(2, 2, 0), [])
    assert read(tmp_path, "observations", "load_id, request_no, change_kind, partner, value") == [
        ("load", 0, "new", "a", 1.0),
        ("load", 3, "new", "b", None),
    ]
    assert read(tmp_path, "rejects") == []


def test_row_that_breaks_two_rules_is_rejected_once_by_the_first(tmp_path: Path) -> None:
    counts, findings = land(tmp_path, rows_of([(0, None, "2026MM01", "x"), (0, "a", "2026MM01", "1")]))
    assert counts == Counts(2, 1, 1)
    ((_, number, rule, content),) = read(tmp_path, "rejects")
    assert (number, rule) == (0, "missing_key")
    assert json.loads(content) == {"request_no": 0, "p": None, "m": "2026MM01", "v": "x"}
    assert findings == []


def test_rule_added_later_comes_first(tmp_path: Path) -> None:
    rows = rows_of([(0, None, "2026MM01", "1")]).refusing("true", "unit_change")
    land(tmp_path, rows)
    assert read(tmp_path, "rejects", "rule") == [("unit_change",)]


def test_row_outside_the_slice_counts_neither_as_read_nor_as_rejected(tmp_path: Path) -> None:
    rows = rows_of([(0, "a", "2026MM01", "1"), (0, "b", "2026MM01", "x")], in_slice="p = 'a'")
    assert land(tmp_path, rows)[0] == Counts(1, 1, 0)


def test_no_rows_make_an_empty_load(tmp_path: Path) -> None:
    assert land(tmp_path, rows_of([])) == (Counts(0, 0, 0), [])
    assert read(tmp_path, "observations") == read(tmp_path, "rejects") == []


def test_row_of_another_release_stops_the_load(tmp_path: Path) -> None:
    rows = rows_of([(0, "a", "2026MM01", "1"), (0, "b", "2026MM01", "2")]).refusing("p = 'b'", OTHER_VINTAGE)
    with pytest.raises(BadReplyError, match="1 of 2 rows carry another stamp") as caught:
        land(tmp_path, rows)
    assert caught.value.next_step


def test_malformed_lines_are_rejected_with_the_others(tmp_path: Path) -> None:
    rows = rows_of([(0, None, "2026MM01", "1"), (0, "a", "2026MM01", "1")], malformed="select 4, 'half a li'")
    assert land(tmp_path, rows)[0] == Counts(3, 1, 2)
    assert read(tmp_path, "rejects", "request_no, rule") == [(0, "missing_key"), (4, "malformed_line")]


def test_rows_are_opened_again_only_if_some_are_rejected(tmp_path: Path) -> None:
    opened: list[int] = []

    def counted(rows: Rows) -> Rows:
        @contextmanager
        def give() -> Any:
            opened.append(1)
            with rows.open() as source:
                yield source

        return Rows(give, rows.columns, rows.rules, rows.doubt)

    land(tmp_path, counted(rows_of([(0, "a", "2026MM01", "1")])))
    assert len(opened) == 1
    land(tmp_path, counted(rows_of([(0, None, "2026MM01", "1")])))
    # Two more passes: one applies the rules to every row, one reads the rows themselves.
    assert len(opened) == 4


def test_codes_of_rejected_rows_and_periods_are_not_checked(tmp_path: Path) -> None:
    rows = rows_of([(0, "a", "2031MM01", "1"), (0, "zz", "2026MM01", "x")])
    _, findings = land(tmp_path, rows, declared={"partner": frozenset({"a"})}, before={"period": frozenset({"y"})})
    assert [(f.rule, f.subject) for f in findings] == [("type_change", "value")]


def test_many_new_codes_are_counted_and_partly_named(tmp_path: Path) -> None:
    rows = rows_of([(0, f"c{number:02d}", "2026MM01", "1") for number in range(23)])
    _, (finding,) = land(tmp_path, rows, declared={"partner": frozenset()}, before={"partner": frozenset({"c00"})})
    assert (finding.rule, finding.mode) == ("new_code", "warn")
    assert finding.detail.startswith("22: c01, c02")
    assert finding.detail.endswith("and 2 more")


def test_codes_covered_by_a_pattern_are_not_new(tmp_path: Path) -> None:
    rows = rows_of([(0, code, "2026MM01", "1") for code in ("US", "INT_EA22", "EU", "QZ")])
    _, (finding,) = land(tmp_path, rows, declared={"partner": frozenset({"US", "EU", "???*"})})
    assert (finding.rule, finding.detail, finding.mode) == ("new_code", "1: QZ", "warn")


texts = st.sampled_from([None, "a", "b"])
numbers = st.sampled_from([None, "1", "2.5", "x", "1,5", "", "1e3"])


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.tuples(st.integers(0, 3), texts, st.just("2026MM01"), numbers), max_size=12))
def test_every_row_is_loaded_or_rejected(tmp_path_factory: pytest.TempPathFactory, values: list[Row]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    counts, _ = land(folder, rows_of(values))

    def is_good(row: Row) -> bool:
        return row[1] is not None and row[3] not in ("x", "1,5", "")

    good = sum(map(is_good, values))
    assert counts == Counts(len(values), good, len(values) - good)
    assert len(read(folder, "observations")) == good
    assert len(read(folder, "rejects")) == len(values) - good


def test_in_slice_filters_by_codes_prefixes_reporter_and_selection() -> None:
    eurostat = get_dataset("eurostat_ds_045409")
    part = Slice(eurostat.code, "NL", "2025-01", products=("72", "76*"), partners=("US",))
    condition = in_slice(eurostat, part)
    with duckdb.connect() as connection:
        connection.execute(
            "create table r as select * from (values"
            " ('VALUE_IN_EUROS', 'US', '72', 'NL', 'M', '2'), ('VALUE_IN_EUROS', 'US', '7601', 'NL', 'M', '2'),"
            " ('VALUE_IN_EUROS', 'US', '7201', 'NL', 'M', '2'), ('VALUE_IN_EUROS', 'DE', '72', 'NL', 'M', '2'),"
            " ('VALUE_IN_EUROS', 'US', '72', 'DE', 'M', '2'), ('VALUE_IN_EUROS', 'US', '72', 'NL', 'A', '2'),"
            " ('VALUE_IN_EUROS', 'US', '72', 'NL', 'M', '1'), ('OTHER', 'US', '72', 'NL', 'M', '2'))"
            " as t(measure, partner, product, reporter, freq, flow)"
        )
        found = connection.sql(f"select product from r where {condition} order by 1").fetchall()
    assert found == [("72",), ("7601",)]
