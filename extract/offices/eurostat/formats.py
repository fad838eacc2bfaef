"""Eurostat's formats of observations: SDMX-CSV, TSV (current and until 2023) and JSON-stat 2.0.

The format is detected from a reply's first bytes. Columns are taken by name, values are read as text, and each row
becomes the office's dimensions, the value and its flags.
"""

from __future__ import annotations

import csv
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from common.sql import number, quote, sql_tuple, text_list
from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.offices.base import Files, in_slice, ready, request_number
from extract.offices.eurostat.faults import read_fault
from extract.parsing import OTHER_VINTAGE, Finding, Rows
from extract.replies import UnreadableError, csv_fields, member, of_kind, read_json, read_object
from extract.slices import Slice
from extract.verdicts import Verdict, head_of, is_gzip, is_whole_gzip, tail_of

BRUSSELS = ZoneInfo("Europe/Brussels")
CSV, TSV, JSON_STAT = "SDMX-CSV", "TSV", "JSON-stat"
# Columns other than dimensions and attributes.
_CSV_FRAME = ("DATAFLOW", "LAST UPDATE", "OBS_VALUE")
_ATTRIBUTES = ("OBS_FLAG", "CONF_STATUS")
_LOOK = "look at the reply in the raw store; if Eurostat changed its formats, adapt extract/offices/eurostat/formats.py"
_CHANGED = "Eurostat changed the layout: compare with the registry file's dimensions"
_BOM = b"\xef\xbb\xbf"


def last_update_text(moment: datetime) -> str:
    """Format a moment as in column ``LAST UPDATE``: Brussels time, two-digit year."""
    return moment.astimezone(BRUSSELS).strftime("%d/%m/%y %H:%M:%S")


def format_of(path: Path) -> str:
    """Return the format of a body, empty if it is not a format of observations."""
    head = head_of(path).removeprefix(_BOM).lstrip()
    first = head.split(b"\n", 1)[0]
    if head.startswith((b"DATAFLOW", b'"DATAFLOW"', b"STRUCTURE,", b'"STRUCTURE"')):
        return CSV
    if b"\t" in first and re.search(rb"\\(TIME_PERIOD|time)\b", first):
        return TSV
    if head.startswith(b"{"):
        return JSON_STAT
    return ""


