"""The economic model of the simulated offices: identities, anchors, determinism, and the injected shock."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.cbs.goods import GOODS
from simulator.cbs.trade import NOT_IN_COUNTRY, CbsTrade
from simulator.economy import EXPORT, IMPORT, Economy
from simulator.eurostat.trade import ComextTrade
from simulator.parameters import EconomyParameters
from simulator.partners import EU_REPORTER, EXTRA_EU, INTRA_EU, WORLD
from simulator.products import LEAVES, PRODUCTS, TOTAL
from simulator.release import Release, month_index, month_label
from simulator.server import Simulator

RELEASE = Release()
MONTHS = RELEASE.eurostat_months


@pytest.fixture(scope="module")
def economy() -> Economy:
    return Economy()


@pytest.fixture(scope="module")
def comext(economy: Economy) -> ComextTrade:
    return ComextTrade(economy)


@pytest.fixture(scope="module")
def cbs(economy: Economy) -> CbsTrade:
    return CbsTrade(economy)


def product_row(code: str) -> int:
    return PRODUCTS.index(code)


def test_release_dates_both_offices() -> None:
    assert RELEASE.eurostat_stamp == "2026-10-15T11:00:00+0200"
    assert RELEASE.cbs_version == "202610020630"
    assert month_label(RELEASE.eurostat_months - 1) == "2026-08"
    assert month_label(RELEASE.cbs_months - 1) == "2026-07"
    assert Release(13).eurostat_stamp == "2026-11-15T11:00:00+0100"
    assert Release(15).year_month == (2027, 1)
    with pytest.raises(ValueError, match="first is 1"):
        Release(0)


def test_leaf_shares_add_up_to_one() -> None:
    assert sum(leaf.share for leaf in LEAVES) == pytest.approx(1.0)
    for leaf in LEAVES:
        assert sum(leaf.sections) == pytest.approx(1.0)
        assert leaf.parents[-1] == TOTAL


def test_world_is_the_exact_sum_of_countries_and_unallocated(economy: Economy, comext: ComextTrade) -> None:
    cube = comext.cube("NL", EXPORT, RELEASE)
    codes = economy.partners.codes
    leaves = np.isin(codes, economy.partners.leaves)
    for cells in (cube.value, cube.quantity):
        world = cells[:, codes.index(WORLD)]
        assert (world == cells[:, leaves].sum(axis=1)).all()
        assert (world == cells[:, codes.index(EXTRA_EU)] + cells[:, codes.index(INTRA_EU)]).all()
    assert cube.value[product_row(TOTAL), codes.index("NL")].sum() == 0


def test_parent_is_at_least_the_sum_of_its_children(economy: Economy, comext: ComextTrade) -> None:
    value = comext.cube("NL", EXPORT, RELEASE).value
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


def test_leading_markets_of_the_netherlands(economy: Economy, comext: ComextTrade) -> None:
    value = comext.cube("NL", EXPORT, RELEASE).value[product_row(TOTAL)].sum(axis=1)
    codes = economy.partners.codes
    ranked = sorted(economy.partners.leaves, key=lambda code: -value[codes.index(code)])
    assert ranked[:5] == ["DE", "BE", "FR", "GB", "US"]
    unallocated = value[np.isin(codes, list(economy.parameters.unallocated_shares))].sum()
    assert unallocated / value[codes.index(WORLD)] == pytest.approx(0.003, rel=0.1)


def test_small_cells_are_absent(comext: ComextTrade) -> None:
    cube = comext.cube("NL", EXPORT, RELEASE)
    share_absent = float((cube.value == 0).mean())
    assert 0.3 < share_absent < 0.8
    assert ((cube.value > 0) | (cube.quantity == 0)).all()


def test_equal_seeds_give_equal_economies_and_another_seed_differs(comext: ComextTrade) -> None:
    again = Economy()
    other = Economy(EconomyParameters(seed=2))
    own = comext.cube("NL", EXPORT, RELEASE)
    assert (own.value == ComextTrade(again).cube("NL", EXPORT, RELEASE).value).all()
    assert (own.quantity == ComextTrade(again).cube("NL", EXPORT, RELEASE).quantity).all()
    assert (own.value != ComextTrade(other).cube("NL", EXPORT, RELEASE).value).any()


def test_union_is_the_sum_of_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three members test as much as 27, in a ninth of the time.
    members = ("BE", "LU", "NL")
    monkeypatch.setattr("simulator.eurostat.trade.EU_MEMBERS", members)
    comext = ComextTrade(Economy())
    union = comext.cube(EU_REPORTER, EXPORT, RELEASE)
    parts = [comext.cube(member, EXPORT, RELEASE) for member in members]
    assert (union.value == sum(part.value for part in parts)).all()
    assert (union.quantity == sum(part.quantity for part in parts)).all()
    assert (union.pieces == sum(part.pieces for part in parts)).all()


def test_later_release_adds_a_month_and_revises_the_last_twelve(economy: Economy, comext: ComextTrade) -> None:
    first = comext.cube("NL", EXPORT, RELEASE).value
    second = comext.cube("NL", EXPORT, Release(RELEASE.number + 1)).value
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
    assert (comext.cube("NL", EXPORT, RELEASE).value == first).all()


def test_front_loading_and_payback_match_the_parameters(economy: Economy, comext: ComextTrade) -> None:
    with_tariff = comext.truth("NL", EXPORT, MONTHS)
    without = comext.truth("NL", EXPORT, MONTHS, shocked=False)
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


def test_tariff_can_be_switched_off(economy: Economy) -> None:
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


def test_cbs_totals_match_the_published_anchors(economy: Economy, cbs: CbsTrade) -> None:
    _, values = cbs.published_values(RELEASE)
    for year in range(2021, 2026):
        first = month_index(f"{year}-01")
        totals = values[..., first : first + 12].sum(axis=(1, 2, 3))
        anchors = economy.parameters.cbs_anchors[year]
        assert totals == pytest.approx(anchors, rel=0.005)
        assert totals[0] == pytest.approx(totals[1:4].sum())


def test_cbs_truth_does_not_depend_on_the_release(cbs: CbsTrade) -> None:
    early = cbs.truth(Release(1).cbs_months)
    late = cbs.truth(RELEASE.cbs_months)
    np.testing.assert_allclose(early.values, late.values[..., : early.values.shape[-1]], rtol=1e-12)
    assert (early.suppressed == late.suppressed).all()


def test_cbs_withholds_about_four_percent_of_the_small_cells(economy: Economy, cbs: CbsTrade) -> None:
    truth = cbs.truth(RELEASE.cbs_months)
    usual = np.stack([truth.values[4, :, :, :12].mean(axis=2), truth.values[0, :, :, :12].mean(axis=2)], axis=2)
    small = (usual > 0) & (usual < economy.parameters.cbs_small_cell_mln)
    assert truth.suppressed[small].mean() == pytest.approx(0.04, abs=0.015)
    assert not truth.suppressed[~small].any()
    exports = truth.values[truth.measures.index("D001636")]
    assert 0 < exports[truth.suppressed[..., 1]].sum() < 0.01 * exports.sum()


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
    # The order of the requests must not matter either.
    replies = {request: first.answer(*request).body for request in requests}
    for request in reversed(requests):
        assert second.answer(*request).body == replies[request], request
    assert Simulator(seed=8).answer(*requests[1]).body != replies[requests[1]]


def test_imports_and_exports_are_different_draws(economy: Economy, comext: ComextTrade) -> None:
    imports = comext.cube("NL", IMPORT, RELEASE).value[product_row(TOTAL)]
    china, germany = (economy.partners.codes.index(code) for code in ("CN", "DE"))
    assert imports[china].sum() > 0.5 * imports[germany].sum()


# -- CBS tables other than border crossing ----------------------------------------------------------------


def test_ownership_matches_the_published_anchors(economy: Economy, cbs: CbsTrade) -> None:
    truth = cbs.ownership_truth(RELEASE.cbs_months)
    states = truth.lands.index("L008778")
    row = {measure: i for i, measure in enumerate(truth.measures)}
    for year, (total, re_exports, product) in economy.parameters.cbs_ownership_anchors.items():
        first = month_index(f"{year}-01")
        span = truth.values[..., first : first + (7 if year == 2026 else 12)]
        assert span[row["D001636"]].sum() == pytest.approx(total)
        assert span[row["M001648"], states].sum() == pytest.approx(re_exports)
        assert span[row["M001632"], states].sum() == pytest.approx(product)
    parts = truth.values[row["M001648"]] + truth.values[row["M001632"]]
    np.testing.assert_allclose(truth.values[row["D001636"]], parts)
    assert truth.sections[-1] == NOT_IN_COUNTRY
    assert not truth.suppressed[:, -1].any()


def test_ownership_correlates_with_border_crossing_by_partner(cbs: CbsTrade) -> None:
    owned = cbs.ownership_truth(RELEASE.cbs_months)
    crossed = cbs.truth(RELEASE.cbs_months)
    assert owned.lands == crossed.lands
    row = {measure: i for i, measure in enumerate(crossed.measures)}
    border = (crossed.values[row["M001648"]] + crossed.values[row["M001632"]]).sum(axis=(1, 2))
    mine = owned.values[0].sum(axis=(1, 2))
    assert np.corrcoef(np.log(border[border > 1]), np.log(mine[border > 1]))[0, 1] > 0.98


def test_cbs_figures_do_not_depend_on_the_release(economy: Economy, cbs: CbsTrade) -> None:
    early, late = Release(1).cbs_months, RELEASE.cbs_months
    owned = cbs.ownership_truth(early).values
    np.testing.assert_allclose(owned, cbs.ownership_truth(late).values[..., :early], rtol=1e-12)
    goods = [good for good in GOODS if good.code in ("72083900", "76012080", "02011000", "85076000")]
    assert len(goods) == 4
    for flow in (IMPORT, EXPORT):
        values, kilograms = cbs.goods(goods, flow, early)
        more, heavier = cbs.goods(goods, flow, late)
        np.testing.assert_allclose(values, more[..., :early], rtol=1e-6)
        np.testing.assert_allclose(kilograms, heavier[..., :early], rtol=1e-6)
    index = economy.monthly_index("price", early, 0.03, 0.01)
    np.testing.assert_allclose(index, economy.monthly_index("price", late, 0.03, 0.01)[:early])
    assert index[:12].mean() == pytest.approx(100.0)


def test_good_does_not_depend_on_the_others(cbs: CbsTrade) -> None:
    goods = [good for good in GOODS if good.code.startswith("76")]
    together, _ = cbs.goods(goods, EXPORT, MONTHS)
    for i, good in enumerate(goods):
        alone, _ = cbs.goods([good], EXPORT, MONTHS)
        assert (alone[0] == together[i]).all()


def test_goods_never_exceed_their_section(cbs: CbsTrade) -> None:
    truth = cbs.truth(MONTHS)
    leaf_of = {leaf.parents[0]: leaf for leaf in LEAVES}
    for flow, measure in ((IMPORT, "D001607"), (EXPORT, "D001636")):
        whole = truth.values[truth.measures.index(measure)]
        values, _ = cbs.goods(GOODS, flow, MONTHS)
        for section in range(10):
            rows = []
            for i, good in enumerate(GOODS):
                leaf = next((leaf_of[good.code[:n]] for n in (8, 6, 4, 2) if good.code[:n] in leaf_of), LEAVES[-1])
                counted = good.section if leaf is LEAVES[-1] else int(np.argmax(leaf.sections))
                rows += [i] if counted == section else []
            assert (values[rows].sum(axis=0) <= whole[:, section] * (1 + 1e-5) + 1e-9).all()


def test_tariff_shows_in_metal_goods(economy: Economy, cbs: CbsTrade) -> None:
    """Published figures fix the year totals, so the tariff changes only the shape within 2025."""
    calm = CbsTrade(Economy(EconomyParameters(front_loading=False)))
    truth = cbs.truth(MONTHS)
    states = truth.lands.index("L008778")
    metal = [good for good in GOODS if good.code[:2] == "72" and good.sitc[0] == "6"]
    other = [good for good in GOODS if good.code[:2] == "84"]
    before, after = month_index("2025-02"), month_index("2025-03")
    for goods, shocked in ((metal, True), (other, False)):
        with_tariff, without = (e.goods(goods, EXPORT, MONTHS)[0][:, states].sum(axis=0) for e in (cbs, calm))
        ratio = with_tariff / without
        fall = ratio[after] / ratio[before]
        tariff = economy.tariff_factor(MONTHS)
        assert fall == pytest.approx(tariff[after] / tariff[before] if shocked else 1.0, abs=0.02)


def test_cbs_withholds_by_name(cbs: CbsTrade) -> None:
    usual = np.linspace(0, 100, 2000).reshape(2, 1000)
    withheld = cbs.withheld(["a", "b"], usual, small=50.0)
    assert not withheld[usual >= 50.0].any()
    assert not withheld[0, 0]
    assert withheld[usual < 50.0].mean() == pytest.approx(0.04, abs=0.015)
    assert (withheld == cbs.withheld(["a", "b"], usual, small=50.0)).all()
    assert (cbs.withheld(["b"], usual[1:], small=100.0) >= withheld[1:]).all()
