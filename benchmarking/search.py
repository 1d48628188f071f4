"""The smallest memory size, and then the smallest MaxConcurrency, that meet the user's objective.

Memory first: a size's latency does not depend on MaxConcurrency as long as nothing is throttled.
That much MaxConcurrency is known beforehand: when the objective holds, requests take no longer than
its latency on average, and Erlang's loss formula (Little's law with chance in it) says how many
places such requests need. Sizes are bisected. Then MaxConcurrency starts at what the formula says
for the measured time, is halved or doubled until it brackets the limit, and bisected.

A test ends early where its samples leave no doubt, either way. Otherwise it is decided at its end,
with the confidence of every other bound, by the rule of the report (``verdict``). Early looks ask
for so much more that they hardly add to the error (Haybittle 1971, Peto et al. 1976).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from benchmarking import statistics
from benchmarking.errors import RefusedError
from benchmarking.experiment import Experiment
from benchmarking.plan import Measurement, Placement, Trial
from benchmarking.preflight import Preflight
from benchmarking.queueing import erlang_b
from benchmarking.records import Sample, read_samples
from benchmarking.settings import Settings
from hosting import limits

# A p99 is within a limit when at most this share of requests is beyond it.
_BEYOND_P99: Final = 0.01
_DEFAULT_THROTTLE_SHARE: Final = 0.01
_FIRST_LOOK: Final = 100
_EARLY_CONFIDENCE: Final = 0.998
_MOST: Final = int(limits.SERVERLESS_MAX_CONCURRENCY.maximum or 0)


@dataclass(frozen=True, slots=True)
class Goal:
    """The objective with its defaults."""

    latency_s: float
    throttle_share: float

    @classmethod
    def of(cls, settings: Settings) -> Goal:
        """Read it from the arguments.

        Raises:
            RefusedError: there is no latency to search for.
        """
        objective = settings.objective
        if objective.latency_p99_ms is None:
            raise RefusedError("search needs --objective-p99-ms: the latency that is good enough")
        share = objective.throttle_share
        return cls(
            latency_s=objective.latency_p99_ms / 1000,
            throttle_share=_DEFAULT_THROTTLE_SHARE if share is None else share,
        )

    def verdict(
        self, samples: Sequence[Sample], confidence: float = statistics.CONFIDENCE
    ) -> bool | None:
        """Whether the samples show that it is met, or that it is missed, or neither."""
        throttled = [each.outcome == "throttle" for each in samples]
        slow = [
            each.outcome != "ok" or each.latency_s > self.latency_s
            for each in samples
            if each.outcome != "throttle"
        ]
        parts = [
            _within(throttled, self.throttle_share, confidence),
            _within(slow, _BEYOND_P99, confidence) if slow else False,
        ]
        if False in parts:
            return False
        return True if all(parts) else None


def trials(settings: Settings, flight: Preflight) -> list[Trial]:
    """About what a search takes: which tests it makes depends on their answers.

    Raises:
        RefusedError: there is nothing to search for, or no test could ever show it.
    """
    goal, measurement = Goal.of(settings), settings.open_loop()
    assert measurement.arrivals is not None, "an open loop has arrivals"
    measured = sum(offset_s >= measurement.warm_up_s for offset_s in measurement.arrivals)
    needed = statistics.minimum_count(99)
    if measured < needed:
        raise RefusedError(
            f"each test must have at least {needed} requests after its warm-up to show a p99, got"
            f" {measured}: take a longer --duration or a higher --rate"
        )
    most = places_for(settings.rate, goal.latency_s, goal.throttle_share)
    sizes = sorted(settings.memory_sizes)
    steps = len(sizes) if settings.exhaustive else math.ceil(math.log2(len(sizes) + 1))
    of_memory = [_trial(flight, measurement, size, most) for size in sizes[-steps:]]
    narrowed = range(min(most - 1, math.ceil(math.log2(most)) + 1))
    return [
        *of_memory,
        *(_trial(flight, measurement, sizes[-1], most - 1 - step) for step in narrowed),
    ]


def carry_out(experiment: Experiment, settings: Settings, flight: Preflight) -> None:
    """Search."""
    goal, measurement = Goal.of(settings), settings.open_loop()
    tests = _Tests(experiment, flight, measurement, goal)
    most = places_for(settings.rate, goal.latency_s, goal.throttle_share)
    sizes = sorted(settings.memory_sizes)
    if settings.exhaustive:
        tests.all_of(sizes, most)
    size = smallest(sizes, lambda each: tests.met(each, most))
    if size is None:
        experiment.recorder.note(
            f"no memory size was shown to hold p99 <= {goal.latency_s * 1000:g} ms with throttles"
            f" <= {goal.throttle_share:.2%} at {settings.rate:g} requests per second"
        )
        return
    mean_s = tests.mean_s(size, most)
    guess = min(most, places_for(settings.rate, mean_s, goal.throttle_share))
    concurrency = narrow(guess, most, lambda each: tests.met(size, each))
    experiment.recorder.note(
        f"search: {size} MB and MaxConcurrency {concurrency} are the smallest that were shown to"
        f" hold p99 <= {goal.latency_s * 1000:g} ms with throttles <= {goal.throttle_share:.2%} at"
        f" {settings.rate:g} requests per second"
    )


class _Tests:
    """Answers whether a size meets the goal, each by one endpoint."""

    def __init__(
        self, experiment: Experiment, flight: Preflight, measurement: Measurement, goal: Goal
    ) -> None:
        self._experiment = experiment
        self._flight = flight
        self._measurement = measurement
        self._goal = goal

    def all_of(self, sizes: Sequence[int], concurrency: int) -> None:
        """Test all sizes, deployed together."""
        self._measure([(size, concurrency) for size in sizes])

    def met(self, size: int, concurrency: int) -> bool:
        """Whether the samples show that the goal is met; undecided is not."""
        return self._goal.verdict(self._samples(size, concurrency)) is True

    def mean_s(self, size: int, concurrency: int) -> float:
        """How long a request takes on average."""
        times = [
            each.service_time_s for each in self._samples(size, concurrency) if each.outcome == "ok"
        ]
        return sum(times) / len(times)

    def _samples(self, size: int, concurrency: int) -> list[Sample]:
        cell_id = self._measure([(size, concurrency)])
        return [
            each
            for each in read_samples(self._experiment.recorder.folder)
            if each.cell == cell_id and each.phase == "measure"
        ]

    def _measure(self, sizes: Sequence[tuple[int, int]]) -> str | None:
        planned = [_trial(self._flight, self._measurement, *each) for each in sizes]
        cells = self._experiment.measure(planned, enough=_enough(self._goal))
        if not cells or cells[0].error is not None:
            return None
        client = cells[0].client
        if client is not None and not client.valid:
            self._experiment.recorder.note(
                f"search: {cells[0].id} is INVALID and counts as not met; the client was the"
                " bottleneck, so a smaller size may do"
            )
            return None
        return cells[0].id


def _enough(goal: Goal) -> Callable[[list[Sample]], bool]:
    """Looks after 100, 200, 400 … requests."""

    def decided(samples: list[Sample]) -> bool:
        ratio, rest = divmod(len(samples), _FIRST_LOOK)
        if rest or ratio & (ratio - 1):
            return False
        in_order = sorted(samples, key=lambda each: each.number)
        return goal.verdict(in_order, _EARLY_CONFIDENCE) is not None

    return decided


def _within(flags: Sequence[bool], limit: float, confidence: float) -> bool | None:
    if not flags:
        return None
    estimate = statistics.share_of(flags, confidence)
    if estimate.high <= limit:
        return True
    return False if estimate.low > limit else None


def places_for(rate: float, service_s: float, throttle_share: float) -> int:
    """The smallest MaxConcurrency that Erlang's loss formula says is enough."""
    load = Decimal(str(rate)) * Decimal(str(service_s))
    for places in range(1, _MOST + 1):
        if erlang_b(places, load) <= Decimal(str(throttle_share)):
            return places
    return _MOST


