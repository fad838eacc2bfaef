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


def status_of(month: int, announced: date | None, first: date, last: date | None) -> tuple[str, int]:
    """Return the status of a measure in a month, and the days on which it applies, counted one by one."""
    days = days_of(month)
    in_force = sum(first <= one and (last is None or one <= last) for one in days)
    if in_force:
        return "effective", in_force
    if last is not None and days[0] > last:
        return "expired", 0
    if announced is not None and days[-1] >= announced:
        return "announced", 0
    return "before", 0


def exposure_rows(recomputed: Recomputed) -> pd.DataFrame:
    """Return the exports under each measure that has a rate and a list of goods."""
    events = seed("tariff_events").set_index("event_code")
    goods = seed("tariff_event_products").astype({"sign": int})
    asked = recomputed.newest_asked.assign(
        source_code=np.where(recomputed.newest_asked["dataset_code"].str.startswith("cbs"), "CBS", "EUROSTAT")
    )
    exports = recomputed.exports
    parts = []
    for code, event in events[(events["event_kind"] == "effective") & events["rate_pct"].notna()].iterrows():
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
        summed = rows.groupby(KEY).agg(value_eur=("value_eur", "sum"), vintage_at=("vintage_at", "max")).reset_index()
        announced_by = event["announced_by_event_code"]
        announced = day(events.loc[announced_by, "event_date"]) if isinstance(announced_by, str) else None
        first, last, rate = day(event["event_date"]), day(event["effective_to"]), float(event["rate_pct"])
        assert first is not None
        stands = [status_of(month, announced, first, last) for month in summed["month"]]
        n_days = np.array([len(days_of(month)) for month in summed["month"]])
        summed["status"] = [status for status, _ in stands]
        summed["days_in_force"] = [days for _, days in stands]
        duty = summed["value_eur"] / 100 * rate / 100
        summed["duty_at_rate_eur"] = whole_cents(duty)
        summed["duty_in_force_eur"] = whole_cents(duty * summed["days_in_force"] / n_days)
        parts.append(
            summed.assign(
                announced_on=pd.Timestamp(announced) if announced else pd.NaT,
                effective_from=pd.Timestamp(first),
                effective_to=pd.Timestamp(last) if last else pd.NaT,
                rate_pct=rate,
                is_upper_bound=bool((of_event["coverage"] == "upper_bound").any()),
                is_confirmed=bool((of_event["confidence"] == "confirmed").all()),
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_exposure_is_value_times_rate_for_days_in_force(warehouse: Warehouse, recomputed: Recomputed) -> None:
    published = numbered(warehouse.frame("from marts.rpt_tariff_exposure"))
    assert {"before", "announced", "effective", "expired"} == set(published["status"])
    expected = with_names(exposure_rows(recomputed))
    money = ["value_eur", "duty_at_rate_eur", "duty_in_force_eur"]
    exact = [
        "destination_name_en",
        "destination_name_nl",
        "status",
        "announced_on",
        "effective_from",
        "effective_to",
        "days_in_force",
        "rate_pct",
        "is_upper_bound",
        "is_confirmed",
        "vintage_at",
    ]
    compare(published, expected, KEY, money=money, exact=exact)
    check_columns(published, [*KEY, *money, *exact])
