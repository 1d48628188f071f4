"""The recommendation in one sentence with its numbers, and each cell's verdict in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from benchmarking import wording
from benchmarking.findings import CellSummary, Recommendation
from benchmarking.records import Objective, Traffic, Verb
from benchmarking.verdict import (
    MISSES_ALLOWED,
    Choice,
    choose,
    describe,
    fits,
    has_limits,
    judge,
    known,
    month_or_million,
    p99_of,
    p99_or_inf,
    within,
)

_LISTED_MOST: Final = 3
_SLOWER: Final = "slower than the recommended one"


def recommend(
    cells: Sequence[CellSummary], objective: Objective, traffic: Traffic | None, verb: Verb
) -> tuple[Recommendation, tuple[CellSummary, ...]]:
    """The recommendation, and the cells each with its verdict."""
    judged = tuple(dataclasses.replace(cell, judgement=judge(cell, objective)) for cell in cells)
    # Cells of these differ by load or gap, not only by what could be chosen.
    choice = (
        Choice(None, (), by_cost=False)
        if verb in ("concurrency", "cold")
        else choose(judged, objective, traffic)
    )
    recommendation = Recommendation(
        sentence=_sentence(choice, judged, objective, traffic),
        cell=None if choice.winner is None else choice.winner.id,
        tied=tuple(cell.id for cell in choice.tied),
        basis=_basis(choice, objective, traffic),
    )
    explained = tuple(
        dataclasses.replace(cell, verdict=_verdict(cell, choice, objective, traffic))
        for cell in judged
    )
    return recommendation, explained


def _sentence(
    choice: Choice,
    cells: Sequence[CellSummary],
    objective: Objective,
    traffic: Traffic | None,
) -> str:
    measured = [cell for cell in cells if cell.state == "measured"]
    if not measured:
        return _nothing_measured(cells)
    if choice.winner is not None:
        return _winning_sentence(choice, objective, traffic)
    if has_limits(objective):
        return _nothing_meets(measured, objective, out_of=len(cells))
    if len(measured) == 1:
        return f"{measured[0].label}: {_figures(measured[0], traffic)}. Nothing was compared."
    return _without_objective(measured, traffic)


def _nothing_measured(cells: Sequence[CellSummary]) -> str:
    invalid = sum(cell.state == "invalid" for cell in cells)
    if not invalid:
        return "Nothing can be recommended: no cell was measured whole."
    where = f"{invalid} cell{'s' if invalid != 1 else ''}"
    return (
        f"Nothing can be recommended: in {where} the client was the bottleneck, and no other was "
        "measured whole. Use a less busy machine, or less load."
    )


def _nothing_meets(measured: Sequence[CellSummary], objective: Objective, *, out_of: int) -> str:
    wanted = describe(objective)
    undecided = [cell.label for cell in measured if cell.judgement == "not-shown"]
    if undecided:
        where = _listed(undecided) if len(undecided) <= _LISTED_MOST else f"{len(undecided)} cells"
        return (
            f"Nothing is shown to meet the objective ({wanted}): the samples are too small to "
            f"decide for {where}. Measure longer."
        )
    if any(cell.judgement == "meets" for cell in measured):
        return f"What meets the objective ({wanted}) is too small for this traffic."
    if len(measured) < out_of:
        return (
            f"Nothing that was measured validly ({len(measured)} of {out_of} cells) meets the "
            f"objective ({wanted})."
        )
    return f"Nothing meets the objective ({wanted})."


def _winning_sentence(choice: Choice, objective: Objective, traffic: Traffic | None) -> str:
    winner = known(choice.winner)
    why = (
        f"meets {describe(objective)}"
        if has_limits(objective)
        else "is both the cheapest and the fastest"
    )
    text = f"Use {winner.label}: it {why} ({_figures(winner, traffic)})"
    if has_limits(objective) and choice.by_cost:
        text += ", and nothing cheaper was shown to"
    elif has_limits(objective):
        text += ", and nothing faster was shown to; no price is known"
    if choice.tied:
        quantity = "cost" if choice.by_cost else "p99"
        text += (
            f". In {quantity} it cannot be told apart from "
            f"{_listed([cell.label for cell in choice.tied])}"
        )
    return text + "."


def _without_objective(measured: Sequence[CellSummary], traffic: Traffic | None) -> str:
    priced = [cell for cell in measured if month_or_million(cell, traffic) is not None]
    timed = [cell for cell in measured if p99_of(cell) is not None]
    parts = []
    if priced:
        cheapest = min(priced, key=lambda cell: known(month_or_million(cell, traffic)).value)
        parts.append(f"{cheapest.label} is the cheapest ({_figures(cheapest, traffic)})")
    if timed:
        fastest = min(timed, key=p99_or_inf)
        parts.append(f"{fastest.label} the fastest at p99 ({_figures(fastest, traffic)})")
    if not parts:
        return "No objective was given, and the samples are too small for a p99."
    return f"No objective was given, so none wins: {'; '.join(parts)}."


def _figures(cell: CellSummary, traffic: Traffic | None) -> str:
    p99 = p99_of(cell)
    parts = [] if p99 is None else [f"p99 {wording.bounds_ms(p99)}"]
    if cell.cost is not None:
        if traffic is not None and cell.cost.per_month is not None:
            month = wording.usd(cell.cost.per_month)
            parts.append(
                f"{month} a month for {wording.count(traffic.requests_per_month)} requests"
            )
        else:
            parts.append(f"{wording.usd(cell.cost.per_million.value)} per million requests")
    return ", ".join(parts) if parts else "no p99 and no cost known"


def _basis(choice: Choice, objective: Objective, traffic: Traffic | None) -> str:
    if not has_limits(objective):
        return "without an objective, only a cell that is both the cheapest and the fastest wins"
    if choice.winner is not None and not choice.by_cost:
        return "the fastest at p99 of those shown to meet the objective; no price is known"
    quantity = "month at this traffic" if traffic is not None else "million requests"
    return (
        f"the cheapest {quantity} of those shown to meet the objective; "
        "the fastest of those whose costs cannot be told apart"
    )


def _verdict(
    cell: CellSummary, choice: Choice, objective: Objective, traffic: Traffic | None
) -> str:
    if choice.winner is not None and cell.id == choice.winner.id:
        return "recommended"
    reason = "; ".join(cell.reasons)
    fixed = {
        "invalid": f"INVALID, the client was the bottleneck: {reason}",
        "not-possible": f"not possible: {reason}",
        "failed": f"failed: {reason}",
        "not-run": f"not run: {reason}",
    }.get(cell.state)
    if fixed is not None:
        return fixed
    if cell.judgement == "misses":
        return _why_it_misses(cell, objective)
    if cell.judgement == "not-shown":
        return _why_it_is_open(cell, objective)
    return _against_winner(cell, choice, traffic)


def _against_winner(cell: CellSummary, choice: Choice, traffic: Traffic | None) -> str:
    if cell.cost is not None and cell.cost.limit is not None and not fits(cell):
        most = wording.count(cell.cost.limit)
        return f"too small: the busiest hour fits up to {most} requests per month"
    if any(cell.id == other.id for other in choice.tied):
        return f"as good: {'cost' if choice.by_cost else 'p99'} cannot be told apart"
    if choice.winner is None:
        return "meets the objective" if cell.judgement == "meets" else "no objective to judge by"
    return _against(cell, choice.winner, traffic) if choice.by_cost else _SLOWER


def _against(cell: CellSummary, winner: CellSummary, traffic: Traffic | None) -> str:
    cost, best = month_or_million(cell, traffic), month_or_million(winner, traffic)
    if cost is None:
        return f"no price: {cell.cost_missing}"
    best = known(best)
    if best.value > 0 and cost.value > best.value:
        unit = "a month" if traffic is not None else "per million"
        return (
            f"too dear: {wording.usd(cost.value)} {unit}, "
            f"{wording.number(cost.value / best.value)} times the recommended"
        )
    return _SLOWER


def _why_it_misses(cell: CellSummary, objective: Objective) -> str:
    reasons = []
    limit = objective.throttle_share
    if limit is not None and within(cell.throttle_share, limit) == "misses":
        found = wording.bounds_share(known(cell.throttle_share))
        reasons.append(f"throttles: {found} of the requests, allowed {wording.share(limit)}")
    if within(cell.miss_share, MISSES_ALLOWED) == "misses":
        reasons.append(_why_too_many_miss(cell, objective))
    return "; ".join(reasons)


def _why_too_many_miss(cell: CellSummary, objective: Objective) -> str:
    if objective.throttle_share is None and within(cell.throttle_share, MISSES_ALLOWED) == "misses":
        return f"throttles: {wording.bounds_share(known(cell.throttle_share))} of the requests"
    if within(cell.error_share, MISSES_ALLOWED) == "misses":
        failures = ", ".join(
            f"{outcome} {many}"
            for outcome, many in cell.outcomes.items()
            if outcome not in ("ok", "throttle") and many
        )
        return (
            f"fails: {wording.bounds_share(known(cell.error_share))} of the requests ({failures})"
        )
    p99 = p99_of(cell)
    shown = "" if p99 is None else f"p99 {wording.bounds_ms(p99)}; "
    limit = objective.latency_p99_ms
    if limit is None:
        return f"misses: {wording.bounds_share(known(cell.miss_share))} of the requests failed"
    missing = wording.bounds_share(known(cell.miss_share))
    late = f"took longer than {wording.ms(limit)} or failed"
    return f"too slow: {shown}{missing} of the requests {late}"


def _why_it_is_open(cell: CellSummary, objective: Objective) -> str:
    parts = []
    if within(cell.miss_share, MISSES_ALLOWED) == "not-shown":
        if cell.miss_share is None:
            parts.append("no request was answered or failed")
        else:
            what = (
                "fail"
                if objective.latency_p99_ms is None
                else f"exceed {wording.ms(objective.latency_p99_ms)} or fail"
            )
            low, high = wording.ends(cell.miss_share, 100)
            parts.append(f"between {low} and {high} % of the requests {what}, allowed is 1 %")
    limit = objective.throttle_share
    if limit is not None and within(cell.throttle_share, limit) == "not-shown":
        if cell.throttle_share is None:
            parts.append("no request was sent")
        else:
            found = wording.bounds_share(cell.throttle_share)
            parts.append(f"{found} throttled, allowed is {wording.share(limit)}")
    return f"not enough samples ({cell.requests:,}): {'; '.join(parts)}"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{'; '.join(items[:-1])} and {items[-1]}"
