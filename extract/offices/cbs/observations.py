"""The SQL that reads stored observations as rows: pages of v4 and v3, and the bulk zip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from common.sql import identifier, number, quote, sql_tuple
from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.offices.base import (
    Fetched,
    Files,
    in_slice,
)
from extract.offices.cbs.measures import declared, v3_topics, v4_measures
from extract.offices.cbs.replies import (
    OBSERVATION_FIELDS,
    REDESIGNED,
    V3,
    ZIP,
    check_observation_fields,
    page_rows,
    unpadded,
    zip_header,
)
from extract.parsing import Finding, Rows
from extract.replies import (
    is_flat,
)
from extract.slices import Slice
from extract.streams import (
    piped,
    write_zip_members,
    zip_members,
)


def _expressions(dataset: Dataset, columns: dict[str, str], measure: str, value: str, status: str) -> dict[str, str]:
    return {
        **columns,
        "measure": measure,
        "value": number(value, dataset.value_limit),
        "status": f"nullif({status}, 'None')",
        "confidentiality": "cast(null as varchar)",
    }


def _rules(
    dataset: Dataset, expressions: dict[str, str], value: str, status: str, *, is_flat: bool
) -> tuple[tuple[str, str], ...]:
    keys = " or ".join(f"{expressions[column]} is null" for column in (*dataset.columns, "measure"))
    period = expressions["period"]
    has_value = f"nullif({value}, '') is not null"
    texts = [expressions[column] for column in (*dataset.columns, "measure")]
    return (
        (keys, "missing_key"),
        *(() if is_flat else ((_is_no_text(*texts, status), "malformed_line"),)),
        (f"not regexp_full_match({period}, {quote(dataset.period_pattern)})", "unknown_period"),
        (f"{expressions['measure']} not in {sql_tuple(dataset.measure_codes)}", "unknown_measure"),
        (f"{has_value} and {expressions['value']} is null", "not_a_number"),
        (f"not ({has_value}) and coalesce({status}, 'None') = 'None'", "value_missing_without_reason"),
    )


def _are_flat(pages: list[tuple[int, Path]]) -> bool:
    """True if no row can hold a list or an object; checked once per page, as a check per row costs more."""
    return all(is_flat(path.read_bytes()) for _, path in pages)


def _is_no_text(*expressions: str) -> str:
    """Return the condition of a row with a list or an object instead of a text; DuckDB casts it to JSON text."""
    return " or ".join(f"starts_with({one}, '[') or starts_with({one}, '{{')" for one in expressions)


def _doubt(dataset: Dataset, *, is_flat: bool) -> str:
    keys = " or ".join(f"{column} is null" for column in (*dataset.columns, "measure"))
    nested = "" if is_flat else f" or {_is_no_text(*dataset.columns, 'measure', 'status')}"
    return (
        f"{keys} or value is null or measure not in {sql_tuple(dataset.measure_codes)}"
        f" or not regexp_full_match(period, {quote(dataset.period_pattern)}){nested}"
    )


def _substitute(condition: str, expressions: dict[str, str]) -> str:
    """Rewrite a condition on landing columns in terms of the reply's columns."""
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, expressions)) + r")\b(?= in | = |,)")
    return pattern.sub(lambda match: expressions[match[1]], condition)


