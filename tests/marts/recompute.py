"""Independent recomputation of the marts with NumPy and pandas, from the landing area and the seeds alone.

This module reads no model or macro. Money is in whole cents and weights are in whole grams, so that sums are exact.
Months are counted from the year 0 (`12 * year + month - 1`), so that a year earlier is 12 less.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaalexport.settings import REFERENCE

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

NOT_CELL = ("load_id", "request_no", "change_kind", "value", "status", "confidentiality")
# Datasets that the fact tables read, with the nomenclature of their products.
COMEXT = {"eurostat_ds_045409": "CN", "eurostat_ds_059331": "SITC", "eurostat_ds_059366": "CPA22"}
CBS = ("cbs_85429ned", "cbs_85427ned")
SERIES = ["source_code", "concept_code", "scope_code", "reporter_code"]
EU = "EU27_2020"
NOT_COUNTRIES = ("unallocated", "not_loaded")
# A month is complete if it has half of the usual cells or half of the usual value; six months define what is usual.
USUAL_MONTHS, FEWEST_MONTHS, LEAST_OF_USUAL = 12, 6, 0.5


def landed(landing: Path, dataset: str, table: str = "changes") -> pd.DataFrame:
    """Return all rows of a landing table, of all loads."""
    with duckdb.connect() as connection:
        pattern = landing / dataset / "*" / f"{table}.parquet"
        return connection.sql(f"from read_parquet('{pattern}', union_by_name = true)").df()


def seed(name: str) -> pd.DataFrame:
    """Return a seed as text, missing values as None."""
    frame = pd.read_csv(REFERENCE / f"{name}.csv", dtype=str, keep_default_na=False)
    return frame.mask(frame == "", None)


def month_number(labels: pd.Series) -> pd.Series:
    """Count months of ``YYYY-MM`` or ``YYYYMMnn`` (CBS) from the year 0; a CBS year counts as its January."""
    text = labels.astype(str)
    years = text.str[:4].astype(int)
    months = text.str[-2:].astype(int)
    is_year = text.str[4:6] == "JJ"
    return 12 * years + months.where(~is_year, 1) - 1


def first_day(month: int) -> np.datetime64:
    return np.datetime64(f"{month // 12:04}-{month % 12 + 1:02}-01", "D")


def month_starts(months: pd.Series) -> pd.Series:
    """Return the first days of months as pandas timestamps."""
    return pd.to_datetime(pd.DataFrame({"year": months // 12, "month": months % 12 + 1, "day": 1}, index=months.index))


def numbered(published: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return a published table with its months counted from the year 0."""
    return published.assign(
        **{name: 12 * published[name].dt.year + published[name].dt.month - 1 for name in columns or ("month",)}
    )


def ratio(numerator: Any, denominator: Any) -> Any:
    """Divide; return NaN for a zero or missing denominator."""
    numerator, denominator = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def growth_pct(value: Any, base: Any) -> Any:
    """Return the growth on a base in per cent; NaN unless the base is above zero."""
    value, base = np.asarray(value, dtype=np.float64), np.asarray(base, dtype=np.float64)
    return np.where(base > 0, 100 * (ratio(value, base) - 1), np.nan)


def whole_cents(euros: Any) -> Floats:
    """Return whole cents of amounts in euros; half a cent rounds away from zero."""
    cents = 100 * np.asarray(euros, dtype=np.float64)
    return np.asarray(np.trunc(cents + np.copysign(0.5, cents)), dtype=np.float64)


def compare(
    published: pd.DataFrame,
    expected: pd.DataFrame,
    key: Sequence[str],
    *,
    money: Sequence[str] = (),
    ratios: Sequence[str] = (),
    exact: Sequence[str] = (),
) -> None:
    """Compare a published table with the expected one: its rows, and each column of every row.

    Parameters
    ----------
    published, expected
        Both tables. Amounts of money are in euros in the first and in whole cents in the second.
    key
        Columns that identify a row.
    money
        Columns that must agree to the cent, missing values included.
    ratios
        Columns that must agree to 1e-9, relative for values above one.
    exact
        Columns that must be equal.
    """
    assert len(published) > 0
    assert len(expected) > 0
    one, other = published.set_index(list(key)), expected.set_index(list(key))
    assert one.index.is_unique
    assert other.index.is_unique
    only_one, only_other = one.index.difference(other.index), other.index.difference(one.index)
    assert not len(only_one), f"{len(only_one)} rows are not in the offices' replies: {list(only_one[:3])}"
    assert not len(only_other), f"{len(only_other)} rows are missing: {list(only_other[:3])}"
    other = other.loc[one.index]
    for name in [*money, *ratios, *exact]:
        left, right = one[name], other[name]
        if name in exact:
            differs = ~((left == right) | (left.isna() & right.isna()))
        else:
            seen, true = left.to_numpy(np.float64), right.to_numpy(np.float64)
            same = np.rint(100 * seen) == true if name in money else np.isclose(seen, true, rtol=1e-09, atol=1e-09)
            differs = pd.Series(~(same | (np.isnan(seen) & np.isnan(true))), index=one.index)
        if differs.any():
            rows = pd.DataFrame({"published": left[differs], "expected": right[differs]})
            raise AssertionError(f"{name}: {differs.sum()} of {len(one)} rows differ\n{rows.head(8).to_string()}")


