"""The user's month as costs see it: how many requests, and how they spread over the day."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

from benchmarking.records import Traffic

HOURS: Final = 24
_EVEN: Final = (Decimal(1),) * HOURS
# Where the busiest hour stands says nothing about costs; this one reads well in a chart.
_BUSIEST_HOUR: Final = 14


@dataclass(frozen=True)
class Day:
    """How a month's requests spread over the hours of its days, all days alike.

    Args:
        shape: each hour's rate over the mean rate; the mean of the 24 is 1.
    """

    shape: tuple[Decimal, ...] = _EVEN

    def __post_init__(self) -> None:
        if len(self.shape) != HOURS or min(self.shape) < 0 or sum(self.shape) != HOURS:
            raise ValueError(
                f"shape must be {HOURS} rates over the mean rate, 0 or more, with a sum of"
                f" {HOURS}, got {len(self.shape)} with a sum of {sum(self.shape)}"
            )

    @property
    def peak(self) -> Decimal:
        """The busiest hour's rate over the mean rate."""
        return max(self.shape)

    @cached_property
    def levels(self) -> tuple[tuple[Decimal, int], ...]:
        """Each rate over the mean rate that occurs, and in how many of the 24 hours."""
        return tuple(sorted(Counter(self.shape).items()))


def day_of(traffic: Traffic) -> Day:
    """The day that a run's traffic describes.

    Raises:
        ValueError: the traffic is none that exists.
    """
    if not (math.isfinite(traffic.requests_per_month) and traffic.requests_per_month > 0):
        raise ValueError(
            f"requests_per_month must be above 0 and finite, got {traffic.requests_per_month}"
        )
    if traffic.hourly is not None:
        return from_weights(traffic.hourly)
    return with_peak(traffic.peak_to_mean)


def from_weights(weights: Sequence[float]) -> Day:
    """A day of 24 hours in proportion to ``weights``.

    Raises:
        ValueError: there are not 24, one is negative or not finite, or all are 0.
    """
    if len(weights) != HOURS:
        raise ValueError(f"hourly must have {HOURS} weights, got {len(weights)}")
    for hour, weight in enumerate(weights):
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight of hour {hour} must be 0 or more and finite, got {weight}")
    exact = [Decimal(str(weight)) for weight in weights]
    total = sum(exact)
    if total == 0:
        raise ValueError("hourly must have a weight above 0, got zeros")
    return Day(_normalized([weight * HOURS / total for weight in exact]))


def with_peak(peak_to_mean: float) -> Day:
    """A day with one busy time, whose busiest hour has this rate over the mean rate.

    The shape is a von Mises curve, the bell of the circle: the one with the most entropy among
    those of its mean direction and spread, so that nothing but the peak is assumed.

    Raises:
        ValueError: it is not within 1 (every hour alike) and 24 (all in one hour).
    """
    if not 1 <= peak_to_mean <= HOURS:
        raise ValueError(f"peak_to_mean must be between 1 and {HOURS}, got {peak_to_mean}")
    if peak_to_mean == 1:
        return Day()
    low, high = 0.0, 1.0
    while _peak(_bell(high)) < peak_to_mean and high < 1e6:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _peak(_bell(middle)) < peak_to_mean else (low, middle)
    bell = _bell(high)
    others = sum(bell) - max(bell)
    # The busiest hour gets exactly what was asked for, the others share the rest.
    peak = Decimal(str(peak_to_mean))
    rest = HOURS - peak
    return Day(
        _normalized(
            [
                peak
                if hour == _BUSIEST_HOUR
                else Decimal(0)
                if others == 0
                else rest * Decimal(str(weight / others))
                for hour, weight in enumerate(bell)
            ]
        )
    )


def _bell(concentration: float) -> list[float]:
    return [
        math.exp(concentration * (math.cos(2 * math.pi * (hour - _BUSIEST_HOUR) / HOURS) - 1))
        for hour in range(HOURS)
    ]


def _peak(weights: Sequence[float]) -> float:
    return max(weights) * HOURS / sum(weights)


def _normalized(shape: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Let the sum be exact: rounding would price a month of slightly more or fewer requests."""
    rounded = [hour.quantize(Decimal("1e-12")) for hour in shape]
    largest = max(range(HOURS), key=rounded.__getitem__)
    rounded[largest] += HOURS - sum(rounded)
    return tuple(rounded)
