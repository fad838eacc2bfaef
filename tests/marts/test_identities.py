"""Identities of the reports over random small warehouses: the models' own SQL on tables in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from metaalexport.dbt import run_dbt
from metaalexport.settings import Settings
from metaalexport.state import prepare_state

pytestmark = pytest.mark.integration

# In order of dependency.
MODELS = (
    "intermediate.int_scope_items",
    "intermediate.int_scope_exports",
    "intermediate.int_scope_months",
    "intermediate.int_scope_destination_months",
    "intermediate.int_scope_items_r12",
    "intermediate.int_market_shares",
    "intermediate.int_unusual_months",
    "marts.rpt_destination_shares",
    "marts.rpt_market_concentration",
    "marts.rpt_share_change",
    "marts.rpt_eu_peer_position",
)
# The third is a part of the first; one scope subtracts it.
GOODS = ("72", "76", "7204")
SCOPES = {"metal": (1, 1, 0), "all_goods": (1, 1, 0), "metal_without_scrap": (1, 1, -1)}
COUNTRIES = ("AR", "BR", "CL", "MX", "PE", "UY")
N_MONTHS = 25
FIRST_MONTH = pd.Timestamp("2023-01-01")
CENTS = 100
# Enough examples to cover gaps, a single market, no unallocated rest, and all of them together.
RANDOM = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Exports:
    """True exports of two reporters, and how much of them the office publishes by country; whole cents.

    Attributes
    ----------
    told, hidden : array
        By reporter, good, country and month: the amount published under the country, and the amount in the unallocated
        rest. -1 in ``told`` is a cell that is not published.
    kilograms : array
        Same axes; 0 where no weight is published.
    """

    told: Integers
    hidden: Integers
    kilograms: Integers

    @property
    def true(self) -> Integers:
        true: Integers = np.maximum(self.told, 0) + self.hidden
        return true

    def sold(self, scope: str) -> Integers:
        """Return true exports of a scope, by reporter, country and month."""
        sold: Integers = np.einsum("g,rgcm->rcm", np.array(SCOPES[scope]), self.true)
        return sold


@st.composite
def exports(draw: st.DrawFn) -> Exports:
    """Draw the exports of NL, and of the Union including it."""
    # One drawn seed generates the bulk: drawing each of some thousand cells would take minutes.
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_countries = draw(st.integers(1, len(COUNTRIES)))
    largest = draw(st.sampled_from([3, 10_000, 10**11]))
    gaps = draw(st.sampled_from([0.0, 0.3, 0.9]))
    secrecy = draw(st.sampled_from([0.0, 0.2, 1.0]))
    shape = (2, 2, n_countries, N_MONTHS)
    told = generator.integers(0, largest, shape, endpoint=True)
    told[generator.random(shape) < gaps] = -1
    # Every month has exports.
    told[:, 0, 0] = np.maximum(told[:, 0, 0], 1)
    hidden = np.where(generator.random(shape) < secrecy, generator.integers(0, largest, shape, endpoint=True), 0)
    # A part of the first good; it can be secret while the whole is published, and vice versa.
    whole = np.maximum(told[:, :1], 0) + hidden[:, :1]
    part = np.floor(whole * generator.random(whole.shape)).astype(np.int64)
    # The published part is included in the published whole, unless all of the whole is secret.
    is_secret = (generator.random(whole.shape) < secrecy) | ((told[:, :1] >= 0) & (part > told[:, :1]))
    told = np.concatenate([told, np.where(is_secret | (part == 0), -1, part)], axis=1)
    hidden = np.concatenate([hidden, np.where(is_secret, part, 0)], axis=1)
    kilograms = np.where(generator.random(told.shape) < 0.2, 0, generator.integers(1, 10**6, told.shape))
    # The second reporter is all members together: the first one, and others.
    told[1] = np.where((told == -1).all(axis=0), -1, np.maximum(told, 0).sum(axis=0))
    hidden[1] += hidden[0]
    kilograms[1] += kilograms[0]
    return Exports(told, hidden, kilograms)


def months() -> pd.DatetimeIndex:
    return pd.date_range(FIRST_MONTH, periods=N_MONTHS, freq="MS")


def rows_of(drawn: Exports) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return destinations and totals in the form that the models read."""
    reporters, calendar = ("NL", "EU27_2020"), months()
    cells, totals = [], []
    for r, reporter in enumerate(reporters):
        for g, good in enumerate(GOODS):
            of_product = {"reporter_code": reporter, "product_code": good}
            for m, month in enumerate(calendar):
                total = int(drawn.true[r, g, :, m].sum())
                totals.append(of_product | {"period_start": month, "cents": total})
                for c in np.flatnonzero(drawn.told[r, g, :, m] >= 0):
                    weight = drawn.kilograms[r, g, c, m]
                    cells.append(
                        of_product
                        | {
                            "destination_code": COUNTRIES[c],
                            "month": month,
                            "cents": int(drawn.told[r, g, c, m]),
                            "quantity_kg": float(weight) if weight else None,
                        }
                    )
                rest = int(drawn.hidden[r, g, :, m].sum())
                if rest:
                    cells.append(of_product | {"destination_code": "unallocated", "month": month, "cents": rest})
    return pd.DataFrame(cells), pd.DataFrame(totals)


