"""Which requests to a serverless endpoint met a cold start, told from what the client saw.

AWS's answers do not say. Two rules, each for the requests that it is sound for:

- Requests that follow one another: an environment answers one request at a time and is used again,
  so a request is cold when as many others were under way as there were environments, and warm
  otherwise. How many there are before the first request is unknown, unless they are provisioned,
  so the first request stays unmarked. A request that was sent within a network's delay of the end
  of another may be judged wrongly.
- Requests after a gap: how long environments are kept is not documented, so the time decides. A
  request is cold when it took longer than each of the n warm ones before the gaps; a warm request
  would do that once in n + 1 times.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarking.plan import Placement
from benchmarking.records import Cell, Outcome

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
        for position in sorted(range(len(rows)), key=lambda each: rows[each].sent_s):
            row = rows[position]
            if row.outcome in _NOT_SERVED:
                continue
            while ends and ends[0] <= row.sent_s:
                heapq.heappop(ends)
            if self._environments is None:
                self._environments = 1
            else:
                marks[position] = len(ends) >= self._environments
                self._environments = max(self._environments, len(ends) + 1)
            heapq.heappush(ends, row.done_s)
        self._warm_s += [
            row.done_s - row.sent_s
            for row, mark in zip(rows, marks, strict=True)
            if mark is False and row.outcome == "ok"
        ]
        return marks

    def _after_gap(self, rows: Sequence[Row]) -> list[bool | None]:
        if not self._warm_s:
            return [None] * len(rows)
        slowest_s = max(self._warm_s)
        return [
            row.done_s - row.sent_s > slowest_s if row.outcome == "ok" else None for row in rows
        ]
