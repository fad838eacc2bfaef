"""The sentences of the report: rows of the marts in, words in both languages out.

Every figure in a sentence is one of the rows'. Where it is missing the sentence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from publish.report.words import (
    Pair,
    enumerate_names,
    euros,
    growth,
    in_sentence,
    label,
    month,
    name_of,
    number,
    percent,
    points,
    say,
    small_points,
)

Row = dict[str, Any]

# What a reader sees of a change; two that look the same are called a tie.
CHANGE_DIGITS = 2


def tell_total(row: Row, scope: Pair) -> list[Pair]:
    """Say what was exported in the month, and how that compares with a year before.

    Parameters
    ----------
    row : dict
        ``month``, ``total_eur`` (euros), ``total_growth_pct`` (per cent); the last two may be missing.
    scope : dict of str to str
        Name of the product group, as it stands inside a sentence.
    """
    when = month(row["month"])
    if row["total_eur"] is None:
        return [say("total_unknown", month=when, scope=scope)]
    value, change = euros(row["total_eur"]), row["total_growth_pct"]
    if change is None:
        return [say("total_alone", month=when, scope=scope, value=value)]
    if round(change, 1) == 0:
        return [say("total_equal", month=when, scope=scope, value=value)]
    key = "total_up" if change > 0 else "total_down"
    return [say(key, month=when, scope=scope, value=value, growth=percent(abs(change) / 100))]


def tell_moves(rows: Sequence[Row]) -> list[Pair]:
    """Say which share moved most, and whether that is beyond its usual revision.

    Parameters
    ----------
    rows : sequence of dict
        Countries with a change of share, the largest first: ``share`` (0-1), ``share_year_before`` (0-1),
        ``share_change_pp``, ``usual_share_revision_pp`` (percentage points), ``is_change_beyond_revision``.
    """
    first = rows[0]
    size = round(abs(first["share_change_pp"]), CHANGE_DIGITS)
    if size == 0:
        return [say("move_none")]
    level = [row for row in rows if round(abs(row["share_change_pp"]), CHANGE_DIGITS) == size]
    if len(level) > 1:
        names = enumerate_names(
            say("named_share", name=_destination(row), share=points(row["share_change_pp"])) for row in level
        )
        told = [say("move_tie", countries=names, size=points(size, signed=False))]
    else:
        told = [
            say(
                "move_rose" if first["share_change_pp"] > 0 else "move_fell",
                country=_destination(first),
                before=percent(first["share_year_before"], 2),
                now=percent(first["share"], 2),
                change=points(first["share_change_pp"]),
            ),
            _tell_beyond(first),
        ]
    judged = [row for row in rows if row["is_change_beyond_revision"] is not None]
    if judged:
        beyond = sum(row["is_change_beyond_revision"] for row in judged)
        told.append(say("beyond_count", n=number(len(judged)), beyond=number(beyond)))
    return told


def tell_unusual(rows: Sequence[Row]) -> list[Pair]:
    """Say which countries' month is far from what their own history expects; nothing if none is.

    Parameters
    ----------
    rows : sequence of dict
        Countries with ``value_to_expected_ratio``, and ``unit_value_to_expected_ratio`` where there is a weight.
    """
    if not rows:
        return []
    names = enumerate_names(
        say("unusual_country", name=_destination(row), times=number(row["value_to_expected_ratio"], 1)) for row in rows
    )
    return [say("unusual", countries=names)]


def _tell_beyond(row: Row) -> Pair:
    if row["is_change_beyond_revision"] is None:
        return say("beyond_unknown")
    usual = say("points", value=small_points(row["usual_share_revision_pp"]))
    return say("beyond_yes" if row["is_change_beyond_revision"] else "beyond_no", usual=usual)


def tell_united_states(row: Row | None) -> list[Pair]:
    """Say what the share of the United States was, with and without the usual season."""
    if row is None or row["share"] is None:
        return [say("us_unknown")]
    now, change = percent(row["share"], 2), points(row["share_change_pp"])
    if row["share_sa"] is None:
        return [say("us_now_raw", now=now, change=change)]
    return [say("us_now", now=now, change=change, adjusted=percent(row["share_sa"], 2))]


def tell_map(rows: Sequence[Row], not_drawn: Sequence[Row]) -> list[Pair]:
    """Say how many countries have a share of weight, and what the map cannot show.

    Parameters
    ----------
    rows : sequence of dict
        Countries with a share, the largest first: ``shown`` (0-1).
    not_drawn : sequence of dict
        Those of them that are too small for the map, the largest first.
    """
    weighty = sum(row["shown"] >= 0.01 for row in rows)
    largest = enumerate_names(_named_share(row) for row in rows[:3])
    told = [
        say("map_lead_one", largest=largest) if weighty == 1 else say("map_lead", n=number(weighty), largest=largest),
    ]
    if not_drawn:
        told.append(say("map_not_drawn", n=number(len(not_drawn)), largest=_named_share(not_drawn[0])))
    else:
        told.append(say("map_all_drawn"))
    return told


def _named_share(row: Row) -> Pair:
    return say("named_share", name=_destination(row), share=percent(row["shown"], 1))


def tell_shares(view: Row, period: Pair, countries: dict[str, Pair]) -> list[Pair]:
    """Say where most of the exports of a view went, and how much to the United States.

    Parameters
    ----------
    view : dict
        Record of a view: ``top`` and ``us`` with ``code``, ``share`` (0-1) and ``change_pp``, ``basis``.
    period : dict of str to str
        The month, or the 12 months, in words.
    countries : dict
        Names by code.
    """
    top, us = view["top"], view["us"]
    if top is None:
        return []
    key = "shares_lead" if view["basis"] == "r12" else "shares_lead_month"
    told = [
        say(key, period=period, share=percent(top["share"]), country=in_sentence(top["code"], countries[top["code"]]))
    ]
    if top["change_pp"] is None:
        told.append(say("shares_no_change"))
    else:
        told.append(say("shares_change", change=points(top["change_pp"], 1)))
    if us is not None and us["code"] != top["code"]:
        told.append(say("shares_us", share=percent(us["share"])))
    return told


def tell_concentration(now: Row, before: Row | None) -> list[Pair]:
    """Say how concentrated exports are, and whether more so than a year before.

    Parameters
    ----------
    now, before : dict
        ``equivalent`` (number of markets), ``hhi`` (0-1), ``top5`` (0-1); of the year before it may be missing.
    """
    told = [
        say(
            "concentration_lead",
            equivalent=number(now["equivalent"], 1),
            hhi=number(now["hhi"], 3),
            top5=percent(now["top5"]),
        )
    ]
    if before is None or before["equivalent"] is None:
        return [*told, say("concentration_no_year")]
    change = round(now["equivalent"], 1) - round(before["equivalent"], 1)
    if change == 0:
        return [*told, say("concentration_equal")]
    key = "concentration_more" if change < 0 else "concentration_less"
    return [*told, say(key, before=number(before["equivalent"], 1))]


def tell_share_change(row: Row) -> list[Pair]:
    """Say what made a share change: own growth and the rest, and own growth by price, volume and mix.

    Parameters
    ----------
    row : dict
        Row of ``rpt_share_change``; the parts are percentage points of share.
    """
    told = [
        say(
            "change_lead",
            country=_destination(row),
            change=points(row["share_change_pp"]),
            own=_signed(row["own_growth_pp"]),
            rest=_signed(row["rest_growth_pp"]),
        )
    ]
    if row["price_pp"] is None:
        return [*told, say("change_no_split")]
    parts = {part: _signed(row[f"{part}_pp"]) for part in ("price", "volume", "mix")}
    return [*told, say("change_split", **parts)]


def tell_tariffs(rows: Sequence[Row]) -> list[Pair]:
    """Say which tariffs applied in a month, and on what value.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``rpt_tariff_exposure`` of one month with the titles of their events; at least one.
    """
    when, country = month(rows[0]["month"]), _destination(rows[0])
    applied = [row for row in rows if row["status"] == "effective"]
    if not applied:
        return [say("tariffs_none", month=when, country=country)]
    largest = max(applied, key=lambda row: (row["value_eur"] is not None, row["value_eur"] or 0, row["event_code"]))
    if largest["value_eur"] is None:
        return [say("tariffs_unknown", month=when, country=country, n=number(len(applied)))]
    told = [
        say(
            "tariffs_lead_one" if len(applied) == 1 else "tariffs_lead",
            month=when,
            country=country,
            n=number(len(applied)),
            title=name_of(largest, "title"),
            rate=percent(largest["rate_pct"] / 100, 0),
            value=euros(largest["value_eur"]),
            duty=euros(largest["duty_in_force_eur"]),
        )
    ]
    if largest["is_upper_bound"]:
        told.append(say("tariffs_bound"))
    return told


def tell_excess(row: Row) -> Pair:
    """Say how exports before a tariff compare with what was expected, by one method.

    Parameters
    ----------
    row : dict
        Row of ``rpt_frontloading``; amounts in euros.
    """
    excess = row["excess_eur"]
    if excess is None or row["excess_lower_eur"] is None:
        return say("excess_unknown")
    return say(
        "excess_above" if excess >= 0 else "excess_below",
        excess=euros(abs(excess)),
        baseline=euros(row["baseline_eur"]),
        pct=growth(row["excess_pct"]),
        lower=euros(row["excess_lower_eur"]),
        upper=euros(row["excess_upper_eur"]),
        method=label(f"method_{row['baseline_method']}"),
    )


def tell_verdict(row: Row) -> Pair:
    """Say what both methods together find, or why nothing can be told."""
    verdict = row["verdict"]
    return say(
        f"says_{verdict}",
        months=number(row["payback_months"]),
        payback=euros(row["payback_eur"]),
        reason=label(f"reason_{row['verdict_reason']}") if row["verdict_reason"] else label("unknown"),
    )


def tell_opportunities(rows: Sequence[Row], n_scored: int, reporter: Pair) -> list[Pair]:
    """Say which market comes first, and what makes it so.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``rpt_market_opportunities``, the best first.
    n_scored : int
        Markets that have a score.
    reporter : dict of str to str
        Name of the exporting country.
    """
    first = rows[0]
    told = [
        say(
            "opportunities_lead",
            n=number(n_scored),
            country=_destination(first),
            score=number(first["opportunity_score"], 2),
            value=euros(first["eu_value_r12_eur"]),
            growth=growth(first["eu_growth_pct"]),
            reporter=reporter,
            share=percent(first["share_in_eu_exports"]),
            usual=percent(first["usual_share_in_eu_exports"]),
            access=label(f"access_{first['access_status']}"),
        )
    ]
    level = [row for row in rows if round(row["opportunity_score"], 2) == round(first["opportunity_score"], 2)]
    if len(level) > 1:
        told.append(say("opportunities_tie", countries=enumerate_names(_destination(row) for row in level)))
    return told


def tell_peers(rows: Sequence[Row], reporter: Pair) -> list[Pair]:
    """Say what a member holds of the Union's exports, and where it won and lost most.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``rpt_eu_peer_position``, the largest markets.
    reporter : dict of str to str
        Name of the member.
    """
    first = rows[0]
    if first["rca_eu"] is None:
        judged = say("rca_unknown")
    else:
        judged = say("specialised" if first["rca_eu"] > 1 else "not_specialised")
    told = [
        say(
            "peers_lead",
            reporter=reporter,
            share=percent(first["share_in_eu_exports_all_markets"]),
            rca=number(first["rca_eu"], 2),
            specialised=judged,
        )
    ]
    known = [row for row in rows if row["competitiveness_effect_eur"] is not None]
    if not known:
        return [*told, say("peers_no_change")]
    ordered = sorted(known, key=lambda row: (-row["competitiveness_effect_eur"], row["destination_code"]))
    best, worst = ordered[0], ordered[-1]
    if best["competitiveness_effect_eur"] > 0:
        effect = euros(best["competitiveness_effect_eur"])
        told.append(say("peers_won", n=number(len(rows)), country=_destination(best), effect=effect))
    if worst["competitiveness_effect_eur"] < 0:
        effect = euros(-worst["competitiveness_effect_eur"])
        told.append(say("peers_lost", country=_destination(worst), effect=effect))
    return told


def tell_stress(row: Row) -> list[Pair]:
    """Say what is lost if a market falls by a quarter.

    Parameters
    ----------
    row : dict
        Row of ``rpt_diversification_stress``.
    """
    told = [
        say("stress_lead", country=_destination(row), loss=euros(row["loss_eur"]), pct=percent(row["loss_pct"] / 100))
    ]
    if row["volatility_before_pct"] is None or row["volatility_after_pct"] is None:
        return [*told, say("stress_no_volatility")]
    before, after = (percent(row[f"volatility_{when}_pct"] / 100, 2) for when in ("before", "after"))
    return [*told, say("stress_volatility", before=before, after=after)]


def tell_reconciliation(row: Row) -> list[Pair]:
    """Say how far the offices are apart for all goods, and what explains it.

    Parameters
    ----------
    row : dict
        Row of ``rpt_source_reconciliation`` for the total.
    """
    when, eurostat = month(row["month"]), euros(row["eurostat_eur"])
    if row["cbs_excl_transit_eur"] is None or row["residual_eur"] is None:
        return [say("reconciliation_unknown", month=when, eurostat=eurostat)]
    told = [
        say(
            "reconciliation_lead",
            month=when,
            eurostat=eurostat,
            cbs=euros(row["cbs_excl_transit_eur"]),
            ratio=number(row["eurostat_to_cbs_ratio"], 2),
            transit=euros(row["quasi_transit_eur"]),
            residual=euros(row["residual_eur"]),
        )
    ]
    if row["unexplained_eur"] is None:
        return told
    if row["unexplained_eur"] == Decimal(0):
        return [*told, say("reconciliation_explained")]
    return [*told, say("reconciliation_unexplained", unexplained=euros(row["unexplained_eur"]))]


def tell_revisions(rows: Sequence[Row]) -> list[Pair]:
    """Say how much a young total is usually revised.

    Parameters
    ----------
    rows : sequence of dict
        Ages with revisions, the youngest first: ``age_months``, ``n_revisions_of_age``,
        ``mean_revision_pct_of_age``, ``mean_abs_revision_pct_of_age``.
    """
    first = rows[0]
    return [
        say(
            "revisions_lead",
            age=number(first["age_months"]),
            size=percent(first["mean_abs_revision_pct_of_age"] / 100, 2),
            n=number(first["n_revisions_of_age"]),
            mean=growth(first["mean_revision_pct_of_age"], 2),
        )
    ]


def tell_status(datasets: Sequence[Row], gates: Sequence[Row]) -> list[Pair]:
    """Say how much is loaded, and how the checks went."""
    loaded = number(sum(row["n_loads"] > 0 for row in datasets))
    declared = number(len(datasets))
    if not gates:
        return [say("status_lead_no_checks", loaded=loaded, declared=declared)]
    counts = {name: sum(row[f"n_{name}"] for row in gates) for name in ("passed", "warned", "failed")}
    return [
        say(
            "status_lead",
            loaded=loaded,
            declared=declared,
            checks=number(sum(counts.values())),
            **{name: number(count) for name, count in counts.items()},
        )
    ]


def _signed(value: float | None) -> Pair:
    return number(value, CHANGE_DIGITS, signed=True)


def _destination(row: Row) -> Pair:
    return in_sentence(row["destination_code"], name_of(row, "destination_name"))


def _size(change: float) -> Pair:
    return percent(abs(change) / 100)