def check_columns(published: pd.DataFrame, checked: Sequence[str], *, left_out: Sequence[str] = ()) -> None:
    """Assert that every column of a table is checked or explicitly left out, and that no column is entirely empty."""
    assert set(published.columns) == {*checked, *left_out}
    assert [name for name in published.columns if published[name].isna().all()] == []


@dataclass(frozen=True)
class Panel:
    """Exports of one scope by destination and month, on a calendar without gaps.

    Attributes
    ----------
    key : tuple of str
        Source, concept, scope, reporter.
    first : int
        Number of the first month.
    destinations : list of str
        Rows of ``cents``.
    cents : array
        By destination and month; missing is NaN.
    total, unallocated, not_loaded, taken_out : array
        By month, in cents; missing if the month is not complete. The office's total, the unknown amounts of the members
        of the scope, and the unknown amount of the goods that the scope subtracts.
    is_listed, is_complete : array
        True if anything of the scope was published in the month, and true if the month carries shares.
    reasons : list
        Why a month is not complete.
    goods : array
        A number for the set of goods in the scope: months with the same number can be summed and compared.
    vintages : array
        Newest vintage of the office for the requested products.
    """

    key: tuple[str, str, str, str]
    first: int
    destinations: list[str]
    cents: Floats
    total: Floats
    unallocated: Floats
    not_loaded: Floats
    taken_out: Floats
    is_listed: Booleans
    is_complete: Booleans
    reasons: list[str | None]
    goods: NDArray[np.int64]
    vintages: NDArray[np.datetime64]

    @property
    def months(self) -> range:
        """Numbers of the months."""
        return range(self.first, self.first + len(self.total))

    @cached_property
    def countries(self) -> Booleans:
        """True for destinations that are countries."""
        return np.array([name not in NOT_COUNTRIES for name in self.destinations])

    @cached_property
    def complete_cents(self) -> Floats:
        """Cents of the months that carry shares, which can be summed."""
        return np.where(self.is_complete, self.cents, np.nan)

    def holds_same_goods(self, column: int, earlier: int) -> bool:
        """Return True if two months hold the same goods."""
        # Months before the first one hold its goods: only a dated scope changes, and it does so within the calendar.
        return bool(self.goods[column] == self.goods[max(earlier, 0)])

    def has_window(self, column: int, length: int) -> bool:
        """Return True if all months of the window exist, are complete and hold the same goods."""
        start = column - length + 1
        return start >= 0 and bool(self.is_complete[start : column + 1].all()) and self.holds_same_goods(column, start)

    def windows(self, length_of: Callable[[int], int], *, back: int = 0) -> tuple[Floats, Floats]:
        """Return sums over the months up to each one, by destination and in total; NaN if a month is missing.

        Parameters
        ----------
        length_of
            Number of months, by the number of the month.
        back
            Months between the month and the end of its window; the window and those months must all be complete.
        """
        values, totals = np.full(self.cents.shape, np.nan), np.full(self.total.shape, np.nan)
        for column, month in enumerate(self.months):
            length = length_of(month)
            if not self.is_listed[column] or not self.has_window(column, length + back):
                continue
            window = slice(column - back - length + 1, column - back + 1)
            values[:, column] = sum_known(self.complete_cents[:, window])
            totals[column] = self.total[window].sum()
        return values, totals

    @cached_property
    def r12(self) -> tuple[Floats, Floats]:
        """Sums over 12 months, by destination and in total."""
        return self.windows(lambda month: 12)

    @cached_property
    def r12_year_before(self) -> tuple[Floats, Floats]:
        """Sums over the 12 months before those, if all 24 are complete and hold the same goods."""
        return self.windows(lambda month: 12, back=12)

    @cached_property
    def ytd(self) -> tuple[Floats, Floats]:
        """Sums from January, by destination and in total."""
        return self.windows(lambda month: month % 12 + 1)

    @cached_property
    def year_before(self) -> tuple[Floats, Floats]:
        """The same month a year earlier, by destination and in total, if it is complete and holds the same goods."""
        values, totals = np.full(self.cents.shape, np.nan), np.full(self.total.shape, np.nan)
        for column in range(12, len(self.total)):
            if self.is_listed[column] and self.holds_same_goods(column, column - 12):
                values[:, column] = self.complete_cents[:, column - 12]
                totals[column] = self.total[column - 12]
        return values, totals

    @cached_property
    def keeps(self) -> Booleans:
        """True for cells that are rows of a report: they have a value, or had one in the past year."""
        known = [self.cents, self.r12[0], self.ytd[0], self.year_before[0]]
        return np.asarray(self.is_listed & ~np.isnan(np.stack(known)).all(axis=0))

    def frame(self, **columns: Any) -> pd.DataFrame:
        """Return the cells that are rows of a report, with arrays by destination and month (or month alone)."""
        row, column = np.nonzero(self.keeps)
        shape = self.cents.shape
        data = {
            "destination_code": np.array(self.destinations, dtype=object)[row],
            "month": column + self.first,
        } | {name: np.broadcast_to(values, shape)[row, column] for name, values in columns.items()}
        return pd.DataFrame(dict(zip(SERIES, self.key, strict=True)) | data)


def sum_known(values: Floats) -> Floats:
    """Sum the known values along the last axis; NaN if there are none."""
    return np.where(np.isnan(values).all(axis=-1), np.nan, np.nansum(values, axis=-1))


