"""Faults in the data: wrong units, values, partners and totals."""

from __future__ import annotations

from decimal import Decimal

from simulator.faults.registry import RECORD_SPOILERS, ROW_SPOILERS, Fault, Records, Rows, register


@register(RECORD_SPOILERS, "unit")
def _unit_of_measures(fault: Fault, records: Records) -> bool:
    """The unit of the main measures differs from the contract."""
    in_millions = [record for record in records if record.get("Unit") == "mln euro"]
    for record in in_millions:
        record["Unit"] = "1 000 euro"
    return bool(in_millions)


@register(ROW_SPOILERS, "unit")
def _unit_in_code(fault: Fault, rows: Rows) -> bool:
    """The unit of the main measures differs from the contract."""
    if rows.renamed_indicator is None:
        return False
    right, wrong = rows.renamed_indicator
    return rows.change(f"update {rows.table} set {rows.indicator} = ? where {rows.indicator} = ?", [wrong, right])


@register(ROW_SPOILERS, "duplicate_key")
def _duplicate_key(fault: Fault, rows: Rows) -> bool:
    """One row is served twice."""
    position = rows.pick()
    return position is not None and rows.change(
        f"insert into {rows.table} select * from {rows.table} where position = ?", [position]
    )


@register(ROW_SPOILERS, "missing_partners")
def _missing_partners(fault: Fault, rows: Rows) -> bool:
    """``partners`` (the largest ones) are missing; the totals remain."""
    return rows.change(
        f"delete from {rows.table} where list_contains(?, {rows.partner})",
        [list(fault.options.get("partners", rows.large_partners))],
    )


@register(ROW_SPOILERS, "negative_value")
def _negative_value(fault: Fault, rows: Rows) -> bool:
    """One value has a minus sign."""
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.value} = '-' || {rows.value} where position = ?", [position]
    )


@register(ROW_SPOILERS, "bad_number")
def _bad_number(fault: Fault, rows: Rows) -> bool:
    """One value is the text abc."""
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.value} = 'abc' where position = ?", [position]
    )


@register(ROW_SPOILERS, "unknown_partner")
def _unknown_partner(fault: Fault, rows: Rows) -> bool:
    """One partner has a code that is in no code list."""
    position = rows.pick()
    return position is not None and rows.change(
        f"update {rows.table} set {rows.partner} = ? "
        f"where {rows.partner} = (select {rows.partner} from {rows.table} where position = ?)",
        [rows.unknown_partner, position],
    )


@register(ROW_SPOILERS, "wrong_total")
def _wrong_total(fault: Fault, rows: Rows) -> bool:
    """The total of all partners is ten percent too high."""
    return rows.change(
        f"update {rows.table} "
        f"set {rows.value} = cast(round(try_cast({rows.value} as double) * 1.1) as bigint) "
        f"where {rows.partner} = ? and list_contains(?, {rows.indicator}) "
        f"and try_cast({rows.value} as double) >= 10",
        [rows.total, list(rows.main_indicators)],
    )


# Code that replaces the office's total, by that total. Eurostat has renamed such codes before.
_RENAMED_TOTALS = {"WORLD": "WRLD", "T001047": "T999999"}


@register(ROW_SPOILERS, "renamed_aggregate")
def _renamed_aggregate(fault: Fault, rows: Rows) -> bool:
    """The total of all partners has another code: ``code``, or WRLD for WORLD and T999999 for T001047."""
    code = fault.options.get("code", _RENAMED_TOTALS.get(rows.total, f"{rows.total}_NEW"))
    return rows.change(f"update {rows.table} set {rows.partner} = ? where {rows.partner} = ?", [code, rows.total])


@register(ROW_SPOILERS, "wrong_scale")
def _wrong_scale(fault: Fault, rows: Rows) -> bool:
    """The values of the main measures are multiplied by ``factor`` (10) without a change of unit."""
    factor = str(Decimal(str(fault.options.get("factor", 10))))
    # Whole numbers stay whole and no number is padded: the notation must not reveal the fault.
    scaled = f"cast({rows.value} as decimal(30, 6)) * cast('{factor}' as decimal(8, 4))"
    whole = f"cast(cast(round({scaled}) as hugeint) as varchar)"
    return rows.change(
        f"update {rows.table} set {rows.value} = if(contains({rows.value}, '.'), "
        f"rtrim(rtrim(cast(round({scaled}, 6) as varchar), '0'), '.'), {whole}) "
        f"where list_contains(?, {rows.indicator}) and try_cast({rows.value} as double) <> 0",
        [list(rows.main_indicators)],
    )
