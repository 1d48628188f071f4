"""What CloudWatch keeps of samples and the statistics it makes of them.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

SIMPLE: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
# Values that are kept apart; beyond, neighbours share one, as in CloudWatch's own sketches.
DISTINCT_VALUES: Final = 2000
_SIGNIFICANT_DIGITS: Final = 3

_PERCENTILE: Final = re.compile(r"(?P<kind>p|tm|wm|tc|ts)(?P<number>\d{1,2}(\.\d{0,10})?|100)")
_RANGE: Final = re.compile(
    r"(?P<kind>TM|WM|TC|TS|PR)"
    r"\((?P<low>-?\d+(\.\d+)?)?(?P<low_percent>%)?:(?P<high>-?\d+(\.\d+)?)?(?P<high_percent>%)?\)"
)


@dataclass(slots=True)
class Tally:
    """The sum of some samples.

    ``values`` says how often each value came, or is None when only the sum of several different
    samples is known (a statistic set): then there are no percentiles.
    """

    count: float = 0.0
    total: float = 0.0
    smallest: float = math.inf
    largest: float = -math.inf
    values: dict[float, float] | None = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[float, float]) -> Tally:
        """The tally of values and how often each came."""
        return cls(
            count=math.fsum(values.values()),
            total=math.fsum(value * count for value, count in values.items()),
            smallest=min(values, default=math.inf),
            largest=max(values, default=-math.inf),
            values=dict(values),
        )

    def add(self, other: Tally) -> None:
        """Take in another tally."""
        self.count += other.count
        self.total += other.total
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        if other.values is None:
            self.values = None
        elif self.values is not None:
            for value, count in other.values.items():
                self.values[value] = self.values.get(value, 0.0) + count
            if len(self.values) > DISTINCT_VALUES:
                self.values = _coarser(self.values)

    def statistic(self, name: str) -> float | None:
        """A statistic by CloudWatch's name for it; None where it cannot be known.

        Raises:
            ValueError: there is no such statistic.
        """
        if name not in SIMPLE and not is_extended(name):
            raise ValueError(
                f"statistic must be one of {', '.join(SIMPLE)} or like p99, got {name}"
            )
        if self.count == 0:
            return None
        known = {
            "SampleCount": self.count,
            "Sum": self.total,
            "Average": self.total / self.count,
            "Minimum": self.smallest,
            "Maximum": self.largest,
        }
        if name in known:
            return known[name]
        values = self._distribution()
        return None if values is None else _extended(name, values)

    def _distribution(self) -> list[tuple[float, float]] | None:
        if self.values is None:
            # A statistic set of one sample, or of equal ones, is a distribution after all.
            if self.smallest == self.largest or self.count == 1:
                return [(self.smallest, self.count)]
            return None
        return sorted(self.values.items())


def merged(tallies: Iterable[Tally]) -> Tally:
    """One tally of all samples."""
    result = Tally()
    for tally in tallies:
        result.add(tally)
    return result


def is_extended(name: str) -> bool:
    """Whether this names a percentile, a trimmed mean or another statistic of a distribution."""
    return (
        name == "IQM"
        or _PERCENTILE.fullmatch(name) is not None
        or _RANGE.fullmatch(name) is not None
    )


def percentile_of(name: str) -> float | None:
    """The number in ``p99``; None for another statistic."""
    match = _PERCENTILE.fullmatch(name)
    return float(match["number"]) if match is not None and match["kind"] == "p" else None


def percentile(values: list[tuple[float, float]], percent: float) -> float:
    """The smallest value that at least this share of the samples does not exceed.

    Args:
        values: value and count, ascending.
        percent: 0..100.
    """
    rank = percent / 100 * math.fsum(count for _, count in values)
    seen = 0.0
    for value, count in values:
        seen += count
        if seen >= rank - 1e-9:
            return value
    return values[-1][0]


def _extended(name: str, values: list[tuple[float, float]]) -> float | None:
    if name == "IQM":
        return _within("TM", values, percentile(values, 25), percentile(values, 75))
    match = _PERCENTILE.fullmatch(name)
    if match is not None:
        bound = percentile(values, float(match["number"]))
        if match["kind"] == "p":
            return bound
        return _within(match["kind"].upper(), values, -math.inf, bound)
    match = _RANGE.fullmatch(name)
    assert match is not None
    low, high = (
        _bound(values, match[side], percent=match[f"{side}_percent"] is not None, unset=unset)
        for side, unset in (("low", -math.inf), ("high", math.inf))
    )
    return _within(match["kind"], values, low, high)


def _bound(
    values: list[tuple[float, float]], number: str | None, *, percent: bool, unset: float
) -> float:
    if number is None:
        return unset
    return percentile(values, float(number)) if percent else float(number)


def _within(kind: str, values: list[tuple[float, float]], low: float, high: float) -> float | None:
    inside = [(value, count) for value, count in values if low <= value <= high]
    count = math.fsum(count for _, count in inside)
    total = math.fsum(value * count for value, count in inside)
    everything = math.fsum(count for _, count in values)
    match kind:
        case "TC":
            return count
        case "TS":
            return total
        case "PR":
            return 100 * count / everything
        case "TM":
            return None if count == 0 else total / count
        case _:
            # Winsorized: what lies outside counts as the bound it is beyond.
            return math.fsum(min(max(value, low), high) * n for value, n in values) / everything


def _coarser(values: dict[float, float]) -> dict[float, float]:
    """Fewer distinct values: first by fewer digits, then by joining neighbours."""
    rounded: dict[float, float] = {}
    for value, count in values.items():
        near = value
        if value != 0 and math.isfinite(value):
            near = round(value, _SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value))))
        rounded[near] = rounded.get(near, 0.0) + count
    if len(rounded) <= DISTINCT_VALUES // 2:
        return rounded
    ordered = sorted(rounded.items())
    size = math.ceil(len(ordered) / (DISTINCT_VALUES // 2))
    joined: dict[float, float] = {}
    for first in range(0, len(ordered), size):
        group = ordered[first : first + size]
        count = math.fsum(n for _, n in group)
        joined[math.fsum(value * n for value, n in group) / count] = count
    return joined
