"""Which requests to a serverless endpoint met a cold start, told from what the client saw.

AWS's answers do not say. Two rules, each for the requests that it is sound for:

- Requests that follow one another: an environment answers one request at a time and is used again,
  so a request is cold when as many others were under way as there were environments, and warm
  otherwise. A request that was sent within a network's delay of the end of another may be judged
  wrongly. Whether there is an environment before the first request is unknown, unless it is
  provisioned, so the time decides: the next rule.
- Requests after a gap, and the first: how long environments are kept is not documented. A request
  is cold when it took longer than each of n warm ones; a warm request would do that once in n + 1
  times. The first stays unmarked when it is not cold by this rule, or n is small. Where CloudWatch
  has counted the cold starts after a gap, as many of the slowest requests are the cold ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarking.plan import Placement
from benchmarking.records import Cell, Outcome

_WARM_REQUESTS: Final = 100
# A request with these ends was not in an environment, as far as the client can tell.
_NOT_SERVED: Final[frozenset[Outcome]] = frozenset({"throttle", "connection"})


@dataclass(frozen=True, slots=True)
class Row:
    """What is looked at of a request; times as in ``Sample``."""

    sent_s: float
    done_s: float
    outcome: Outcome


class Coldness:
    """The environments of one endpoint, over its cells."""

    def __init__(self, placement: Placement) -> None:
        self._applies = placement.is_serverless
        self._environments = placement.provisioned_concurrency
        self._warm_s: list[float] = []

    def mark(self, cell: Cell, rows: Sequence[Row]) -> list[bool | None]:
        """Whether each request was cold; None where that cannot be told."""
        if not self._applies:
            return [None] * len(rows)
        if cell.gap_s is not None:
            return self._after_gap(rows)
        marks: list[bool | None] = [None] * len(rows)
        ends: list[float] = []
        first: int | None = None
        for position in sorted(range(len(rows)), key=lambda each: rows[each].sent_s):
            row = rows[position]
            if row.outcome in _NOT_SERVED:
                continue
            while ends and ends[0] <= row.sent_s:
                heapq.heappop(ends)
            if self._environments is None:
                self._environments, first = 1, position
            else:
                marks[position] = len(ends) >= self._environments
                self._environments = max(self._environments, len(ends) + 1)
            heapq.heappush(ends, row.done_s)
        self._warm_s += [
            row.done_s - row.sent_s
            for row, mark in zip(rows, marks, strict=True)
            if mark is False and row.outcome == "ok"
        ]
        if first is not None and self._is_slowest(rows[first]):
            marks[first] = True
        return marks

    def _is_slowest(self, row: Row) -> bool:
        enough = len(self._warm_s) >= _WARM_REQUESTS and row.outcome == "ok"
        return enough and row.done_s - row.sent_s > max(self._warm_s)

    def _after_gap(self, rows: Sequence[Row]) -> list[bool | None]:
        if not self._warm_s:
            return [None] * len(rows)
        slowest_s = max(self._warm_s)
        return [
            row.done_s - row.sent_s > slowest_s if row.outcome == "ok" else None for row in rows
        ]


def slowest(rows: Sequence[Row], count: int) -> list[bool | None]:
    """Mark as many of the requests that were answered, the slowest first."""
    answered = [position for position, row in enumerate(rows) if row.outcome == "ok"]
    answered.sort(key=lambda each: rows[each].sent_s - rows[each].done_s)
    marks: list[bool | None] = [None] * len(rows)
    for rank, position in enumerate(answered):
        marks[position] = rank < count
    return marks
