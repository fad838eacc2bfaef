"""Report sentences with missing, negative and equal figures, in both languages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from publish.report import formats, status, texts
from publish.report.figures import concentration, shares
from publish.report.sections import (
    change,
    frontloading,
    map,
    month,
    opportunities,
    origins,
    peers,
    reconciliation,
    revisions,
    stress,
    tariffs,
)

MONTH = date(2026, 1, 1)


def read(told: list[dict[str, str]], language: str = "en") -> str:
    return texts.join(told, " ")[language]


def move(code: str, name: str, change: float, **figures: Any) -> dict[str, Any]:
    return {
        "destination_code": code,
        "destination_name_nl": name,
        "destination_name_en": name,
        "month": MONTH,
        "share": 0.05,
        "share_r12": 0.05,
        "share_r12_year_before": 0.05 - change / 100,
        "share_change_pp": change,
        "share_r12_change_pp": change,
        "share_r12_change_noise_pp": None,
        "is_r12_change_beyond_noise": None,
        **figures,
    }


@pytest.mark.parametrize(
    ("total", "growth", "dutch", "english"),
    [
        (
            Decimal("6847000000"),
            4.25,
            "In januari 2026 was de uitvoer van M € 6.847 mln, 4,3% meer dan een jaar eerder.",
            "In January 2026 exports of M were €6,847 mln, 4.3% more than a year earlier.",
        ),
        (
            Decimal("6847000000"),
            -0.46,
            "In januari 2026 was de uitvoer van M € 6.847 mln, 0,5% minder dan een jaar eerder.",
            "In January 2026 exports of M were €6,847 mln, 0.5% less than a year earlier.",
        ),
        (
            Decimal("12345678"),
            0.04,
            "In januari 2026 was de uitvoer van M € 12,3 mln, evenveel als een jaar eerder.",
            "In January 2026 exports of M were €12.3 mln, as much as a year earlier.",
        ),
        (
            Decimal("1234567"),
            None,
            "In januari 2026 was de uitvoer van M € 1,23 mln; een vergelijking met een jaar eerder is niet mogelijk.",
            "In January 2026 exports of M were €1.23 mln; no comparison with a year earlier is possible.",
        ),
        (
            None,
            None,
            "De totale uitvoer van M in januari 2026 is niet bekend.",
            "Total exports of M in January 2026 are not known.",
        ),
    ],
)
def test_total(total: Decimal | None, growth: float | None, dutch: str, english: str) -> None:
    told = month.describe_total({"month": MONTH, "total_eur": total, "total_growth_pct": growth}, texts.same("M"))
    assert (read(told, "nl"), read(told, "en")) == (dutch, english)


def test_largest_move_beyond_noise() -> None:
    rows = [
        move("US", "X", -0.84, share_r12_change_noise_pp=0.1, is_r12_change_beyond_noise=True),
        move("DE", "Y", 0.3, share_r12_change_noise_pp=0.5, is_r12_change_beyond_noise=False),
    ]
    assert read(month.describe_moves(rows)) == (
        "The largest change over 12 months: the share of the X fell from 5.84% to 5.00% (−0.84 percentage points). "
        "That is beyond noise (±0.10 percentage points). Changes in the table beyond noise: 1 of 2."
    )
    assert read(month.describe_moves(rows), "nl").startswith(
        "De grootste verschuiving over 12 maanden: het aandeel van de X daalde van 5,84% naar 5,00% "
        "(−0,84 procentpunt)."
    )


def test_largest_move_within_noise() -> None:
    rows = [move("DE", "Y", 0.3, share_r12_change_noise_pp=0.5, is_r12_change_beyond_noise=False)]
    assert "rose from 4.70% to 5.00%" in read(month.describe_moves(rows))
    assert "That is probably noise (±0.50 percentage points)." in read(month.describe_moves(rows))


def test_largest_move_without_a_yardstick() -> None:
    told = read(month.describe_moves([move("DE", "Y", 0.3)]))
    assert told.endswith("less than three years of figures cannot tell.")
    assert "Changes in the table" not in told


def test_moves_that_round_equal_are_a_tie() -> None:
    rows = [move("DE", "Y", 0.301), move("FR", "Z", -0.299), move("BE", "W", 0.1)]
    assert read(month.describe_moves(rows)) == (
        "The largest changes over 12 months are equally large: Y (+0.30 percentage points) and Z "
        "(−0.30 percentage points) (0.30 percentage points)."
    )


def test_no_move() -> None:
    assert read(month.describe_moves([move("DE", "Y", 0.001)]), "nl") == "Geen enkel aandeel verschoof over 12 maanden."


def test_united_states() -> None:
    row = move(
        "US", "X", -0.84, share_sa=0.0512, share_r12_change_noise_pp=0.9, is_r12_change_beyond_noise=False, share=0.06
    )
    assert read(month.describe_united_states(row)) == (
        "The share of the United States was 5.00% over 12 months (−0.84 percentage points on a year before). "
        "That is probably noise (±0.90 percentage points). "
        "In January 2026 itself it was 6.00%, seasonally adjusted 5.12%."
    )
    assert "needs three years" in read(month.describe_united_states({**row, "share_sa": None}))
    assert read(month.describe_united_states(None)) == "The share of the United States is not known for this month."
    assert "not known" in read(month.describe_united_states({**row, "share_r12": None}))


def test_map_with_one_country_above_one_percent() -> None:
    rows = [move("DE", "Y", 0, shown=0.4), move("FR", "Z", 0, shown=0.002)]
    assert read(map.describe_map(rows, [])) == (
        "One country has a share of at least 1%. The largest are Y (40.0%) and Z (0.2%). "
        "All destinations with a share are on the map."
    )
    assert "1 bestemmingen zijn te klein" in read(map.describe_map(rows, rows[1:]), "nl")


def test_shares_of_a_view() -> None:
    countries = {"DE": texts.same("Y"), "US": texts.same("X")}
    view: dict[str, Any] = {
        "basis": "month",
        "top": {"code": "DE", "share": 0.2, "change_pp": None},
        "us": {"code": "US", "share": 0.05, "change_pp": 0.1},
    }
    assert read(shares.describe_shares(view, formats.month(MONTH), countries)) == (
        "In January 2026, 20.0% went to Y, the largest destination. The share a year earlier is not known. "
        "5.0% went to the United States."
    )
    alone = {**view, "top": {"code": "US", "share": 0.2, "change_pp": -0.14}}
    assert read(shares.describe_shares(alone, formats.month(MONTH), countries)) == (
        "In January 2026, 20.0% went to the X, the largest destination. That is −0.1 percentage points on a year "
        "earlier."
    )
    assert shares.describe_shares({**view, "top": None}, formats.month(MONTH), countries) == []


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (12.0, "That is less concentrated than a year earlier (12.0 equal markets)."),
        (13.0, "That is more concentrated than a year earlier (13.0 equal markets)."),
        (12.54, "That is as concentrated as a year earlier."),
        # Figures that round to the same value count as equal.
        (12.45, "That is as concentrated as a year earlier."),
        (None, "The figure a year earlier is not known."),
    ],
)
def test_concentration(before: float | None, told: str) -> None:
    now = {"equivalent": 12.5, "hhi": 0.08, "top5": 0.532}
    assert read(concentration.describe_concentration(now, {"equivalent": before})) == (
        "Exports were as concentrated as over 12.5 equal markets (HHI 0.080); the five largest markets took 53.2% of "
        f"the exports assigned to countries. {told}"
    )


def test_share_change_with_and_without_weights() -> None:
    row = move("US", "X", -0.84, own_growth_pp=-0.9, rest_growth_pp=0.06, price_pp=0.1, volume_pp=-1.0, mix_pp=-0.001)
    assert read(change.describe_change(row)) == (
        "The share of the X changed by −0.84 percentage points: −0.90 from exports to it and +0.06 from exports to all "
        "other destinations. Of its own growth, +0.10 came from price, −1.00 from volume and 0.00 from mix."
    )
    assert read(change.describe_change({**row, "price_pp": None})).endswith(
        "Price and volume cannot be separated here: there are no weights."
    )


def exposure(code: str, status: str, value: int | None, **figures: Any) -> dict[str, Any]:
    return {
        "event_code": code,
        "month": MONTH,
        "destination_code": "US",
        "destination_name_nl": "Verenigde Staten",
        "destination_name_en": "United States",
        "status": status,
        "title_nl": f"heffing {code}",
        "title_en": f"tariff {code}",
        "rate_pct": 25.0,
        "value_eur": None if value is None else Decimal(value),
        "duty_lower_eur": None if value is None else Decimal(value) / 4,
        "duty_upper_eur": None if value is None else Decimal(value) / 4,
        "is_policy_known": True,
        **figures,
    }


def test_tariffs() -> None:
    expired = exposure("a", "expired", 10)
    assert read(tariffs.describe_tariffs([expired]), "nl") == (
        "In januari 2026 gold geen van de heffingen in de tabel op uitvoer naar de Verenigde Staten."
    )
    one = exposure("b", "effective", 120_000_000, duty_lower_eur=Decimal(0))
    assert read(tariffs.describe_tariffs([expired, one])) == (
        "In January 2026 one of the tariffs in the table applied to exports to the United States: tariff b (25%), on "
        "€120 mln; that is €0.00 mln to €30.0 mln in duty over the days in force."
    )
    assert read(tariffs.describe_tariffs([exposure("b", "effective", 120_000_000)])).endswith(
        "that is €30.0 mln in duty over the days in force."
    )
    no_rate = {"rate_pct": None, "duty_lower_eur": None, "duty_upper_eur": None}
    assert read(tariffs.describe_tariffs([exposure("d", "effective_rate_unknown", 120_000_000, **no_rate)])).endswith(
        "tariff d (rate not known), on €120 mln; the duty is not known."
    )
    unknown = exposure("c", "effective", None)
    assert "under: tariff b (25%)" in read(tariffs.describe_tariffs([one, unknown]))
    assert read(tariffs.describe_tariffs([unknown])) == (
        "Tariffs in the table that applied in January 2026 to exports to the United States: 1; the value is not "
        "published."
    )


def test_tariffs_later_than_their_list() -> None:
    known, later = exposure("a", "effective", 10), exposure("a", "effective", 10, is_policy_known=False)
    assert tariffs.describe_policy([known], date(2025, 12, 31)) == []
    assert read(tariffs.describe_policy([later], date(2025, 12, 31))) == (
        "The list of tariffs is known up to 31 December 2025; what changed later is not in it."
    )


def ledger(**figures: Any) -> dict[str, Any]:
    return {
        "baseline_method": "control_group",
        "baseline_eur": 600e6,
        "excess_eur": -20e6,
        "excess_lower_eur": -60e6,
        "excess_upper_eur": 20e6,
        "excess_pct": -3.3,
        "verdict": "none_found",
        "verdict_reason": None,
        "payback_months": 3,
        "payback_eur": 70e6,
        **figures,
    }


def test_excess_below_zero_keeps_its_signs() -> None:
    assert frontloading.describe_excess(ledger()) == {
        "nl": "€ 20,0 mln minder dan de verwachte € 600 mln (−3,3%; 95%-interval −€ 60,0 mln tot € 20,0 mln, methode "
        "controlegroep).",
        "en": "€20.0 mln less than the expected €600 mln (−3.3%; 95% interval −€60.0 mln to €20.0 mln, method control "
        "group).",
    }
    assert frontloading.describe_excess(ledger(excess_lower_eur=None))["en"] == (
        "how much more than expected cannot be computed."
    )


@pytest.mark.parametrize(
    ("verdict", "reason", "told"),
    [
        ("front_loaded", None, "A payback in the first 3 months is not established."),
        ("front_loaded_and_paid_back", None, "€70.0 mln less than expected in the first 3 months."),
        ("none_found", None, "although 10% more than expected would have been detected."),
        ("not_detectable", "too_few_months", "(fewer than three years of figures before the news)"),
    ],
)
def test_verdict(verdict: str, reason: str | None, told: str) -> None:
    assert told in frontloading.describe_verdict(ledger(verdict=verdict, verdict_reason=reason))["en"]


def test_opportunities_that_round_equal_are_a_tie() -> None:
    row = move(
        "MX",
        "M",
        0,
        opportunity_score=0.901,
        eu_value_r12_eur=Decimal("7e9"),
        eu_growth_pct=-2.0,
        share_in_eu_exports=None,
        usual_share_in_eu_exports=0.157,
        access_status="none",
    )
    other = {**row, "destination_name_en": "N", "opportunity_score": 0.899}
    told = read(opportunities.describe_opportunities([row, other], 93, texts.same("R")))
    assert "Of 93 scored markets outside the EU, M ranks first (0.90)" in told
    assert "(−2.0% on a year earlier), R had – of it against the usual 15.7%; market access: no agreement." in told
    assert told.endswith("Tied for first: M and N.")
    assert "Tied" not in read(opportunities.describe_opportunities([row], 93, texts.same("R")))


def test_peers() -> None:
    row = move("BE", "B", 0, share_in_eu_exports_all_markets=0.149, rca_eu=1.15, competitiveness_effect_eur=None)
    assert read(peers.describe_peers([row], texts.same("R"))) == (
        "Of EU exports to all markets, R had 14.9%; RCA 1.15: specialised in this group. "
        "Gains and losses require two complete years."
    )
    won = {**row, "competitiveness_effect_eur": Decimal("50e6")}
    lost = {**row, "destination_name_en": "I", "competitiveness_effect_eur": Decimal("-18e6")}
    told = read(peers.describe_peers([lost, won], texts.same("R")))
    assert "gained most in B: €50.0 mln from competitiveness." in told
    assert "It lost most in I: €18.0 mln." in told
    assert "lost" not in read(peers.describe_peers([won], texts.same("R")))
    assert "RCA –: cannot be computed" in read(peers.describe_peers([{**row, "rca_eu": None}], texts.same("R")))


def test_stress() -> None:
    row = move(
        "DE", "Y", 0, loss_eur=Decimal("4348e6"), loss_pct=5.14, volatility_before_pct=1.98, volatility_after_pct=1.99
    )
    assert read(stress.describe_stress(row)) == (
        "If exports to Y fall by a quarter, €4,348 mln (5.1%) of exports is lost, with other markets unchanged. "
        "The volatility of total exports goes from 1.98% to 1.99%."
    )
    assert "without four complete years" in read(stress.describe_stress({**row, "volatility_after_pct": None}))


def test_reconciliation() -> None:
    row = {
        "month": MONTH,
        "eurostat_eur": Decimal("72e9"),
        "cbs_excl_transit_eur": Decimal("53e9"),
        "eurostat_to_cbs_ratio": 1.358,
        "quasi_transit_eur": Decimal("19.5e9"),
        "residual_eur": Decimal("-0.5e9"),
        "unexplained_eur": Decimal(0),
    }
    told = read(reconciliation.describe_reconciliation(row))
    assert "Quasi-transit explains €19,500 mln; −€500 mln remains." in told
    assert told.endswith("Secrecy, rounding and later revisions can explain the remainder.")
    assert "cannot explain −€12.0 mln of it." in read(
        reconciliation.describe_reconciliation({**row, "unexplained_eur": Decimal("-12e6")})
    )
    assert "does not publish all parts" in read(
        reconciliation.describe_reconciliation({**row, "cbs_excl_transit_eur": None})
    )


def test_revisions_and_status() -> None:
    ages = [
        {
            "age_months": 3,
            "n_revisions_of_age": 1,
            "mean_revision_pct_of_age": -0.514,
            "mean_abs_revision_pct_of_age": 0.514,
        }
    ]
    assert read(revisions.describe_revisions(ages)) == (
        "A total that is 3 months old is revised by 0.51% on average in the next release (absolute; number of "
        "revisions: 1); signed, that is −0.51%."
    )
    datasets = [{"n_loads": 2}, {"n_loads": 0}]
    assert read(status.describe_status(datasets, [])) == "1 of 2 datasets are loaded; there are no check results."
    gates = [{"n_passed": 1200, "n_warned": 1, "n_failed": 0}]
    assert "Van de 1.201 controles" in read(status.describe_status(datasets, gates), "nl")


def test_numbers_in_both_languages() -> None:
    assert formats.number(-1234567.891, 2) == {"nl": "−1.234.567,89", "en": "−1,234,567.89"}
    # Round half away from zero, as the offices do.
    assert formats.number(1.25, 1) == {"nl": "1,3", "en": "1.3"}
    assert formats.number(-1.25, 1) == {"nl": "−1,3", "en": "−1.3"}
    assert formats.number(-0.001, 2, signed=True) == {"nl": "0,00", "en": "0.00"}
    assert formats.number(None, 2) == {"nl": "–", "en": "–"}
    assert formats.small_points(0.0002) == {"nl": "<0,001", "en": "<0.001"}
    assert formats.small_points(0) == {"nl": "0,000", "en": "0.000"}
    assert formats.euros(-18_800_000) == {"nl": "−€ 18,8 mln", "en": "−€18.8 mln"}
    assert texts.in_sentence("GB", {"nl": "VK", "en": "UK"}) == {"nl": "het VK", "en": "the UK"}


def test_sentence_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="month"):
        month.text("total_up", value="1", growth="1")


def test_origins() -> None:
    whole = {
        "scope_name_nl": "Fabricaten",
        "scope_name_en": "Manufactures",
        "domestic_product_share_r12": 0.473,
        "domestic_product_share_r12_change_pp": -0.94,
    }
    us = move(
        "US", "X", 0, domestic_product_share_r12=0.7, domestic_product_r12_growth_pct=4.5, re_export_r12_growth_pct=24.6
    )
    assert read(origins.describe_origins(whole, [move("DE", "Y", 0, domestic_product_share_r12=0.4), us])) == (
        "Of exports of manufactures, 47.3% was made in the Netherlands over 12 months "
        "(−0.9 percentage points on a year before). "
        "To the X it was 70.0% (Dutch product +4.5%, re-exports +24.6% on a year before)."
    )
    assert read(origins.describe_origins(whole, [{**us, "re_export_r12_growth_pct": None}])).endswith(
        "To the X it was 70.0%."
    )
    assert "To" not in read(origins.describe_origins(whole, []))