def inspect_data(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete reply of observations, ignoring the content type; return faults as such."""
    if is_gzip(path) and not is_whole_gzip(path):
        return Verdict("the gzip file is cut off or broken", retryable=True)
    if fault := read_fault(path):
        return fault
    head = head_of(path).removeprefix(_BOM).lstrip()
    if head.startswith(b"<"):
        return Verdict(f"XML instead of data: {head[:200]!r}", retryable=False, next_step=_LOOK)
    kind = format_of(path)
    if not kind:
        reason = f"not data (content type {content_type!r}): {head[:120]!r}"
        return Verdict(reason, retryable=False, next_step=_LOOK)
    if kind == JSON_STAT:
        return _inspect_json_stat(path)
    # A gzip file is complete by its checksum; only plain text can be truncated unnoticed.
    if not is_gzip(path) and not tail_of(path, 2).endswith(b"\n"):
        return Verdict(f"the {kind} is cut off in its last line", retryable=True)
    return None


def _inspect_json_stat(path: Path) -> Verdict | None:
    try:
        content = read_json(path)
    except UnreadableError as error:
        return Verdict.of(error, _LOOK)
    if not isinstance(content, dict):
        return Verdict(f"not JSON-stat: {head_of(path, 120)!r}", retryable=False, next_step=_LOOK)
    missing = [name for name in ("id", "size", "dimension", "value") if name not in content]
    return Verdict(f"not JSON-stat: it lacks {missing}", retryable=False, next_step=_LOOK) if missing else None


def csv_header(path: Path) -> list[str]:
    """Return the column names of a CSV body, without byte order mark and carriage return."""
    first_line = head_of(path).decode("utf-8-sig", errors="replace").splitlines()[0]
    return csv_fields(first_line)


def check_header(path: Path, url: str, dataset: Dataset) -> list[str]:
    """Return the column names of a CSV body after checking that no expected one is missing.

    Raises
    ------
    BadReplyError
        Naming the columns that are missing.
    """
    header = csv_header(path)
    missing = [name for name in (*_CSV_FRAME, *dataset.dimensions) if name not in header]
    if missing:
        raise BadReplyError(
            f"the reply lacks the columns {missing}; it has {header}",
            dataset=dataset.code,
            where=url,
            next_step=_CHANGED,
        )
    return header


def first_stamp(path: Path) -> str:
    """Return a reply's stamp of the last update; empty if its format has none or it has no rows."""
    kind = format_of(path)
    if kind == JSON_STAT:
        return str(read_object(path).get("updated", ""))
    if kind != CSV or "LAST UPDATE" not in csv_header(path):
        return ""
    lines = head_of(path, 1 << 16).decode("utf-8-sig", errors="replace").splitlines()
    rows = list(csv.reader(lines[:2]))
    position = rows[0].index("LAST UPDATE")
    return rows[1][position] if len(rows) > 1 and len(rows[1]) > position else ""


def rows(dataset: Dataset, part: Slice, version: str, files: Files) -> tuple[Rows, list[Finding]]:
    """Return the rows of stored replies.

    Parameters
    ----------
    dataset, part
        The dataset and the slice.
    version : str
        ``LAST UPDATE`` of the load; rows with a different one are of another release.
    files : list of (Payload, Path)
        The replies, in request order.

    Raises
    ------
    BadReplyError
        If a reply lacks a column, or its columns differ from the first reply's.
    """
    findings: list[Finding] = []
    queries: list[str] = []
    by_kind: dict[tuple[str, bool], Files] = {}
    numbers = {id(entry): number for number, entry in enumerate(files)}
    for entry in files:
        by_kind.setdefault((format_of(entry[1]), is_gzip(entry[1])), []).append(entry)
    for (kind, is_packed), group in by_kind.items():
        numbered = [(numbers[id(entry)], entry[1]) for entry in group]
        if kind == CSV:
            header = _one_header(dataset, group)
            findings += _layout_findings(dataset, header)
            queries.append(_csv_query(dataset, header, numbered, is_packed=is_packed))
        else:
            make = _tsv_query if kind == TSV else _json_stat_query
            queries += [make(dataset, number, path) for number, path in numbered]
    source = " union all by name ".join(f"({query})" for query in queries)
    expressions = {column: f'"{name}"' for name, column in dataset.dimensions.items()}
    expressions |= {
        "value": number("value_text", dataset.value_limit),
        "status": "nullif(obs_flag, '')",
        "confidentiality": "nullif(conf_status, '')",
    }
    keys = " or ".join(f"{expressions[column]} is null" for column in dataset.dimensions.values())
    columns = dataset.dimensions.values()
    doubt = (
        f"{' or '.join(f'{column} is null' for column in columns)} or value is null"
        f" or measure not in {sql_tuple(dataset.measure_codes)}"
        f" or not regexp_full_match(period, {quote(dataset.period_pattern)})"
    )
    rules = (
        (keys, "missing_key"),
        (f"not regexp_full_match({expressions['period']}, {quote(dataset.period_pattern)})", "unknown_period"),
        (f"{expressions['measure']} not in {sql_tuple(dataset.measure_codes)}", "unknown_measure"),
        (f"value_text is not null and {expressions['value']} is null", "not_a_number"),
        ("value_text is null and concat(obs_flag, conf_status) = ''", "value_missing_without_reason"),
    )
    asked = "true"
    if part.recorded_urls:
        # A recording can hold more than the slice (imports, other reporters); a live reply cannot.
        asked = in_slice(dataset, part)
        for column, expression in expressions.items():
            asked = re.sub(rf"\b{column}\b(?= in | = |,)", lambda _, e=expression: str(e), asked)  # type: ignore[misc]
    malformed = ""
    if any(kind == CSV for kind, _ in by_kind):
        text_files = [(number, path) for number, (_, path) in enumerate(files)]
        malformed = f"""
            select {request_number(text_files, "scans.file_path")}::integer, min(errors.csv_line)
            from reject_errors as errors
            join reject_scans as scans on scans.scan_id = errors.scan_id and scans.file_id = errors.file_id
            group by scans.file_path, errors.line
            order by all
        """
    found = Rows(ready(source), expressions, rules, doubt, in_slice=asked, malformed=malformed)
    return found.refusing(f"last_update is not null and last_update != {quote(version)}", OTHER_VINTAGE), findings


def _one_header(dataset: Dataset, files: Files) -> list[str]:
    header = check_header(files[0][1], files[0][0].url, dataset)
    for payload, path in files[1:]:
        if check_header(path, payload.url, dataset) != header:
            raise BadReplyError(
                f"the reply has other columns than the load's first one: {csv_header(path)}, not {header}",
                dataset=dataset.code,
                where=payload.url,
                next_step="load it again; Eurostat changed the layout in between",
            )
    return header


def _layout_findings(dataset: Dataset, header: list[str]) -> list[Finding]:
    known = {*_CSV_FRAME, *_ATTRIBUTES, *dataset.dimensions}
    new = [
        Finding("new_column", name, "a column that is not declared", dataset.contract.new_column)
        for name in header
        if name not in known
    ]
    # Comext has no flags; on the main host they are part of the observation.
    expected = () if dataset.is_comext else _ATTRIBUTES
    return new + [
        Finding("missing_column", name, "a column of flags that is no longer there", dataset.contract.missing_column)
        for name in expected
        if name not in header
    ]


def _csv_query(dataset: Dataset, header: list[str], files: list[tuple[int, Path]], *, is_packed: bool) -> str:
    types = "{" + ", ".join(f"{quote(name)}: 'VARCHAR'" for name in header) + "}"
    flags = ", ".join(
        f'"{name}" as {alias}' if name in header else f"cast(null as varchar) as {alias}"
        for name, alias in zip(_ATTRIBUTES, ("obs_flag", "conf_status"), strict=True)
    )
    dimensions = ", ".join(f'"{name}"' for name in dataset.dimensions)
    # Read as text: `01` is a product code, and an unparsable value must reject its row, not fail the file.
    return f"""
        select {request_number(files, "data.filename")} as request_no, "LAST UPDATE" as last_update, {dimensions},
            "OBS_VALUE" as value_text, {flags}
        from read_csv({text_list(path for _, path in files)}, header = true, auto_detect = false, columns = {types},
            delim = ',', quote = '"', filename = true, store_rejects = true, rejects_limit = 0,
            compression = '{"gzip" if is_packed else "none"}') as data
    """


def _tsv_query(dataset: Dataset, number: int, path: Path) -> str:
    """Return the SQL of a wide TSV's rows. A colon is an absent cell; flags and ``@confidentiality`` follow a blank."""
    header = head_of(path, 1 << 20).decode("utf-8-sig", errors="replace").splitlines()[0].split("\t")
    names = re.sub(r"\\(TIME_PERIOD|time)\s*$", "", header[0].strip()).split(",")
    period = dataset.period_dimension
    constants = {name: codes[0] for name, codes in dataset.select.items() if name not in names and len(codes) == 1}
    missing = [n for n in dataset.dimensions if n != period and n not in names and n not in constants]
    if missing:
        raise BadReplyError(
            f"the reply lacks the dimensions {missing}; it has {names}",
            dataset=dataset.code,
            where=str(path),
            next_step=_CHANGED,
        )
    columns = [f"c{i}" for i in range(len(header))]
    types = "{" + ", ".join(f"'{column}': 'VARCHAR'" for column in columns) + "}"
    cells = ", ".join(
        f"{{'period': {quote(label.strip())}, 'text': trim({column})}}"
        for label, column in zip(header[1:], columns[1:], strict=True)
    )
    keys = ", ".join(
        f'{quote(constants[name])} as "{name}"'
        if name in constants
        else f'if(len(key) = {len(names)}, key[{names.index(name) + 1}], null) as "{name}"'
        for name in dataset.dimensions
        if name != period
    )
    packed = "gzip" if is_gzip(path) else "none"
    return f"""
        select {number} as request_no, cast(null as varchar) as last_update, {keys}, cell.period as "{period}",
            nullif(
                case when regexp_full_match(cell.text, '(:|[^ ]*[0-9])[a-zA-Z ]*(@[A-Z]*)?')
                then regexp_extract(cell.text, '^(:|[^ ]*[0-9])', 1) else cell.text end, ':'
            ) as value_text,
            trim(regexp_extract(cell.text, '([a-zA-Z ]*)(@[A-Z]*)?$', 1)) as obs_flag,
            regexp_extract(cell.text, '@([A-Z]*)$', 1) as conf_status
        from (
            select string_split(c0, ',') as key, unnest([{cells}]) as cell
            from read_csv({quote(str(path))}, header = false, skip = 1, auto_detect = false, columns = {types},
                delim = '\t', quote = '', compression = '{packed}')
        )
        where cell.text not in (':', '')
    """


def _json_stat_query(dataset: Dataset, number: int, path: Path) -> str:
    """Return the SQL of JSON-stat rows: sparse cells, numbered with the last dimension varying fastest.

    Raises
    ------
    UnreadableError
        If cells and dimensions do not match: cells would get the codes of others.
    """
    content = read_object(path)
    names = [of_kind(name, str, "a name in 'id'", path) for name in member(content, "id", list, path)]
    sizes = [of_kind(size, int, "a 'size'", path) for size in member(content, "size", list, path)]
    if len(names) != len(sizes) or len({*names}) != len(names):
        raise UnreadableError(f"the reply has another shape: the dimensions {names} have the sizes {sizes}", path)
    period = dataset.period_dimension
    # The time dimension is called `time` here, and TIME_PERIOD in SDMX.
    wanted = {name: ("time" if name == period and period not in names else name) for name in dataset.dimensions}
    missing = [name for name, own in wanted.items() if own not in names]
    if missing:
        raise BadReplyError(
            f"the reply lacks the dimensions {missing}; it has {names}",
            dataset=dataset.code,
            where=str(path),
            next_step=_CHANGED,
        )
    strides, size = {}, 1
    codes = {name: _codes_of(content, name, count, path) for name, count in zip(names, sizes, strict=True)}
    for name, count in reversed(list(zip(names, sizes, strict=True))):
        strides[name] = (size, count)
        size *= count
    keys = []
    for name, own in wanted.items():
        stride, count = strides[own]
        keys.append(f'{text_list(codes[own])}[(position // {stride}) % {max(count, 1)} + 1] as "{name}"')
    updated = str(content.get("updated", ""))
    cells = _cells_of(content, "value", size, path)
    flags = _cells_of(content, "status", size, path)
    positions = sorted({place for place, value in cells.items() if value is not None} | {*flags})

    def cell(position: int) -> str:
        # Status is "flag|confidentiality"; PRODCOM writes ":C" instead of a value.
        flag, _, confidentiality = (flags.get(position) or "").partition("|")
        return ", ".join([str(position), *map(_literal, (cells.get(position), flag, confidentiality))])

    entries = ", ".join(f"({cell(position)})" for position in positions)
    stamp = _literal(updated and _as_last_update(updated))
    table = f"(values {entries})" if entries else "(select null, null, null, null where false)"
    return f"""
        select {number} as request_no, {stamp} as last_update, {", ".join(keys)},
            nullif(nullif(trim(text), ':C'), ':') as value_text, nullif(flag, '') as obs_flag,
            coalesce(nullif(confidentiality, ''), case when text = ':C' then 'C' end) as conf_status
        from (select position::bigint as position, text::varchar as text, flag::varchar as flag,
            confidentiality::varchar as confidentiality from {table} as t(position, text, flag, confidentiality))
    """


def _codes_of(content: dict[str, Any], name: str, count: int, path: Path) -> list[str]:
    """Return the codes of a dimension in index order, as many as its size."""
    dimension = member(member(content, "dimension", dict, path), name, dict, path)
    index = member(dimension, "category", dict, path).get("index")
    if isinstance(index, dict):
        places = {of_kind(place, int, "an index", path): code for code, place in index.items()}
        codes = [places[place] for place in range(min(count, len(places))) if place in places]
    else:
        codes = of_kind(index, list, "'index'", path)
    if len(codes) != count or any(not isinstance(code, str) for code in codes) or len({*codes}) != count:
        raise UnreadableError(
            f"the reply has another shape: {name!r} of size {count} has the codes {index}"[:400], path
        )
    return codes


def _cells_of(content: dict[str, Any], name: str, size: int, path: Path) -> dict[int, Any]:
    """Return values or flags by position, each below the number of cells."""
    cells = content.get(name, {})
    if isinstance(cells, list):
        found, is_right = dict(enumerate(cells)), len(cells) == size
    else:
        keys = of_kind(cells, dict, repr(name), path)
        is_right = all(key.isascii() and key.isdecimal() and len(key) < 19 and int(key) < size for key in keys)
        found = {int(key): value for key, value in keys.items()} if is_right else {}
    if not is_right or len(found) != len(cells):
        raise UnreadableError(f"the reply has another shape: {name!r} does not fit into {size:,} cells", path)
    if name == "status":
        found = {place: flag for place, flag in found.items() if flag is not None}
        for flag in found.values():
            of_kind(flag, str, "a flag", path)
    return found


def _as_last_update(updated: str) -> str:
    """Format the stamp of JSON-stat as in SDMX-CSV, so that one load can hold both."""
    return last_update_text(datetime.fromisoformat(updated))


def _literal(value: Any) -> str:
    return "null" if value is None or value == "" else quote(str(value))
