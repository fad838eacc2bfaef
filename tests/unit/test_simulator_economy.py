"""The model behind the simulated offices: identities, anchors, determinism, and the shock that is put in."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from simulator.economy import (
    EU_REPORTER,
    EXPORT,
    EXTRA_EU,
    IMPORT,
    INTRA_EU,
    WORLD,
    Economy,
    EconomyParameters,
    Release,
    month_index,
    month_label,
)
from simulator.products import LEAVES, METAL_CHAPTERS, PRODUCTS, TOTAL
from simulator.server import Simulator

RELEASE = Release()
MONTHS = RELEASE.eurostat_months


@pytest.fixture(scope="module")
def economy() -> Economy:
    return Economy()


def product_row(code: str) -> int:
    return PRODUCTS.index(code)


def test_a_release_dates_both_offices() -> None:
    assert RELEASE.eurostat_stamp == "2026-10-15T11:00:00+0200"
    assert RELEASE.cbs_version == "202610020630"
    assert month_label(RELEASE.eurostat_months - 1) == "2026-08"
    assert month_label(RELEASE.cbs_months - 1) == "2026-07"
    assert Release(13).eurostat_stamp == "2026-11-15T11:00:00+0100"
    assert Release(15).year_month == (2027, 1)
    with pytest.raises(ValueError, match="first is 1"):
        Release(0)


def test_shares_of_the_leaves_add_up_to_all_trade() -> None:
    assert sum(leaf.share for leaf in LEAVES) == pytest.approx(1.0)
    for leaf in LEAVES:
        assert sum(leaf.sections) == pytest.approx(1.0)
        assert leaf.parents[-1] == TOTAL


def test_world_is_the_exact_sum_of_countries_and_unallocated(economy: Economy) -> None:
    cube = economy.comext_cube("NL", EXPORT, RELEASE)
    codes = economy.partners.codes
    leaves = np.isin(codes, economy.partners.leaves)
    for cells in (cube.value, cube.quantity):
        world = cells[:, codes.index(WORLD)]
        assert (world == cells[:, leaves].sum(axis=1)).all()
        assert (world == cells[:, codes.index(EXTRA_EU)] + cells[:, codes.index(INTRA_EU)]).all()
    assert cube.value[product_row(TOTAL), codes.index("NL")].sum() == 0


def test_a_parent_holds_at_least_its_children(economy: Economy) -> None:
    value = economy.comext_cube("NL", EXPORT, RELEASE).value
    for parent in PRODUCTS:
        length = 0 if parent == TOTAL else len(parent)
        children = [
            product_row(code)
            for code in PRODUCTS
            if code != TOTAL and len(code) == length + 2 and (parent == TOTAL or code.startswith(parent))
        ]
        if children:
            assert (value[product_row(parent)] >= value[children].sum(axis=0)).all(), parent
    chapters = [product_row(code) for code in PRODUCTS if len(code) == 2]
    world = economy.partners.codes.index(WORLD)
    assert (value[product_row(TOTAL), world] > value[chapters, world].sum(axis=0)).all()


def test_leading_markets_of_the_netherlands(economy: Economy) -> None:
    value = economy.comext_cube("NL", EXPORT, RELEASE).value[product_row(TOTAL)].sum(axis=1)
    codes = economy.partners.codes
    ranked = sorted(economy.partners.leaves, key=lambda code: -value[codes.index(code)])
    assert ranked[:5] == ["DE", "BE", "FR", "GB", "US"]
    unallocated = value[np.isin(codes, list(economy.parameters.unallocated_shares))].sum()
    assert unallocated / value[codes.index(WORLD)] == pytest.approx(0.003, rel=0.1)


def test_small_cells_are_absent(economy: Economy) -> None:
    cube = economy.comext_cube("NL", EXPORT, RELEASE)
    share_absent = float((cube.value == 0).mean())
    assert 0.3 < share_absent < 0.8
    assert ((cube.value > 0) | (cube.quantity == 0)).all()


def test_two_economies_with_one_seed_are_equal_and_another_seed_differs(economy: Economy) -> None:
    again = Economy()
    other = Economy(EconomyParameters(seed=2))
    own = economy.comext_cube("NL", EXPORT, RELEASE)
    assert (own.value == again.comext_cube("NL", EXPORT, RELEASE).value).all()
    assert (own.quantity == again.comext_cube("NL", EXPORT, RELEASE).quantity).all()
    assert (own.value != other.comext_cube("NL", EXPORT, RELEASE).value).any()


def test_the_union_is_the_sum_of_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three members say as much as 27, and take a ninth of the time.
    members = ("BE", "LU", "NL")
    monkeypatch.setattr("simulator.economy.EU_MEMBERS", members)
    economy = Economy()
    union = economy.comext_cube(EU_REPORTER, EXPORT, RELEASE)
    parts = [economy.comext_cube(member, EXPORT, RELEASE) for member in members]
    assert (union.value == sum(part.value for part in parts)).all()
    assert (union.quantity == sum(part.quantity for part in parts)).all()
    assert (union.pieces == sum(part.pieces for part in parts)).all()


def test_a_later_release_adds_a_month_and_revises_the_last_twelve(economy: Economy) -> None:
    first = economy.comext_cube("NL", EXPORT, RELEASE).value
    second = economy.comext_cube("NL", EXPORT, Release(RELEASE.number + 1)).value
    assert second.shape[2] == first.shape[2] + 1
    same = first == second[..., :-1]
    assert same[..., :-12].all()
    us, de = economy.partners.codes.index("US"), economy.partners.codes.index("DE")
    total = product_row(TOTAL)
    for partner, kind in ((us, "extra"), (de, "intra")):
        factors = (*economy.parameters.revision_factors[kind], 1.0)
        for age in range(12):
            month = first.shape[2] - 1 - age
            ratio = second[total, partner, month] / first[total, partner, month]
            assert ratio == pytest.approx(factors[age + 1] / factors[age], rel=1e-6)
    assert (economy.comext_cube("NL", EXPORT, RELEASE).value == first).all()


def test_front_loading_and_payback_are_what_the_parameters_say(economy: Economy) -> None:
    with_tariff = economy.comext_truth("NL", EXPORT, MONTHS)
    without = economy.comext_truth("NL", EXPORT, MONTHS, shocked=False)
    us = economy.partners.codes.index("US")
    tariff = economy.parameters.tariff
    metal = product_row("72")
    for label, change in (*tariff.front_loading.items(), *tariff.payback.items()):
        ratio = with_tariff[metal, us, month_index(label)] / without[metal, us, month_index(label)]
        assert ratio == pytest.approx(1.0 + change, rel=2e-3)
    assert tariff.payback_ratio == pytest.approx(0.7)
    not_metal = [product_row(code) for code in ("39", "84", "85", "87")]
    assert (with_tariff[not_metal] == without[not_metal]).all()
    others = [i for i, code in enumerate(economy.partners.codes) if code in economy.partners.leaves and i != us]
    assert (with_tariff[:, others] == without[:, others]).all()
    assert min(tariff.front_loading) == tariff.news_month
    assert min(tariff.payback) == tariff.effective_month


def test_the_tariff_can_be_switched_off(economy: Economy) -> None:
    calm = Economy(EconomyParameters(front_loading=False))
    flows = calm.true_flows("NL", EXPORT, MONTHS)
    assert (flows == economy.true_flows("NL", EXPORT, MONTHS, shocked=False)).all()
    assert not (flows == economy.true_flows("NL", EXPORT, MONTHS)).all()


def test_emerging_markets_grow_by_the_known_rate(economy: Economy) -> None:
    mean = economy.expected("NL", EXPORT, MONTHS).sum(axis=1)
    leaves = economy.partners.leaves
    for partner, growth in economy.parameters.growth_by_partner.items():
        relative = mean[:, leaves.index(partner)] / mean[:, leaves.index("DE")]
        assert relative[12] / relative[0] == pytest.approx(1.0 + growth)


def test_truth_as_a_table(economy: Economy) -> None:
    columns = economy.comext_truth_columns("NL", EXPORT, MONTHS)
    with duckdb.connect() as connection:
        connection.register("truth", columns)
        counted = connection.execute("select count(*), count(distinct (partner, product, month)) from truth").fetchone()
        assert counted is not None
        assert counted[0] == counted[1] > 100_000
        metal = ", ".join(f"'{code}'" for code in METAL_CHAPTERS)
        excess = connection.execute(
            "select sum(value_eur - value_eur_without_tariff) from truth "
            f"where partner = 'US' and product in ({metal}) and month between '2024-11' and '2025-02'"
        ).fetchone()
        assert excess is not None
        assert excess[0] > 0


def test_cbs_truth_as_a_table(economy: Economy) -> None:
    months = RELEASE.cbs_months
    with duckdb.connect() as connection:
        connection.register("truth", economy.cbs_truth_columns(months))
        total, suppressed = connection.execute(
            "select sum(value_mln_eur), sum(value_mln_eur) filter (is_suppressed) from truth "
            "where measure = 'D001636' and month like '2024%'"
        ).fetchall()[0]
    assert total == pytest.approx(economy.parameters.cbs_anchors[2024][0], rel=0.005)
    assert 0 < suppressed < 0.01 * total


def test_cbs_totals_meet_the_published_anchors(economy: Economy) -> None:
    _, values = economy.cbs_published_values(RELEASE)
    for year in range(2021, 2026):
        first = month_index(f"{year}-01")
        totals = values[..., first : first + 12].sum(axis=(1, 2, 3))
        anchors = economy.parameters.cbs_anchors[year]
        assert totals == pytest.approx(anchors, rel=0.005)
        assert totals[0] == pytest.approx(totals[1:4].sum())


def test_cbs_truth_does_not_move_with_the_release(economy: Economy) -> None:
    early = economy.cbs_truth(Release(1).cbs_months)
    late = economy.cbs_truth(RELEASE.cbs_months)
    np.testing.assert_allclose(early.values, late.values[..., : early.values.shape[-1]], rtol=1e-12)
    assert (early.suppressed == late.suppressed).all()


def test_cbs_withholds_about_four_percent_of_the_small_cells(economy: Economy) -> None:
    truth = economy.cbs_truth(RELEASE.cbs_months)
    usual = np.stack([truth.values[4, :, :, :12].mean(axis=2), truth.values[0, :, :, :12].mean(axis=2)], axis=2)
    small = (usual > 0) & (usual < economy.parameters.cbs_small_cell_mln)
    assert truth.suppressed[small].mean() == pytest.approx(0.04, abs=0.015)
    assert not truth.suppressed[~small].any()


def test_replies_do_not_depend_on_the_instance() -> None:
    requests = (
        ("/odata/v1/CBS/85429NED/Properties", ""),
        ("/odata/v1/CBS/85429NED/Observations", "$filter=Landen eq 'L008778'"),
        (
            "/eurostat/api/comext/dissemination/sdmx/2.1/data/DS-045409/M.NL..72+7204.2.",
            "startPeriod=2025-01&format=SDMX-CSV&compressed=true",
        ),
        ("/eurostat/api/comext/dissemination/sdmx/2.1/dataflow/ESTAT", ""),
        ("/eurostat/api/comext/dissemination/sdmx/2.1/contentconstraint/ESTAT/DS-045409", ""),
    )
    first, second = Simulator(seed=7), Simulator(seed=7)
    # The order of the questions must not matter either.
    replies = {request: first.answer(*request).body for request in requests}
    for request in reversed(requests):
        assert second.answer(*request).body == replies[request], request
    assert Simulator(seed=8).answer(*requests[1]).body != replies[requests[1]]


def test_imports_and_exports_are_different_draws(economy: Economy) -> None:
    imports = economy.comext_cube("NL", IMPORT, RELEASE).value[product_row(TOTAL)]
    china, germany = (economy.partners.codes.index(code) for code in ("CN", "DE"))
    assert imports[china].sum() > 0.5 * imports[germany].sum()