def read_observations(dataset: Dataset, part: Slice, fetched: Fetched, files: Files) -> tuple[Rows, list[Finding]]:
    """Return the SQL that reads stored replies as rows: pages of JSON, the bulk zip, or pages of v3."""
    pages = [(no, path) for no, (payload, path) in enumerate(files) if payload.purpose == "observations"]
    measures = next(path for payload, path in files if payload.purpose == "measures")
    if fetched.protocol == V3:
        return _v3_rows(dataset, pages, v3_topics(measures, dataset)), []
    codes = v4_measures(measures, dataset)
    if fetched.protocol == ZIP:
        return _zip_rows(dataset, part, pages[0], codes)
    findings = [
        Finding("new_column", name, "a field of observations that is not declared", dataset.contract.new_column)
        for name in sorted({name for _, path in pages for name in check_observation_fields(path, dataset)})
    ]
    read = ("Measure", "ValueAttribute", "Value", *dataset.dimensions)
    columns = {column: unpadded(dimension) for dimension, column in dataset.dimensions.items()}
    measure = declared(unpadded("Measure"), codes)
    expressions = _expressions(dataset, columns, measure, '"Value"', '"ValueAttribute"')
    # A recorded reply can hold more measures than the slice; a live reply cannot.
    asked = f"{expressions['measure']} in {sql_tuple(dataset.measure_codes)}" if part.recorded_urls else "true"
    flat = _are_flat(pages)
    rules = _rules(dataset, expressions, '"Value"', '"ValueAttribute"', is_flat=flat)
    doubt = _doubt(dataset, is_flat=flat)
    return Rows(page_rows(pages, read), expressions, rules, doubt, in_slice=asked), findings


def _zip_rows(
    dataset: Dataset, part: Slice, page: tuple[int, Path], codes: Mapping[str, str]
) -> tuple[Rows, list[Finding]]:
    number, path = page
    members = zip_members(path, "Observations")
    header = zip_header(path, members, dataset)
    expected = (*OBSERVATION_FIELDS, *dataset.dimensions)
    missing = sorted({*expected} - {*header})
    if missing:
        raise BadReplyError(
            f"{members[0]} lacks the columns {missing}; it has {header}",
            dataset=dataset.code,
            where=str(path),
            next_step=REDESIGNED,
        )
    findings = [
        Finding("new_column", name, f"a column of {members[0]}", dataset.contract.new_column)
        for name in header
        if name not in expected
    ]
    types = "{" + ", ".join(f"{quote(name)}: 'VARCHAR'" for name in header) + "}"

    @contextmanager
    def unpack() -> Iterator[str]:
        with piped(lambda output: write_zip_members(path, members, output)) as (pipe,):
            yield f"""
                select {number} as request_no, o.*
                from read_csv({quote(str(pipe))}, header = true, auto_detect = false, columns = {types},
                    delim = ';', quote = '"', store_rejects = true, rejects_limit = 0) as o
            """

    columns = {column: f'trim("{dimension}")' for dimension, column in dataset.dimensions.items()}
    # The bulk files have a decimal comma and no thousands separator.
    measure = declared('trim("Measure")', codes)
    expressions = _expressions(dataset, columns, measure, "replace(\"Value\", ',', '.')", '"ValueAttribute"')
    slice_rows = _substitute(in_slice(dataset, part), expressions)
    rules = _rules(dataset, expressions, "replace(\"Value\", ',', '.')", '"ValueAttribute"', is_flat=True)
    doubt = _doubt(dataset, is_flat=True)
    malformed = f"select {number}, min(csv_line) from reject_errors group by scan_id, file_id, line order by line"
    return Rows(unpack, expressions, rules, doubt, in_slice=slice_rows, malformed=malformed), findings


def _v3_rows(dataset: Dataset, pages: list[tuple[int, Path]], topics: dict[str, str]) -> Rows:
    cells = ", ".join(f"{{'code': {quote(code)}, 'text': {identifier(topic)}}}" for topic, code in topics.items())
    keys = ", ".join(f'"{name}"' for name in dataset.dimensions)
    rows_of = page_rows(pages, (*dataset.dimensions, *topics))

    @contextmanager
    def cells_of() -> Iterator[str]:
        with rows_of() as source:
            # An unpublished cell is null in v3 and absent in v4; here it is absent.
            yield f"""
                select * exclude (cell), cell.code as measure_code, trim(cell.text) as value_text
                from (select request_no, {keys}, unnest([{cells}]) as cell from ({source}))
                where cell.text is not null
            """

    columns = {column: f'trim("{dimension}")' for dimension, column in dataset.dimensions.items()}
    expressions = _expressions(dataset, columns, "measure_code", "value_text", "null::varchar")
    flat = _are_flat(pages)
    rules = _rules(dataset, expressions, "value_text", "null::varchar", is_flat=flat)
    return Rows(cells_of, expressions, rules, _doubt(dataset, is_flat=flat))
