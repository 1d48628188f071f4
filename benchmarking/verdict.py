"""Who wins under the objective, and why each other cell does not.

A limit is judged with the bounds of what was measured: a cell meets it when the whole interval
does, misses it when none of it does, and otherwise the sample does not show it. The winner is the
cheapest cell that meets the objective; among cells whose costs cannot be told apart, the fastest
at p99, and among those as fast the one with the least concurrency. No factor trades one for the
other: that choice is the reader's, on the Pareto front.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TypeVar

from benchmarking import wording
from benchmarking.findings import (
    Bounded,
    CellSummary,
    Judgement,
)
from benchmarking.records import Objective, Traffic

_T = TypeVar("_T")

# A p99 is met when at most this share misses.
MISSES_ALLOWED = 0.01


def has_limits(objective: Objective) -> bool:
    """Whether the user named any."""
    return objective.latency_p99_ms is not None or objective.throttle_share is not None


def describe(objective: Objective) -> str:
    """The objective in words: ``p99 at most 200 ms and at most 1 % throttled``."""
    parts = []
    if objective.latency_p99_ms is not None:
        parts.append(f"p99 at most {wording.ms(objective.latency_p99_ms)}")
    if objective.throttle_share is not None:
        parts.append(f"at most {wording.share(objective.throttle_share)} throttled")
    return " and ".join(parts) if parts else "none"


def judge(cell: CellSummary, objective: Objective) -> Judgement:
    """What the cell's sample shows about the objective."""
    if cell.state != "measured":
        return "not-judged"
    if not has_limits(objective):
        return "no-objective"
    parts = [within(cell.miss_share, MISSES_ALLOWED)]
    if objective.throttle_share is not None:
        parts.append(within(cell.throttle_share, objective.throttle_share))
    for worst in ("misses", "not-shown"):
        if worst in parts:
            return worst
    return "meets"


def within(share: Bounded | None, limit: float) -> Judgement:
    if share is None:
        return "not-shown"
    # No sample can show that something never happens; having seen none is the best there is.
    if share.high <= limit or (limit == 0 and share.value == 0):
        return "meets"
    return "misses" if share.low > limit else "not-shown"


def month_or_million(cell: CellSummary, traffic: Traffic | None) -> Bounded | None:
    """What cells are compared by: the month at the user's traffic, else a million requests."""
    if cell.cost is None:
        return None
    million = cell.cost.per_million
    if traffic is None:
        return million
    if cell.cost.per_month is None:
        return None
    # Only the part of the month that follows the measured duration is uncertain.
    millions = traffic.requests_per_month / 1e6
    month = cell.cost.per_month
    return Bounded(
        value=month,
        low=month - (million.value - million.low) * millions,
        high=month + (million.high - million.value) * millions,
    )


def apart(a: Bounded, b: Bounded) -> bool:
    """Whether two independently measured numbers differ by more than their uncertainty."""
    low, high = (a, b) if a.value <= b.value else (b, a)
    return high.value - low.value > math.hypot(low.high - low.value, high.value - high.low)


def pareto(cells: Sequence[CellSummary], traffic: Traffic | None) -> tuple[str, ...]:
    """Measured cells that no other beats in cost without losing in p99, by rising cost."""
    points = sorted(
        (cost.value, p99.value, cell.id)
        for cell in cells
        if cell.state == "measured"
        and (cost := month_or_million(cell, traffic)) is not None
        and (p99 := p99_of(cell)) is not None
    )
    front: list[str] = []
    fastest = math.inf
    for _, latency, cell_id in points:
        if latency < fastest:
            front.append(cell_id)
            fastest = latency
    return tuple(front)


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    winner: CellSummary | None
    tied: tuple[CellSummary, ...]
    by_cost: bool


def choose(cells: Sequence[CellSummary], objective: Objective, traffic: Traffic | None) -> Choice:
    """The winner among judged cells, and those whose cost cannot be told from the cheapest's."""
    fit = [cell for cell in cells if cell.judgement == "meets" and fits(cell)]
    if not has_limits(objective):
        # Without limits only a cell that beats all others in both wins: nothing is traded.
        front = pareto(cells, traffic)
        measured = [cell for cell in cells if cell.state == "measured"]
        fit = [cell for cell in measured if (cell.id,) == front] if len(measured) > 1 else []
    priced = [(cost, cell) for cell in fit if (cost := month_or_million(cell, traffic)) is not None]
    if priced:
        least = min((cost for cost, _ in priced), key=lambda cost: cost.value)
        near = [cell for cost, cell in priced if not apart(least, cost)]
        winner = _fastest(near)
        return Choice(winner, tuple(cell for cell in near if cell is not winner), by_cost=True)
    timed = [cell for cell in fit if p99_of(cell) is not None]
    if not timed:
        return Choice(None, (), by_cost=False)
    winner = _fastest(timed)
    best = p99_of(winner)
    tied = [c for c in timed if c is not winner and not apart(known(best), known(p99_of(c)))]
    return Choice(winner, tuple(tied), by_cost=False)


def fits(cell: CellSummary) -> bool:
    """Whether the user's traffic fits the cell's option, as far as that is known."""
    return cell.cost is None or cell.cost.fits


def _fastest(cells: Sequence[CellSummary]) -> CellSummary:
    """The fastest at p99; of those as fast, the one that takes least of the concurrency quota."""
    best = min(cells, key=p99_or_inf)
    limit = p99_of(best)
    if limit is None:
        return best
    near = [c for c in cells if (p99 := p99_of(c)) is not None and not apart(limit, p99)]
    return min(near, key=lambda c: (_concurrency(c), p99_or_inf(c)))


def _concurrency(cell: CellSummary) -> int:
    return 0 if cell.max_concurrency is None else cell.max_concurrency


def p99_of(cell: CellSummary) -> Bounded | None:
    return None if cell.latency is None else cell.latency.percentiles["p99"]


def p99_or_inf(cell: CellSummary) -> float:
    p99 = p99_of(cell)
    return math.inf if p99 is None else p99.value


def known(value: _T | None) -> _T:
    assert value is not None  # the caller has looked
    return value