def smallest(sizes: Sequence[int], met: Callable[[int], bool]) -> int | None:
    """The first of rising sizes that meets the goal, when all beyond it do."""
    low, high = 0, len(sizes)
    while low < high:
        middle = (low + high) // 2
        if met(sizes[middle]):
            high = middle
        else:
            low = middle + 1
    return sizes[low] if low < len(sizes) else None


def narrow(guess: int, most: int, met: Callable[[int], bool]) -> int:
    """The smallest value that meets the goal; ``most`` is known to."""
    low, high = 0, most  # low is known to fail: there is no MaxConcurrency of 0
    step = guess
    if step < most and met(step):
        high = step
        while step > 1 and met(step // 2):
            step = high = step // 2
        low = step // 2
    elif step < most:
        low = step
        while low * 2 < most and not met(low * 2):
            low *= 2
        high = min(low * 2, most)
    while high - low > 1:
        middle = (low + high) // 2
        if met(middle):
            high = middle
        else:
            low = middle
    return high


def _trial(flight: Preflight, measurement: Measurement, size: int, concurrency: int) -> Trial:
    placement = Placement(option="serverless", memory_size_mb=size, max_concurrency=concurrency)
    return Trial(
        placement=placement,
        measurements=[measurement],
        infeasible=flight.infeasible(placement),
    )
