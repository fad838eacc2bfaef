"""The reports recover the parameters of the simulated economy: revisions, transit, and secret cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simulator.cbs.trade import CbsTrade
from simulator.economy import EXPORT, Economy
from simulator.eurostat.trade import ComextTrade
from simulator.partners import EXTRA_EU, INTRA_EU
from simulator.products import PRODUCTS
from simulator.release import Release
from tests.marts.conftest import Warehouse
from tests.marts.recompute import Floats, numbered, seed
from tests.states import RELEASES

pytestmark = pytest.mark.integration

FIRST_MONTH = 12 * 2021
MILLION = 1e6
# SITC sections that are scopes.
SECTIONS = {"manufactures_sitc6": 6, "machinery_transport_sitc7": 7}


def published_totals(economy: Economy, release: Release) -> Floats:
    """Return Dutch exports of all goods by month in a Eurostat release: final value times factor by age."""
    months = release.eurostat_months
    final = ComextTrade(economy).truth("NL", EXPORT, months)[PRODUCTS.index("TOTAL")]
    factors = economy.parameters.revision_factors
    total = np.zeros(months)
    for kind, partner in (("intra", INTRA_EU), ("extra", EXTRA_EU)):
        factor = np.ones(months)
        known = factors[kind][:months]
        factor[months - len(known) :] = known[::-1]
        total += final[economy.partners.codes.index(partner)] * factor
    return total


def test_revisions_match_the_simulated_factors_by_age(warehouse: Warehouse) -> None:
    rows = numbered(
        warehouse.frame(
            """
            from marts.rpt_revisions
            where source_code = 'EUROSTAT' and scope_code = 'all_goods' and reporter_code = 'NL'
            order by month, vintage_no
            """
        )
    )
    first, newest = (published_totals(warehouse.economy, Release(number)) for number in RELEASES)
    months = rows["month"] - FIRST_MONTH
    # The newest month of a release has no total yet, so one release fewer covers it.
    both = rows[rows["vintage_no"] == 2]
    assert len(both) > 12
    at = both["month"] - FIRST_MONTH
    # Each cell is rounded to a euro.
    np.testing.assert_allclose(both["value_eur"], newest[at], rtol=1e-7)
    np.testing.assert_allclose(both["revision_pct"], 100 * (newest[at] / first[at] - 1), rtol=0, atol=1e-5)
    assert (both["revision_pct"].abs() > 0.01).sum() >= 10
    # Every release requests all months again, so only the newest month has a single vintage.
    once = rows[(rows["vintage_no"] == 1) & rows["is_newest"]]
    assert [*once["month"]] == [rows["month"].max()]
    final = published_totals(warehouse.economy, Release(RELEASES[-1]))
    np.testing.assert_allclose(once["value_eur"], final[months[once.index]], rtol=1e-7)


@pytest.fixture(scope="module")
def cbs_cells(warehouse: Warehouse) -> pd.DataFrame:
    """Return true exports by destination, section and month before rounding, mln euro, with their secret cells."""
    release = Release(RELEASES[-1])
    truth, values = CbsTrade(warehouse.economy).published_values(release)
    partners = seed("office_partners").query("office == 'cbs'").set_index("office_code")
    shape = values.shape[1:]
    land, section, month = (axis.ravel() for axis in np.indices(shape))
    cells = pd.DataFrame(
        {
            "destination_code": partners["destination_code"].reindex(truth.lands).to_numpy()[land],
            "section": section,
            "month": month + FIRST_MONTH,
            "is_secret": truth.suppressed[land, section, 1],
            "total": values[truth.measures.index("D001636")].ravel(),
            "transit": values[truth.measures.index("M007897")].ravel(),
            "n_lands": 1,
        }
    )
    # Two CBS codes can map to one country.
    cells = cells.groupby(["destination_code", "section", "month"]).sum().reset_index()
    assert (cells["is_secret"] > 0).sum() > 300
    return cells.astype({"is_secret": bool})


def test_transit_matches_the_simulated_flow(warehouse: Warehouse, cbs_cells: pd.DataFrame) -> None:
    """The published flow is rounded; the reconciliation accumulates the rounding of three figures."""
    key = ["destination_code", "section", "month"]
    known = cbs_cells[(cbs_cells["destination_code"] != "unallocated") & ~cbs_cells["is_secret"]].set_index(key)
    stated = numbered(
        warehouse.frame(
            """
            select destination_code, cast(product_code as integer) as section, month, value_eur from marts.fct_exports
            where concept_code = 'border_crossing_incl_transit' and flow_kind = 'quasi_transit'
                and nomenclature_code = 'SITC' and length(product_code) = 1
                and destination_code not in ('unallocated', 'not_loaded')
            """
        )
    )
    assert len(stated) > 30_000
    true = known.reindex(pd.MultiIndex.from_frame(stated[key]))
    alone = (true["n_lands"] == 1).to_numpy()
    assert alone.mean() > 0.9
    np.testing.assert_array_equal(stated["value_eur"][alone] / MILLION, np.rint(true["transit"][alone]))
    between = numbered(
        warehouse.frame(
            """
            select destination_code, cast(section_code as integer) as section, month, quasi_transit_eur
            from marts.rpt_source_reconciliation
            where section_code != 'TOTAL' and destination_code not in ('unallocated', 'total')
                and quasi_transit_eur is not null
            """
        )
    )
    assert len(between) > 20_000
    true = known.reindex(pd.MultiIndex.from_frame(between[key])).reset_index(drop=True)
    assert (np.abs(between["quasi_transit_eur"] / MILLION - true["transit"]) <= 1.5 * true["n_lands"]).all()


def test_true_shares_lie_within_their_bounds(warehouse: Warehouse, cbs_cells: pd.DataFrame) -> None:
    """A secret cell has no row; the unallocated rest is its upper bound."""
    rows = numbered(
        warehouse.frame(
            """
            from marts.rpt_destination_shares
            where concept_code = 'border_crossing_incl_transit' and is_complete
                and scope_code in ('manufactures_sitc6', 'machinery_transport_sitc7')
            """
        )
    )
    rows["section"] = rows["scope_code"].map(SECTIONS)
    cells = cbs_cells[cbs_cells["section"].isin(SECTIONS.values())]
    all_of_section = cells.groupby(["section", "month"])["total"].sum().rename("all")
    countries = cells[cells["destination_code"] != "unallocated"].join(all_of_section, on=["section", "month"])
    key = ["destination_code", "section", "month"]
    told = rows[rows["destination_kind"] == "country"].merge(countries, on=key)
    assert len(told) > 9_000
    share = told["total"] / told["all"]
    # Value and total are rounded to a million: each is up to half of one away.
    rounding = 1 / told["all"]
    assert (told["share_lower"] <= share + rounding).all()
    assert (share <= told["share_upper"] + rounding).all()
    secret = countries[countries["is_secret"]]
    assert not secret.empty
    assert secret.merge(rows, on=key).empty
    group = pd.MultiIndex.from_frame(secret[["section", "month"]])
    rest = rows[rows["destination_code"] == "unallocated"].set_index(["section", "month"])["value_eur"] / MILLION
    # The rest accumulates the rounding of the total and of each country.
    n_rounded = 1 + told.groupby(["section", "month"]).size()
    upper = rest.reindex(group).fillna(0).to_numpy() + 0.5 * n_rounded.reindex(group).to_numpy()
    assert (secret["total"] <= upper).all()