class Models:
    """The models' SQL over tables in memory."""

    def __init__(self, compiled: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("attach ':memory:' as warehouse")
        for schema in ("intermediate", "marts", "reference"):
            self.connection.execute(f"create schema warehouse.{schema}")
        self.queries = {
            model: (compiled / model.split(".")[0] / f"{model.split('.')[1]}.sql").read_text(encoding="utf-8")
            for model in MODELS
        }
        self._state_what_never_changes()

    def _state_what_never_changes(self) -> None:
        codes = ", ".join(f"('{code}')" for code in COUNTRIES)
        members = ", ".join(
            f"('{scope}', '{good}', {sign})"
            for scope, signs in SCOPES.items()
            for good, sign in zip(GOODS, signs, strict=True)
            if sign
        )
        key = "source_code varchar, concept_code varchar, scope_code varchar, reporter_code varchar"
        self.connection.execute(
            f"""
            create table warehouse.marts.dim_country as
            select code as country_code, code as country_name_en, code as country_name_nl,
                'country' as destination_kind, code as cbs_code, code as comext_code
            from (values {codes}) as countries(code)
            union all select 'unallocated', 'unallocated', 'unallocated', 'unallocated', null, null;
            create table warehouse.reference.countries as
            select country_code from warehouse.marts.dim_country where destination_kind = 'country';
            create table warehouse.reference.country_groups (
                group_code varchar, country_code varchar, valid_from date, valid_to date
            );
            create table warehouse.intermediate.int_scopes_unioned as
            select scope_code, false as is_dated, cast(null as varchar) as source_code, 'CN' as nomenclature_code,
                good as product_code, sign, date '1988-01-01' as valid_from, cast(null as date) as valid_to
            from (values {members}) as members(scope_code, good, sign);
            create table warehouse.intermediate.int_scope_families (
                scope_code varchar, product_code varchar, family_code varchar
            );
            create table warehouse.intermediate.int_share_revisions (
                {key}, destination_code varchar, n_revisions integer, eventual_revision_pp double
            );
            create table warehouse.intermediate.int_share_noise (
                {key}, destination_code varchar, n_changes integer, spread_pp double, quantile_975 double
            );
            create table warehouse.intermediate.int_adjusted_shares (
                {key}, destination_code varchar, month date, value_sa_eur double, share_sa double
            );
            create table warehouse.intermediate.int_datasets_loaded (dataset_code varchar, rounding_unit_eur double);
            create table warehouse.reference.accepted_unusual_months (
                {key}, destination_code varchar, month date, vintage_on date
            );
            """
        )

    def build(self, drawn: Exports) -> None:
        """Fill the tables that the models read, and run the models."""
        cells, totals = rows_of(drawn)
        assert not cells.empty
        frame = {"cells": cells.reindex(columns=[*cells.columns.union(["quantity_kg"])]), "totals": totals}
        for name, rows in frame.items():
            self.connection.register(name, rows)
        constants = """'EUROSTAT' as source_code, 'eurostat_made_up' as dataset_code, 'community' as concept_code,
            'CN' as nomenclature_code, timestamp '2025-09-15 09:00:00' as vintage_at"""
        euros = f"cast(cast(cents as decimal(38, 2)) / {CENTS} as decimal(38, 2)) as value_eur"
        self.connection.execute(
            f"""
            create or replace table warehouse.intermediate.int_exports_by_concept as
            select {constants}, reporter_code, product_code, destination_code, cast(month as date) as month, {euros},
                cast(quantity_kg as decimal(38, 3)) as quantity_kg
            from cells;
            create or replace table warehouse.intermediate.int_totals_by_concept as
            select {constants}, reporter_code, product_code, 'month' as period_type,
                cast(period_start as date) as period_start, {euros}
            from totals;
            create or replace table warehouse.intermediate.int_panels_in_force as
            select {constants}, reporter_code, product_code, cast(period_start as date) as month,
                cast(null as timestamp) as valid_to
            from totals;
            """
        )
        for model, query in self.queries.items():
            self.connection.execute(f"create or replace table warehouse.{model} as {query}")

    def frame(self, query: str) -> pd.DataFrame:
        """Return the rows of a query; fail if there are none."""
        rows = self.connection.execute(query).df()
        assert not rows.empty
        return rows


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    state = tmp_path_factory.mktemp("identities") / "simulator"
    made_up = Settings(profile="simulator", state=state)
    prepare_state(made_up)
    names = [model.split(".")[1] for model in MODELS]
    run_dbt(made_up, ["compile", "--no-introspect", "--select", *names])
    models = Models(made_up.dbt / "target" / "compiled" / "metaalexport" / "models")
    yield models
    models.connection.close()


KEY = "source_code, concept_code, scope_code, reporter_code"


@RANDOM
@given(drawn=exports())
def test_shares_and_contributions_add_up(models: Models, drawn: Exports) -> None:
    models.build(drawn)
    sums = models.frame(
        f"""
        select {KEY}, month, sum(share) as share, sum(contribution_to_growth_pp) as contribution,
            any_value(total_eur) as total_eur, count(share) as n_shares
        from warehouse.marts.rpt_destination_shares where is_complete group by all order by all
        """
    )
    assert len(sums) == 2 * len(SCOPES) * N_MONTHS
    has_sales = sums["total_eur"] > 0
    np.testing.assert_allclose(sums.loc[has_sales, "share"], 1, rtol=0, atol=1e-9)
    of_series = sums.groupby(["scope_code", "reporter_code"])
    growth = 100 * (sums["total_eur"] / of_series["total_eur"].shift(12) - 1)
    assert growth.notna().any()
    np.testing.assert_allclose(sums["contribution"][growth.notna()], growth.dropna(), rtol=1e-9, atol=1e-9)


@RANDOM
@given(drawn=exports())
def test_bounds_contain_the_true_share(models: Models, drawn: Exports) -> None:
    models.build(drawn)
    rows = models.frame(
        """
        select * from warehouse.marts.rpt_destination_shares
        where destination_kind = 'country' and share_lower is not null
        """
    )
    assert set(rows["scope_code"]) <= set(SCOPES)
    for scope, told in rows.groupby("scope_code"):
        true = drawn.sold(scope)
        reporter = told["reporter_code"].map({"NL": 0, "EU27_2020": 1}).to_numpy()
        country = told["destination_code"].map({code: n for n, code in enumerate(COUNTRIES)}).to_numpy()
        month = months().get_indexer(told["month"])
        everything = true[reporter, :, month].sum(axis=1)
        share = true[reporter, country, month] / everything
        # For the Union, one part of a cell can be secret and another published.
        assert (told.loc[told["reporter_code"] == "NL", "share"].dropna() >= 0).all()
        assert (told["share_lower"] <= share + 1e-12).all()
        assert (share <= told["share_upper"] + 1e-12).all()
        # Bounds are no wider than the unpublished amount in the scope and in what it subtracts.
        hidden = drawn.hidden[:, np.array(SCOPES[scope]) != 0].sum(axis=1)[reporter, :, month].sum(axis=1)
        assert (told["share_upper"] - told["share_lower"] <= hidden / everything + 1e-12).all()


def size_of(rows: pd.DataFrame, *names: str) -> pd.Series:
    """Return the largest absolute term by row, at least one: if exports all but vanish, huge terms offset."""
    return rows[list(names)].abs().max(axis=1).clip(lower=1)


@RANDOM
@given(drawn=exports())
def test_share_changes_decompose_exactly(models: Models, drawn: Exports) -> None:
    models.build(drawn)
    rows = models.frame("select * from warehouse.marts.rpt_share_change")
    left = rows["own_growth_pp"] + rows["rest_growth_pp"] - rows["share_change_pp"]
    assert (left.abs() <= 1e-9 * size_of(rows, "own_growth_pp")).all()
    broken = models.connection.execute(
        """
        select count(*) filter (
            where value_eur - value_year_before_eur
                != price_effect_eur + volume_effect_eur + mix_effect_eur + unmatched_effect_eur
        )
        from warehouse.marts.rpt_share_change
        """
    ).fetchone()
    assert broken == (0,)
    names = ["price_pp", "volume_pp", "mix_pp", "unmatched_pp"]
    left = (rows[names].sum(axis=1, skipna=False) - rows["own_growth_pp"]).dropna()
    assert (left.abs() <= 1e-9 * size_of(rows, *names)[left.index]).all()


@RANDOM
@given(drawn=exports())
def test_constant_market_share_terms_sum_to_the_change(models: Models, drawn: Exports) -> None:
    models.build(drawn)
    whole_goods = drawn.told[0, :2]
    told = whole_goods.sum(axis=0, where=whole_goods >= 0)
    broken = models.connection.execute(
        """
        select count(*) filter (
            where change_eur
                != growth_effect_eur + product_effect_eur + market_effect_eur + competitiveness_effect_eur
        )
        from warehouse.marts.rpt_eu_peer_position
        """
    ).fetchone()
    assert broken == (0,)
    rows = models.frame(
        "select * from warehouse.marts.rpt_eu_peer_position where scope_code = 'metal' and change_eur is not null"
    )
    month = months().get_indexer(rows["month"])
    country = rows["destination_code"].map({code: n for n, code in enumerate(COUNTRIES)}).to_numpy()
    change = [
        told[c, m - 11 : m + 1].sum() - told[c, m - 23 : m - 11].sum() for c, m in zip(country, month, strict=True)
    ]
    np.testing.assert_array_equal(np.rint(CENTS * rows["change_eur"]), change)
    shares = rows["share_in_eu_exports"].dropna()
    assert shares.between(0, 1).all()


@RANDOM
@given(drawn=exports())
def test_concentration_indices_stay_within_limits(models: Models, drawn: Exports) -> None:
    models.build(drawn)
    rows = models.frame("select * from warehouse.marts.rpt_market_concentration")
    assert {"month", "r12"} == set(rows["basis"])
    assert (rows["hhi"] >= 1 / rows["n_active_markets"] - 1e-12).all()
    assert (rows["hhi"] <= 1 + 1e-12).all()
    normalised = rows["hhi_normalised"].dropna()
    assert normalised.between(-1e-12, 1 + 1e-12).all()
    assert (rows["hhi_normalised"].isna() == (rows["n_active_markets"] == 1)).all()
    np.testing.assert_allclose(rows["theil_within"] + rows["theil_between"], rows["theil"], rtol=0, atol=1e-9)
    assert (rows[["theil_within", "theil_between"]] >= -1e-9).all().all()
    tops = rows[["top_1_share", "top_3_share", "top_5_share", "top_10_share"]].to_numpy()
    assert (np.diff(tops, axis=1) >= -1e-12).all()
    assert (tops <= 1 + 1e-12).all()
