"""Exchange rates of the euro: the dataset of the main host, and the rates behind Comext's values in national currency.

``exchange_rates.csv`` has the units of a currency for one euro when the simulated months begin, and the drift.
"""

from __future__ import annotations

import numpy as np

from simulator.csv_tables import read_table
from simulator.economy import Economy, Floats
from simulator.eurostat.main_database import CellTable, declare, dimension, meaning_of, months_of
from simulator.eurostat.model import Dataset
from simulator.release import Release, month_label

_RATES = {
    row["currency"]: (float(row["units_per_euro"]), float(row["monthly_log_drift"]))
    for row in read_table("simulator/eurostat/exchange_rates.csv")
}
_FIXED_RATES = ("BGN", "DKK")
#: Currency of the members outside the euro area; Bulgaria until it adopted the euro.
CURRENCIES = {"BG": "BGN", "CZ": "CZK", "DK": "DKK", "HU": "HUF", "PL": "PLN", "RO": "RON", "SE": "SEK"}
_LAST_LEV = "2025-12"


def exchange_rates(economy: Economy, currency: str, months: int) -> Floats:
    """Return the units of a currency for one euro, monthly average and end of month, by month; NaN without a rate."""
    start, drift = _RATES[currency]
    draw = economy.draw("exchange rate", currency)
    size = 0.0 if currency in _FIXED_RATES else 0.012
    path = np.cumsum(drift + size * draw.standard_normal(months))
    end = start * np.exp(path)
    average = start * np.exp(path - drift / 2 - size * 0.3 * draw.standard_normal(months))
    rates = np.stack([average, end]).round(5)
    if currency == "BGN":
        rates[:, [i for i in range(months) if month_label(i) > _LAST_LEV]] = np.nan
    return rates


def exchange_rate_dataset(economy: Economy) -> Dataset:
    """Return the dataset of monthly rates."""
    dimensions = (
        dimension("freq", {"M": "Monthly"}, "Time frequency"),
        dimension("statinfo", {"AVG": "Average", "END": "End of period"}, "Statistical information"),
        dimension("unit", {"NAC": "National currency"}, "Unit of measure"),
        dimension("currency", {code: code for code in _RATES}, "Currency"),
    )

    def make(release: Release, _: tuple[str, ...]) -> CellTable:
        months = release.eurostat_months
        values = np.stack([exchange_rates(economy, code, months) for code in _RATES], axis=1)[:, None]
        return CellTable(values, np.zeros_like(values, dtype=np.int64), np.zeros_like(values, dtype=np.int64), 5)

    return declare(
        "ERT_BIL_EUR_M", "Euro/ECU exchange rates - monthly data", "ert_esms", dimensions, months_of, make,
        meaning_of("currency", "USD", "statinfo", "AVG"),
    )  # fmt: skip