class Recomputed:
    """Recomputed inputs of all reports, each part computed once on first use."""

    def __init__(self, landing: Path) -> None:
        self.landing = landing

    # -- What the offices published ----------------------------------------------------------------------------------

    @cached_property
    def loads(self) -> pd.DataFrame:
        """Committed loads of the datasets of the facts, in the order of their vintages."""
        manifests = [
            json.loads(path.read_text(encoding="utf-8"))
            for dataset in (*CBS, *COMEXT)
            for path in (self.landing / dataset).glob(f"{dataset}__*/load.json")
        ]
        columns = ["load_id", "dataset", "reporter", "vintage_at", "retrieved_at", "panel", "request_ids"]
        loads = pd.DataFrame([{name: load[name] for name in columns} for load in manifests])
        # Every load here requests all partners, so the rest of a total is unallocated.
        assert set(loads["panel"]) == {"*"}
        loads["vintage_at"] = pd.to_datetime(loads["vintage_at"]).dt.tz_convert(None)
        assert not loads.duplicated(["dataset", "reporter", "vintage_at"]).any()
        return loads.sort_values(["vintage_at", "retrieved_at"]).reset_index(drop=True)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """Requested dataset, reporter, nomenclature, product and month, with the vintage: one row per load."""
        parts = []
        for dataset in (*CBS, *COMEXT):
            asked = landed(self.landing, dataset, "coverage").assign(dataset_code=dataset)
            if dataset in CBS:
                # One request covers all products.
                assert set(asked["product_code"]) == {"*"}
                seen = landed(self.landing, dataset)["product"].unique()
                asked = asked.drop(columns="product_code").merge(pd.DataFrame({"product_code": seen}), how="cross")
            parts.append(asked)
        asked = pd.concat(parts, ignore_index=True)
        asked = asked.merge(self.loads[["load_id", "vintage_at"]], on="load_id", validate="many_to_one")
        first = 12 * asked["first_month"].dt.year + asked["first_month"].dt.month - 1
        last = 12 * asked["last_month"].dt.year + asked["last_month"].dt.month - 1
        asked["month"] = [list(range(one, other + 1)) for one, other in zip(first, last, strict=True)]
        asked = asked.explode("month", ignore_index=True).astype({"month": int})
        products = seed("office_products").set_index("office_code")
        is_cbs = asked["dataset_code"].isin(CBS)
        asked["nomenclature_code"] = asked["dataset_code"].map(COMEXT)
        asked.loc[is_cbs, "nomenclature_code"] = asked["product_code"].map(products["nomenclature_code"])
        asked.loc[is_cbs, "product_code"] = asked["product_code"].map(products["product_code"])
        assert asked["nomenclature_code"].notna().all()
        return asked[
            ["dataset_code", "reporter_code", "nomenclature_code", "product_code", "month", "vintage_at", "load_id"]
        ].reset_index(drop=True)

    @cached_property
    def newest_asked(self) -> pd.DataFrame:
        """The newest load that requested a product in a month."""
        key = ["dataset_code", "reporter_code", "nomenclature_code", "product_code", "month"]
        return self.coverage.sort_values("vintage_at").drop_duplicates(key, keep="last")

    @cached_property
    def partners(self) -> pd.DataFrame:
        """Office, its partner code, and the kind and destination that the code maps to."""
        return seed("office_partners")[["office", "office_code", "member_kind", "destination_code"]]

    def said(self, dataset: str) -> pd.DataFrame:
        """Return everything an office ever published in a dataset, oldest first, in whole cents or grams."""
        changes = landed(self.landing, dataset)
        for name in changes.columns:
            if name not in ("value", "request_no"):
                changes[name] = changes[name].astype("category")
        if dataset in COMEXT:
            changes = changes[(changes["freq"] == "M") & (changes["flow"] == "2")]
        else:
            # Quarters and other periods overlap with months.
            changes = changes[changes["period"].str[4:6].isin(["MM", "JJ"])]
        factors = landed(self.landing, dataset, "measures")[["load_id", "measure_code", "factor"]]
        changes = changes.merge(factors.rename(columns={"measure_code": "measure"}), on=["load_id", "measure"])
        changes = changes.merge(self.loads[["load_id", "vintage_at", "retrieved_at"]], on="load_id")
        return changes.sort_values(["vintage_at", "retrieved_at"], kind="stable")

    def figures(self, dataset: str, said: pd.DataFrame, through: pd.Timestamp) -> pd.DataFrame:
        """Return leaf members and totals of a dataset as of a vintage, in the codes of the warehouse.

        Columns: concept, flow kind, reporter, member (``total`` is the office's own total), nomenclature, product,
        period type, month, cents, grams.
        """
        cell = [name for name in said.columns if name not in (*NOT_CELL, "factor", "vintage_at", "retrieved_at")]
        known = said[said["vintage_at"] <= through].drop_duplicates(cell, keep="last")
        known = known[known["value"].notna()]
        rows = self._cbs_rows(dataset, known) if dataset in CBS else self._comext_rows(dataset, known)
        rows["dataset_code"] = dataset
        key = [
            "dataset_code", "concept_code", "flow_kind", "reporter_code", "nomenclature_code", "product_code",
            "period_type", "month",
        ]  # fmt: skip
        office = "cbs" if dataset in CBS else "eurostat"
        meaning = self.partners[self.partners["office"] == office].set_index("office_code")
        kinds = rows["partner"].astype(str).map(meaning["member_kind"])
        # A code longer than two letters that no seed lists is a Comext aggregate.
        kinds = kinds.where(kinds.notna() | (rows["partner"].str.len() <= 2), "aggregate")
        assert kinds.notna().all()
        rows["member"] = rows["partner"].map(meaning["destination_code"]).astype(object)
        rows.loc[kinds == "total", "member"] = "total"
        # Aggregates and parts of a country overlap with countries; for years, only totals are published.
        rows = rows[(kinds == "total") | (kinds.isin(["country", "unallocated"]) & (rows["period_type"] == "month"))]
        summed = rows.groupby([*key, "member"], observed=True)[["cents", "grams"]].sum(min_count=1).reset_index()
        return self._with_rest(summed, key)

    @staticmethod
    def _with_rest(figures: pd.DataFrame, key: list[str]) -> pd.DataFrame:
        """Put the excess of a monthly total over its members into ``unallocated``."""
        monthly = figures[figures["period_type"] == "month"]
        totals = monthly[monthly["member"] == "total"].set_index(key)[["cents", "grams"]]
        members = monthly[monthly["member"] != "total"].groupby(key, observed=True)[["cents", "grams"]].sum()
        rest = totals - members.reindex(totals.index).fillna(0)
        # The rest has a weight only if the total has one.
        rest = rest[rest["cents"] != 0].reset_index().assign(member="unallocated", is_derived=True)
        own = figures.assign(is_derived=False, own_cents=figures["cents"])
        both = pd.concat([own, rest], ignore_index=True)
        grouped = both.groupby([*key, "member"], observed=True)
        sums = grouped[["cents", "grams", "own_cents"]].sum(min_count=1)
        return sums.join(grouped["is_derived"].any()).reset_index()

    @staticmethod
    def _comext_rows(dataset: str, known: pd.DataFrame) -> pd.DataFrame:
        cell = ["reporter", "partner", "product", "period"]
        is_value = known["measure"].astype(str).str.startswith("VALUE")
        values = known[is_value].assign(cents=np.rint(100 * known["value"] * known["factor"]))[[*cell, "cents"]]
        weights = known[~is_value].assign(grams=np.rint(1000 * known["value"] * known["factor"]))[[*cell, "grams"]]
        # A weight counts only alongside a value.
        rows = values.merge(weights, on=cell, how="left", validate="one_to_one")
        rows["month"] = rows["period"].map(dict(_numbers(rows["period"]))).astype(int)
        rows = rows.rename(columns={"reporter": "reporter_code", "product": "product_code"})
        rows["partner"] = rows["partner"].astype(str)
        # All members together have no total of their own: it is the sum of trade among them and beyond.
        place = ["reporter_code", "product_code", "period", "month"]
        has_total = rows[rows["partner"] == "WORLD"].set_index(place).index
        parts = rows[rows["partner"].isin(["INT_EU27_2020", "EXT_EU27_2020"])]
        parts = parts[~parts.set_index(place).index.isin(has_total)]
        both = parts.groupby(place, observed=True)[["cents", "grams"]].agg(["sum", "count"])
        both = both[both["cents", "count"] == 2]
        totals = pd.DataFrame({"cents": both["cents", "sum"], "grams": both["grams", "sum"]})
        totals["grams"] = totals["grams"].where(both["grams", "count"] == 2)
        rows = pd.concat([rows, totals.reset_index().assign(partner="WORLD")], ignore_index=True)
        return rows.assign(
            concept_code="community",
            flow_kind="total",
            nomenclature_code=COMEXT[dataset],
            period_type="month",
        )

    @staticmethod
    def _cbs_rows(dataset: str, known: pd.DataFrame) -> pd.DataFrame:
        measures = seed("office_measures").set_index(["dataset_code", "measure_code"])["flow_kind"].loc[dataset]
        products = seed("office_products").set_index("office_code")
        rows = known[known["measure"].isin(measures.index)].copy()
        rows["cents"] = np.rint(100 * rows["value"] * rows["factor"])
        rows["flow_kind"] = rows["measure"].astype(str).map(measures)
        rows["month"] = rows["period"].map(dict(_numbers(rows["period"]))).astype(int)
        rows["period_type"] = np.where(rows["period"].astype(str).str[4:6] == "MM", "month", "year")
        rows["nomenclature_code"] = rows["product"].astype(str).map(products["nomenclature_code"])
        rows["product_code"] = rows["product"].astype(str).map(products["product_code"])
        rows = rows[["partner", "flow_kind", "nomenclature_code", "product_code", "period_type", "month", "cents"]]
        rows = rows.assign(reporter_code="NL", grams=np.nan)
        if dataset == "cbs_85427ned":
            return rows.assign(concept_code="ownership_transfer")
        cell = ["partner", "reporter_code", "nomenclature_code", "product_code", "period_type", "month"]
        parts = rows[rows["flow_kind"].isin(["re_export", "domestic_product"])]
        both = parts.groupby(cell, observed=True)["cents"].agg(["sum", "size"]).reset_index()
        # Excluding transit, there is a total if both parts are published.
        both = both[both["size"] == 2].rename(columns={"sum": "cents"}).drop(columns="size")
        return pd.concat(
            [
                rows.assign(concept_code="border_crossing_incl_transit"),
                parts.assign(concept_code="border_crossing_excl_transit"),
                both.assign(concept_code="border_crossing_excl_transit", flow_kind="total", grams=np.nan),
            ],
            ignore_index=True,
        )

    @cached_property
    def history(self) -> dict[str, dict[pd.Timestamp, pd.DataFrame]]:
        """Figures by dataset and vintage, oldest first."""
        result = {}
        for dataset in (*CBS, *COMEXT):
            said = self.said(dataset)
            vintages = sorted(self.loads.loc[self.loads["dataset"] == dataset, "vintage_at"].unique())
            assert len(vintages) > 1
            result[dataset] = {vintage: self.figures(dataset, said, vintage) for vintage in vintages}
        return result

    @cached_property
    def newest(self) -> pd.DataFrame:
        """Figures of all datasets in the newest vintage, with the vintage in which each last changed."""
        parts = []
        for by_vintage in self.history.values():
            before: pd.DataFrame | None = None
            for vintage, figures in by_vintage.items():
                now = figures.assign(changed_at=vintage, own_changed_at=vintage)
                if before is not None:
                    amounts = ["cents", "grams", "own_cents"]
                    key = [name for name in figures.columns if name not in (*amounts, "is_derived")]
                    past = before[[*key, *amounts, "changed_at", "own_changed_at"]].set_index(key)
                    past = past.reindex(pd.MultiIndex.from_frame(now[key])).reset_index(drop=True)
                    same = {
                        name: (now[name] == past[name]) | (now[name].isna() & past[name].isna()) for name in amounts
                    }
                    is_same = same["cents"] & same["grams"] & past["changed_at"].notna()
                    now["changed_at"] = now["changed_at"].where(~is_same, past["changed_at"])
                    is_same = same["own_cents"] & same["grams"] & past["own_changed_at"].notna()
                    now["own_changed_at"] = now["own_changed_at"].where(~is_same, past["own_changed_at"])
                before = now
            parts.append(before)
        newest = pd.concat(parts, ignore_index=True)
        # A figure published as is points to its own reply, even if its unallocated rest has disappeared since.
        newest["changed_at"] = newest["changed_at"].where(newest["is_derived"], newest["own_changed_at"])
        for name in ("reporter_code", "product_code"):
            newest[name] = newest[name].astype(str)
        newest["source_code"] = np.where(newest["dataset_code"].isin(CBS), "CBS", "EUROSTAT")
        asked = self.newest_asked.rename(columns={"load_id": "confirming_load_id"})
        key = ["dataset_code", "reporter_code", "nomenclature_code", "product_code", "month"]
        newest = newest.merge(asked, on=key, how="left", validate="many_to_one")
        assert newest["vintage_at"].notna().all()
        loads = self.loads.set_index(["dataset", "reporter", "vintage_at"])["load_id"]
        changed = pd.MultiIndex.from_frame(newest[["dataset_code", "reporter_code", "changed_at"]])
        newest["load_id"] = loads.reindex(changed).to_numpy()
        return newest.merge(self.statuses, on=["confirming_load_id", "period_type", "month"], how="left").merge(
            self.closing, on=["vintage_at", "month"], how="left"
        )

    @cached_property
    def statuses(self) -> pd.DataFrame:
        """Status that CBS gives a period in a load."""
        words = {"Definitief": "final", "NaderVoorlopig": "revised_provisional", "Voorlopig": "provisional"}
        codes = pd.concat([landed(self.landing, dataset, "codes") for dataset in CBS], ignore_index=True)
        periods = codes[(codes["dimension"] == "Perioden") & codes["code"].str[4:6].isin(["MM", "JJ"])]
        is_month = periods["code"].str[4:6] == "MM"
        return pd.DataFrame(
            {
                "confirming_load_id": periods["load_id"],
                "period_type": np.where(is_month, "month", "year"),
                "month": month_number(periods["code"]),
                "cbs_status": periods["status"].map(words),
                # The title of the running year includes its months so far.
                "is_complete_period": is_month | (periods["title"].str.strip() == periods["code"].str[:4]),
            }
        )

    @cached_property
    def closing(self) -> pd.DataFrame:
        """Status of a month in a vintage of Eurostat: final from October of the next year on."""
        pairs = self.newest_asked[["vintage_at", "month"]].drop_duplicates()
        closes = pd.to_datetime((pairs["month"] // 12 + 1).astype(str) + "-10-01")
        return pairs.assign(comext_status=np.where(pairs["vintage_at"] >= closes, "final", "provisional"))

    # -- Scopes ------------------------------------------------------------------------------------------------------

    @cached_property
    def members(self) -> pd.DataFrame:
        """Members of the scopes, with the good that each counts towards: itself, or the good it is subtracted from."""
        members = seed("metal_scope_members").astype({"sign": int})
        # Goods of eight digits would require the yearly lists.
        assert members.loc[members["nomenclature_code"] == "CN", "product_code"].ne("TOTAL").any()
        assert not (members["product_code"].str.len() == 8).any()
        items = []
        for member in members.itertuples():
            wider = [
                other.product_code
                for other in members[(members["scope_code"] == member.scope_code) & (members["sign"] == 1)].itertuples()
                if member.product_code.startswith(other.product_code)
            ]
            items.append(member.product_code if member.sign == 1 else max(wider, key=len))
        members["item_code"] = items
        for name in ("valid_from", "valid_to"):
            members[name] = pd.to_datetime(members[name])
        return members

    @cached_property
    def eu_countries(self) -> pd.DataFrame:
        """Members of the Union, with first and last day."""
        groups = seed("country_groups")
        union = groups[groups["group_code"] == "EU"][["country_code", "valid_from", "valid_to"]].copy()
        for name in ("valid_from", "valid_to"):
            union[name] = pd.to_datetime(union[name])
        return union

    def of_scopes(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows of products once for each scope that holds them in their month, with the member's sign."""
        members = self.members.rename(columns={"source_code": "only_source"})
        columns = ["scope_code", "only_source", "nomenclature_code", "product_code", "sign", "valid_from", "valid_to"]
        joined = rows.merge(members[[*columns, "item_code"]], on=["nomenclature_code", "product_code"])
        starts = month_starts(joined["month"])
        is_member = (joined["only_source"].isna() | (joined["only_source"] == joined["source_code"])) & holds_on(
            joined, starts
        )
        return joined[is_member].drop(columns=["only_source", "valid_from", "valid_to"])

    @cached_property
    def exports(self) -> pd.DataFrame:
        """Exports by destination and month in the newest vintage, by concept and published part."""
        newest = self.newest
        rows = by_concept(newest[(newest["period_type"] == "month") & (newest["member"] != "total")])
        return rows.rename(columns={"member": "destination_code"})

    @cached_property
    def totals(self) -> pd.DataFrame:
        """The offices' own monthly totals in the newest vintage."""
        newest = self.newest
        return by_concept(newest[(newest["period_type"] == "month") & (newest["member"] == "total")])

    @cached_property
    def scope_exports(self) -> pd.DataFrame:
        """Exports of the goods of scopes by destination and month, one row per member of the scope."""
        columns = ["source_code", "concept_code", "reporter_code", "destination_code", "nomenclature_code"]
        rows = self.of_scopes(self.exports[[*columns, "product_code", "month", "cents", "grams"]])
        # A part is subtracted only from a published good. For a secret good, the part is in the unallocated rest.
        good = [*SERIES, "destination_code", "item_code", "month"]
        parts = rows[rows["sign"] == -1]
        wholes = pd.MultiIndex.from_frame(rows.loc[rows["sign"] == 1, good])
        is_alone = ~pd.MultiIndex.from_frame(parts[good]).isin(wholes) & ~parts["destination_code"].isin(NOT_COUNTRIES)
        rows.loc[parts.index[is_alone], "destination_code"] = "unallocated"
        return rows

    @cached_property
    def panels(self) -> dict[tuple[str, ...], Panel]:
        """Exports of each scope by destination and month, with the completeness of each month."""
        exports = self.scope_exports
        signed = exports.assign(cents=exports["sign"] * exports["cents"])
        by_cell = signed.groupby([*SERIES, "destination_code", "month"])["cents"].sum().reset_index()
        cells = dict(iter(by_cell.groupby(SERIES)))
        months = {key: part.set_index("month") for key, part in self.scope_months.groupby(SERIES)}
        return {key: self._panel(key, part, cells[key]) for key, part in months.items()}

    def _panel(self, key: tuple[str, ...], months: pd.DataFrame, cells: pd.DataFrame) -> Panel:
        first = int(months.index.min())
        calendar = months.reindex(range(first, int(months.index.max()) + 1))
        wide = cells.pivot(index="destination_code", columns="month", values="cents").reindex(columns=calendar.index)
        is_complete = (calendar["reason"].isna() & calendar["total"].notna() & calendar["goods"].notna()).to_numpy()
        amounts = {
            name: np.where(is_complete, calendar[name].to_numpy(np.float64), np.nan)
            for name in ("total", "unallocated", "not_loaded", "taken_out")
        }
        return Panel(
            key=key,  # type: ignore[arg-type]
            first=first,
            destinations=list(wide.index),
            cents=wide.to_numpy(np.float64),
            is_listed=calendar["goods"].notna().to_numpy(),
            is_complete=is_complete,
            reasons=[reason if isinstance(reason, str) else None for reason in calendar["reason"]],
            goods=calendar["goods"].fillna(-1).to_numpy(np.int64),
            vintages=calendar["vintage_at"].to_numpy(),
            **amounts,
        )

    @cached_property
    def scope_months(self) -> pd.DataFrame:
        """Total of each scope in each month with published figures, and the reason if the month carries no shares."""
        product = ["dataset_code", "source_code", "concept_code", "reporter_code", "nomenclature_code", "product_code"]
        totals = self.totals.set_index([*product, "month"])[["cents", "vintage_at"]].rename(columns={"cents": "total"})
        exports = self.exports
        rests = {
            name: exports[exports["destination_code"] == name].set_index([*product, "month"])["cents"]
            for name in NOT_COUNTRIES
        }
        seen = exports.groupby([*product, "month"])["vintage_at"].min()
        rows = pd.DataFrame(index=totals.index.union(seen.index)).assign(total=totals["total"], **rests)
        rows["vintage_at"] = totals["vintage_at"].reindex(rows.index).fillna(seen.reindex(rows.index))
        rows = self.of_scopes(rows.reset_index())
        is_taken_out = rows["sign"] == -1
        rows["total"] = rows["sign"] * rows["total"]
        unknown = {name: rows[name].clip(lower=0).fillna(0) for name in NOT_COUNTRIES}
        for name in NOT_COUNTRIES:
            rows[name] = unknown[name].where(~is_taken_out, 0)
        rows["taken_out"] = (unknown["unallocated"] + unknown["not_loaded"]).where(is_taken_out, 0)
        key = ["dataset_code", *SERIES, "month"]
        summed = rows.groupby(key).agg(
            total=("total", "sum"),
            unallocated=("unallocated", "sum"),
            not_loaded=("not_loaded", "sum"),
            taken_out=("taken_out", "sum"),
            n_products=("product_code", "size"),
            n_with_total=("total", "count"),
            n_vintages=("vintage_at", "nunique"),
            vintage_at=("vintage_at", "max"),
        )
        asked = self.newest_asked.assign(
            source_code=np.where(self.newest_asked["dataset_code"].isin(CBS), "CBS", "EUROSTAT")
        )
        n_asked = self.of_scopes(asked).groupby(["dataset_code", "scope_code", "reporter_code", "month"]).size()
        months = summed.reset_index().join(
            n_asked.rename("n_asked"), on=["dataset_code", "scope_code", "reporter_code", "month"]
        )
        months["n_asked"] = months["n_asked"].fillna(0)
        months = self._with_goods(months)
        months = months.join(self.intra_eu, on=[*SERIES, "month"])
        months[["n_cells", "intra_cents"]] = months[["n_cells", "intra_cents"]].fillna(0)
        months["reason"] = None
        for _, part in months.groupby(SERIES):
            months.loc[part.index, "reason"] = [self._reason(row, part) for row in part.itertuples()]
        return months

    def _with_goods(self, months: pd.DataFrame) -> pd.DataFrame:
        """Number and count the goods that a scope is to hold in a month."""
        dated = set(seed("metal_scopes").query("is_dated == 'true'")["scope_code"])
        nomenclatures = self.newest_asked.groupby("dataset_code")["nomenclature_code"].agg(set)
        numbers: dict[Any, int] = {}
        pairs = months[["dataset_code", "source_code", "scope_code", "month"]].drop_duplicates()
        goods, declared = [], []
        by_scope = dict(iter(self.members.groupby("scope_code")))
        for pair in pairs.itertuples():
            members = by_scope[pair.scope_code]
            members = members[
                members["nomenclature_code"].isin(nomenclatures[pair.dataset_code])
                & (members["source_code"].isna() | (members["source_code"] == pair.source_code))
            ]
            held = members[holds_on(members, pd.Timestamp(first_day(pair.month)))]
            declared.append(len(held))
            # Only a dated scope changes its goods; elsewhere codes replace each other.
            name = (pair.scope_code, frozenset(held["product_code"]) if pair.scope_code in dated else None)
            goods.append(numbers.setdefault(name, len(numbers)))
        pairs = pairs.assign(goods=goods, n_declared=declared)
        return months.merge(pairs, on=["dataset_code", "source_code", "scope_code", "month"], validate="many_to_one")

    @cached_property
    def intra_eu(self) -> pd.DataFrame:
        """Number and value of cells of trade inside the Union, by scope and month."""
        union = self.eu_countries.rename(columns={"country_code": "destination_code"})
        rows = self.scope_exports.merge(union, on="destination_code")
        rows = rows[holds_on(rows, month_starts(rows["month"]))]
        signed = rows.assign(intra_cents=rows["sign"] * rows["cents"])
        return signed.groupby([*SERIES, "month"]).agg(n_cells=("cents", "size"), intra_cents=("intra_cents", "sum"))

    @staticmethod
    def _reason(row: Any, series: pd.DataFrame) -> str | None:
        if row.n_asked < row.n_declared:
            return "product_not_loaded"
        if row.n_with_total == 0:
            return "office_total_missing"
        if row.n_with_total < row.n_products:
            return "product_total_missing"
        if row.n_vintages > 1:
            return "mixed_vintages"
        past = series[(series["month"] < row.month) & (series["month"] >= row.month - USUAL_MONTHS)]
        is_short = (
            len(past) >= FEWEST_MONTHS
            and row.n_cells < LEAST_OF_USUAL * past["n_cells"].median()
            and row.intra_cents < LEAST_OF_USUAL * past["intra_cents"].median()
        )
        return "intra_eu_incomplete" if is_short else None

    # -- Individual goods --------------------------------------------------------------------------------------------

    @cached_property
    def items(self) -> pd.DataFrame:
        """Goods of the scopes by destination and month: cents and grams, each net of what is subtracted from it."""
        rows = self.scope_exports
        rows = rows.assign(cents=rows["sign"] * rows["cents"], grams=rows["sign"] * rows["grams"])
        grouped = rows.groupby([*SERIES, "destination_code", "item_code", "month"])
        items = grouped.agg(
            cents=("cents", "sum"), grams=("grams", "sum"), n=("cents", "size"), n_weights=("grams", "count")
        ).reset_index()
        # If one part lacks a weight, so does the whole.
        items["grams"] = items["grams"].where(items["n"] == items["n_weights"])
        return items.drop(columns=["n", "n_weights"])

    # -- Releases ----------------------------------------------------------------------------------------------------

    @cached_property
    def releases(self) -> pd.DataFrame:
        """Total of each scope and month in each release that requested all its goods and has all their totals."""
        key = [*SERIES, "month"]
        parts = []
        for dataset, by_vintage in self.history.items():
            source = "CBS" if dataset in CBS else "EUROSTAT"
            asked = self.coverage[self.coverage["dataset_code"] == dataset].assign(source_code=source)
            scope = ["scope_code", "reporter_code", "month"]
            n_asked = self.of_scopes(asked).groupby([*scope, "vintage_at"]).size().rename("n_asked").reset_index()
            for vintage, figures in by_vintage.items():
                rows = figures[(figures["member"] == "total") & (figures["period_type"] == "month")]
                rows = by_concept(rows).assign(source_code=source)
                rows = self.of_scopes(rows.astype({"product_code": str, "reporter_code": str}))
                rows["cents"] = rows["sign"] * rows["cents"]
                state = rows.groupby(key)["cents"].agg(["sum", "size"]).reset_index()
                state = state.rename(columns={"sum": "total", "size": "n_totals"})
                state = state.merge(n_asked[n_asked["vintage_at"] == vintage], on=scope)
                parts.append(state.assign(dataset_code=dataset))
        rows = pd.concat(parts, ignore_index=True)
        rows = rows[rows["n_asked"] == rows.groupby(key)["n_asked"].transform("max")]
        rows = rows[rows["n_totals"] == rows.groupby(key)["n_totals"].transform("max")]
        rows = rows.sort_values([*key, "vintage_at"], kind="stable").reset_index(drop=True)
        grouped = rows.groupby(key)
        rows["vintage_no"] = grouped.cumcount() + 1
        rows["age_months"] = 12 * rows["vintage_at"].dt.year + rows["vintage_at"].dt.month - 1 - rows["month"]
        rows["before"] = grouped["total"].shift()
        rows["first_total"] = grouped["total"].transform("first")
        rows["revision_pct"] = growth_pct(rows["total"], rows["before"])
        return rows.drop(columns=["n_asked", "n_totals"])

    @cached_property
    def revision_sizes(self) -> pd.DataFrame:
        """Number, mean and mean size of the revisions of a scope's total, by age."""
        known = self.releases[self.releases["revision_pct"].notna()]
        known = known.assign(size=known["revision_pct"].abs())
        return known.groupby([*SERIES, "age_months"]).agg(
            n_revisions=("revision_pct", "size"), mean=("revision_pct", "mean"), mean_abs=("size", "mean")
        )

    @cached_property
    def share_revisions(self) -> pd.Series:
        """Eventual revision of a share, in points: root of the sum over ages of the mean squared revision."""
        key = [*SERIES, "month"]
        pairs = self.releases[[*key, "vintage_at", "age_months", "total", "before", "dataset_code"]].copy()
        pairs["earlier_at"] = pairs.groupby(key)["vintage_at"].shift()
        pairs = pairs[pairs["earlier_at"].notna() & (pairs["age_months"] <= 24)]
        moves = []
        for (dataset, one, other), part in pairs.groupby(["dataset_code", "earlier_at", "vintage_at"]):
            source = "CBS" if dataset in CBS else "EUROSTAT"
            shares = []
            for vintage, total in ((one, "before"), (other, "total")):
                figures = self.history[dataset][vintage]
                rows = figures[
                    (figures["period_type"] == "month")
                    & ~figures["member"].isin(["total", "not_loaded"])
                    & figures["month"].isin(set(part["month"]))
                ]
                rows = by_concept(rows).assign(source_code=source)
                rows = self.of_scopes(rows.astype({"product_code": str, "reporter_code": str}))
                rows["cents"] = rows["sign"] * rows["cents"]
                value = rows.groupby([*key, "member"])["cents"].sum().reset_index()
                value = value.merge(part[[*key, "age_months", total]], on=key)
                shares.append(value.set_index([*key, "age_months", "member"]).eval(f"cents / {total}"))
            moves.append((100 * (shares[1] - shares[0])).dropna() ** 2)
        squares = pd.concat(moves).rename("square").reset_index().rename(columns={"member": "destination_code"})
        series = [*SERIES, "destination_code"]
        means = squares.groupby([*series, "age_months"])["square"].mean()
        return np.sqrt(means.groupby(series).sum())


def by_concept(rows: pd.DataFrame) -> pd.DataFrame:
    """Return totals under their concept, and each part that a concept is published in as a concept of its own."""
    concepts = seed("concepts")[["concept_code", "part_of", "flow_kind"]]
    concepts = concepts.rename(columns={"concept_code": "own_code"})
    concepts["concept_code"] = concepts["part_of"].fillna(concepts["own_code"])
    found = rows.merge(concepts.drop(columns="part_of"), on=["concept_code", "flow_kind"])
    return found.drop(columns=["concept_code", "flow_kind"]).rename(columns={"own_code": "concept_code"})


def _numbers(labels: pd.Series) -> Iterator[tuple[str, int]]:
    distinct = pd.Series(labels.astype(str).unique())
    return zip(distinct, month_number(distinct), strict=True)


def holds_on(rows: pd.DataFrame, day: Any) -> pd.Series:
    """Return True for rows valid on a day: from `valid_from` to `valid_to`, both inclusive."""
    return (rows["valid_from"] <= day) & (rows["valid_to"].isna() | (rows["valid_to"] >= day))
