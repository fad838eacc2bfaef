"""Every row of rpt_tariff_exposure, recomputed from the replies of both offices and the event seeds."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.marts.conftest import Warehouse
from tests.marts.recompute import Recomputed, check_columns, compare, numbered, seed, whole_cents
from tests.marts.test_shares import with_names

pytestmark = pytest.mark.integration

KEY = ["event_code", "source_code", "concept_code", "reporter_code", "destination_code", "month"]
PANEL = ["source_code", "reporter_code", "month"]


def day(text: Any) -> date | None:
    """Parse a date of a seed."""
    return date.fromisoformat(text) if isinstance(text, str) else None


def days_of(month: int) -> list[date]:
    first = date(month // 12, month % 12 + 1, 1)
    return [first + timedelta(days=n) for n in range(calendar.monthrange(first.year, first.month)[1])]


def status_of(month: int, announced: date | None, first: date, last: date | None, *, is_known: bool) -> tuple[str, int]:
    """Return the status of a measure in a month, and the days on which it applies, counted one by one."""
    days = days_of(month)
    in_force = sum(first <= one and (last is None or one <= last) for one in days)
    if in_force:
        return "effective" if is_known else "effective_rate_unknown", in_force
    if last is not None and days[0] > last:
        return "expired", 0
    if announced is not None and days[-1] >= announced:
        return "announced", 0
    return "before", 0


def exposure_rows(recomputed: Recomputed) -> pd.DataFrame:
    """Return the exports under each measure that has a list of goods."""
    events = seed("tariff_events").set_index("event_code")
    goods = seed("tariff_event_products").astype({"sign": int})
    asked = recomputed.newest_asked.assign(
        source_code=np.where(recomputed.newest_asked["dataset_code"].str.startswith("cbs"), "CBS", "EUROSTAT")
    )
    exports = recomputed.exports
    parts = []
    for code, event in events[events["event_kind"] == "effective"].iterrows():
        of_event = goods[goods["event_code"] == code]
        if of_event.empty:
            continue
        product = ["nomenclature_code", "product_code"]
        n_asked = asked.merge(of_event, on=product).groupby(PANEL).size()
        # If one of the goods is missing, the sum does not cover the measure.
        all_asked = n_asked[n_asked == len(of_event)].rename("n_asked").reset_index()
        rows = exports[exports["destination_code"] == event["imposed_by_code"]].merge(of_event, on=product)
        rows = rows.merge(all_asked, on=PANEL)
        if rows.empty:
            continue
        rows["value_eur"] = rows["sign"] * rows["cents"]
        # What is named whole, less everything that is taken out.
        rows["value_lower_eur"] = rows["value_eur"].where((rows["coverage"] == "listed") | (rows["sign"] < 0), 0)
        summed = (
            rows.groupby(KEY)
            .agg(
                value_eur=("value_eur", "sum"),
                value_lower_eur=("value_lower_eur", "sum"),
                vintage_at=("vintage_at", "max"),
            )
            .reset_index()
        )
        summed["value_lower_eur"] = np.minimum(np.maximum(summed["value_lower_eur"], 0), summed["value_eur"])
        announced_by = event["announced_by_event_code"]
        announced = day(events.loc[announced_by, "event_date"]) if isinstance(announced_by, str) else None
        first, last, rate = day(event["event_date"]), day(event["effective_to"]), float(event["rate_pct"])
        assert first is not None
        is_known = not np.isnan(rate)
        stands = [status_of(month, announced, first, last, is_known=is_known) for month in summed["month"]]
        n_days = np.array([len(days_of(month)) for month in summed["month"]])
        summed["status"] = [status for status, _ in stands]
        summed["days_in_force"] = [days for _, days in stands]
        part = summed["days_in_force"] / n_days
        duty = summed["value_eur"] / 100 * rate / 100
        least = summed["value_lower_eur"] / 100 * rate / 100
        summed["value_in_force_eur"] = whole_cents(summed["value_eur"] / 100 * part)
        summed["duty_at_rate_eur"] = whole_cents(duty)
        summed["duty_upper_eur"] = whole_cents(duty * part)
        certain = event["rate_basis"] == "customs_value"
        summed["duty_lower_eur"] = whole_cents(least * part if certain else np.minimum(0, duty * part))
        parts.append(
            summed.assign(
                announced_on=pd.Timestamp(announced) if announced else pd.NaT,
                effective_from=pd.Timestamp(first),
                effective_to=pd.Timestamp(last) if last else pd.NaT,
                rate_pct=rate,
                rate_basis=event["rate_basis"],
                is_confirmed=bool((of_event["confidence"] == "confirmed").all()),
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_exposure_is_value_times_rate_for_days_in_force(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_tariff_exposure"))
    assert {"before", "announced", "effective", "expired"} <= set(published["status"])
    expected = with_names(exposure_rows(recomputed))
    known_until = seed("policy_lists").set_index("list_code").loc["tariffs", "known_until"]
    expected["is_policy_known"] = [str(days_of(month)[-1]) <= known_until for month in expected["month"]]
    money = [
        "value_eur", "value_lower_eur", "value_in_force_eur", "duty_at_rate_eur", "duty_lower_eur", "duty_upper_eur",
    ]  # fmt: skip
    exact = [
        "destination_name_en",
        "destination_name_nl",
        "status",
        "announced_on",
        "effective_from",
        "effective_to",
        "days_in_force",
        "rate_pct",
        "rate_basis",
        "is_confirmed",
        "is_policy_known",
        "vintage_at",
    ]
    compare(published, expected, KEY, money=money, exact=exact)
    check_columns(published, [*KEY, *money, *exact])


def test_no_month_in_force_is_silent(warehouse: Warehouse) -> None:
    """Each event that applied in a month has a row that says so, at its rate or at an unknown one."""
    events = seed("tariff_events").set_index("event_code")
    exposure = warehouse.frame("from marts.rpt_tariff_exposure")
    for code, rows in exposure.groupby("event_code"):
        first, last = day(events.loc[code, "event_date"]), day(events.loc[code, "effective_to"])
        assert first is not None
        for month, status in zip(rows["month"], rows["status"], strict=True):
            days = days_of(month.year * 12 + month.month - 1)
            applied = first <= days[-1] and (last is None or last >= days[0])
            assert status.startswith("effective") is applied, (code, month)
    # The surcharge of 2026 applied for five months, at a rate that sources settle.
    surcharge = exposure[exposure["event_code"] == "us_s122_2026_02"]
    in_force = surcharge[surcharge["status"] == "effective"]
    assert set(in_force["month"].dt.strftime("%Y-%m")) >= {"2026-03", "2026-04", "2026-05", "2026-06"}
    assert set(in_force["rate_pct"]) == {10}
    # Steel paid 25 % beyond quotas from 2022.
    quota = exposure[(exposure["event_code"] == "us_eu_trq_steel_2022") & (exposure["month"] == "2023-06-01")]
    assert set(quota["status"]) == {"effective"}
    assert (quota["duty_lower_eur"] == 0).all()
    assert (quota["duty_upper_eur"] > 0).all()


def test_events_that_replace_each_other_add_up_to_the_months_exports(warehouse: Warehouse) -> None:
    sums = warehouse.frame("""
        select month, sum(value_in_force_eur) as in_force, avg(value_eur) as exports, count(*) as n
        from marts.rpt_tariff_exposure
        where source_code = 'EUROSTAT' and reporter_code = 'NL'
            and event_code in ('us_s232_metal_2025_03', 'us_s232_metal_2025_06')
            and month between date '2025-04-01' and date '2025-12-01'
        group by month
    """)
    assert len(sums) == 9
    assert set(sums["n"]) == {2}
    # June has days of both: neither the sum of two months nor a gap.
    assert (abs(sums["in_force"].astype(float) - sums["exports"].astype(float)) <= 0.02).all()
