"""A run's samples as columns: what summaries and charts compute from, small enough for a million.

A sample as an object takes half a kilobyte; as columns it takes 36 bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from benchmarking.records import Outcome, RecordError, Run, Sample

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
OK: Final = OUTCOMES.index("ok")
THROTTLE: Final = OUTCOMES.index("throttle")

# Whether a cold start was part of a request.
UNKNOWN, WARM, COLD = 0, 1, 2


@dataclass(kw_only=True, slots=True)
class Observations:
    """The measured requests of one cell, in the order of the plan, and its warm-up's count.

    All columns have one entry per measured request.

    Args:
        planned_s: when the plan wanted it sent (when it was sent, in a closed loop), since the
            start of the cell.
        latency_ms: from then to the whole answer.
        service_ms: from the sending to the whole answer.
        outcome: position in ``OUTCOMES``.
        cold: ``UNKNOWN``, ``WARM`` or ``COLD``.
    """

    cell: str
    planned_s: array[float] = field(default_factory=lambda: array("d"))
    latency_ms: array[float] = field(default_factory=lambda: array("d"))
    service_ms: array[float] = field(default_factory=lambda: array("d"))
    request_bytes: array[int] = field(default_factory=lambda: array("l"))
    response_bytes: array[int] = field(default_factory=lambda: array("l"))
    outcome: bytearray = field(default_factory=bytearray)
    cold: bytearray = field(default_factory=bytearray)
    warm_up: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.outcome)

    def add(self, sample: Sample) -> None:
        """Take in a sample of this cell."""
        if sample.phase == "warm-up":
            self.warm_up += 1
            return
        planned_s = sample.sent_s if sample.intended_s is None else sample.intended_s
        self.planned_s.append(planned_s)
        # Differences of clock readings are known to the nanosecond. What floats add beyond it would
        # put equal times in an order, and the order would look like dependence.
        self.latency_ms.append(round(sample.latency_s * 1e3, 6))
        self.service_ms.append(round(sample.service_time_s * 1e3, 6))
        self.request_bytes.append(sample.request_bytes)
        self.response_bytes.append(sample.response_bytes)
        self.outcome.append(OUTCOMES.index(sample.outcome))
        self.cold.append(UNKNOWN if sample.cold is None else COLD if sample.cold else WARM)
        if sample.error is not None:
            self.errors[sample.error] = self.errors.get(sample.error, 0) + 1

    def sort(self) -> None:
        """Put the requests in the order of the plan: files hold them in that of their ends."""
        planned = self.planned_s
        order = sorted(range(len(planned)), key=planned.__getitem__)
        for name in ("planned_s", "latency_ms", "service_ms", "request_bytes", "response_bytes"):
            column: array[Any] = getattr(self, name)
            setattr(self, name, array(column.typecode, map(column.__getitem__, order)))
        self.outcome = bytearray(map(self.outcome.__getitem__, order))
        self.cold = bytearray(map(self.cold.__getitem__, order))

    def count(self, outcome: Outcome) -> int:
        """How many measured requests ended so."""
        return self.outcome.count(OUTCOMES.index(outcome))

    def answered_ms(self, column: array[float], *, cold: int | None = None) -> list[float]:
        """One of the time columns, of the requests that were answered well.

        Args:
            cold: of those that are ``COLD`` or ``WARM`` only.
        """
        return [
            value
            for value, outcome, is_cold in zip(column, self.outcome, self.cold, strict=True)
            if outcome == OK and (cold is None or is_cold == cold)
        ]

    def flags(self, *outcomes: Outcome, among: Collection[Outcome] = OUTCOMES) -> list[bool]:
        """Whether each request ended in one of these ways, of those that ended ``among`` some."""
        wanted = {OUTCOMES.index(outcome) for outcome in outcomes}
        counted = {OUTCOMES.index(outcome) for outcome in among}
        return [outcome in wanted for outcome in self.outcome if outcome in counted]

    def samples(self) -> Iterator[Sample]:
        """The measured requests as samples, without what the columns do not keep."""
        for number, outcome in enumerate(self.outcome):
            done_s = self.planned_s[number] + self.latency_ms[number] / 1e3
            cold = self.cold[number]
            yield Sample(
                cell=self.cell,
                number=number,
                phase="measure",
                payload=0,
                intended_s=self.planned_s[number],
                sent_s=done_s - self.service_ms[number] / 1e3,
                first_byte_s=None,
                done_s=done_s,
                status=None,
                outcome=OUTCOMES[outcome],
                error=None,
                request_bytes=self.request_bytes[number],
                response_bytes=self.response_bytes[number],
                cold=None if cold == UNKNOWN else cold == COLD,
            )

    @property
    def span_s(self) -> float | None:
        """From the first planned request to the last answer; None without a request."""
        if not self.outcome:
            return None
        ended = (
            planned + latency / 1e3
            for planned, latency in zip(self.planned_s, self.latency_ms, strict=True)
        )
        return max(ended) - min(self.planned_s)

    @property
    def offered_span_s(self) -> float | None:
        """Time that the planned requests fill; None with fewer than two.

        A plan of n requests has n - 1 gaps between its first and last; the n-th is added, so that
        n requests over this span are the offered rate.
        """
        n = len(self.outcome)
        if n < 2:
            return None
        between = max(self.planned_s) - min(self.planned_s)
        return between * n / (n - 1)


def collect(run: Run, samples: Iterable[Sample]) -> dict[str, Observations]:
    """Sort samples by cell; every cell of the run has an entry, in the run's order.

    Raises:
        RecordError: a sample belongs to no cell of the run.
    """
    by_cell = {cell.id: Observations(cell=cell.id) for cell in run.cells}
    for sample in samples:
        if sample.cell not in by_cell:
            known = ", ".join(by_cell) if by_cell else "none"
            raise RecordError(
                f"cell of sample {sample.number} must be one of the run's ({known}), "
                f"got {sample.cell}"
            )
        by_cell[sample.cell].add(sample)
    for observations in by_cell.values():
        observations.sort()
    return by_cell


def pooled(parts: Iterable[Observations]) -> Observations:
    """The requests of several cells as if they were one's, one cell after the other."""
    whole: Observations | None = None
    for part in parts:
        if whole is None:
            whole = Observations(cell=part.cell)
        for name in ("planned_s", "latency_ms", "service_ms", "request_bytes", "response_bytes"):
            getattr(whole, name).extend(getattr(part, name))
        whole.outcome += part.outcome
        whole.cold += part.cold
        whole.warm_up += part.warm_up
    if whole is None:
        raise ValueError("parts must hold at least one cell, got none")
    return whole
