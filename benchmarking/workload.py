"""When requests are sent: plans of intended offsets, drawn before anything is sent.

A plan is the same for the same arguments and seed, so that two options are offered the very same
arrivals. Nothing in a plan depends on answers: that is what makes the load open.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, overload

from benchmarking.errors import BenchmarkError
from benchmarking.records import Load

Kind = Literal["poisson", "constant", "burst", "ramp", "trace"]

# What a line of a trace may call its time, in the order in which they are looked for. The middle
# two are those of a run's samples, so that a run can be sent again.
_TRACE_FIELDS: Final = ("offset_s", "intended_s", "sent_s", "timestamp")
_MAX_ARRIVALS: Final = 50_000_000


class WorkloadError(BenchmarkError):
    """A plan cannot be made from these arguments or this file."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals(Sequence[float]):
    """Intended send times in seconds from the start of the cell, ascending.

    Args:
        duration_s: how long the plan lasts; no offset is beyond it.
    """

    kind: Kind
    offsets_s: array[float]
    duration_s: float

    @property
    def rate_per_s(self) -> float:
        """Offered on average."""
        return len(self.offsets_s) / self.duration_s

    def load(self) -> Load:
        """The plan as a cell's record says it."""
        return Load(
            arrival=self.kind,
            rate_per_s=self.rate_per_s,
            clients=None,
            duration_s=self.duration_s,
        )

    def __len__(self) -> int:
        return len(self.offsets_s)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> array[float]: ...
    def __getitem__(self, index: int | slice) -> float | array[float]:
        return self.offsets_s[index]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Arrivals)
            and (self.kind, self.duration_s) == (other.kind, other.duration_s)
            and self.offsets_s == other.offsets_s
        )

    __hash__ = None  # type: ignore[assignment]  # an array has none


def poisson(rate_per_s: float, duration_s: float, seed: int) -> Arrivals:
    """Independent users: exponentially distributed gaps."""
    _positive(rate_per_s=rate_per_s, duration_s=duration_s)
    return _ascending("poisson", _unit_arrivals(rate_per_s * duration_s, seed), duration_s)


def constant(rate_per_s: float, duration_s: float) -> Arrivals:
    """Equal gaps, the first request at once."""
    _positive(rate_per_s=rate_per_s, duration_s=duration_s)
    count = math.ceil(rate_per_s * duration_s)
    _limited(count)
    # A product of floats may lie a hair above the whole number that was meant.
    if count > 1 and (count - 1) / rate_per_s >= duration_s:
        count -= 1
    return Arrivals("constant", array("d", (n / rate_per_s for n in range(count))), duration_s)


def burst(size: int, every_s: float, duration_s: float) -> Arrivals:
    """``size`` requests at the same moment, every ``every_s`` seconds, the first at once."""
    _positive(size=size, every_s=every_s, duration_s=duration_s)
    bursts = max(1, math.ceil(round(duration_s / every_s, 9)))
    _limited(bursts * size)
    offsets = (n * every_s for n in range(bursts) for _ in range(size))
    return Arrivals("burst", array("d", offsets), duration_s)


def ramp(first_per_s: float, last_per_s: float, duration_s: float, seed: int) -> Arrivals:
    """A Poisson process whose rate goes linearly from ``first_per_s`` to ``last_per_s``."""
    _positive(duration_s=duration_s)
    for name, rate in (("first_per_s", first_per_s), ("last_per_s", last_per_s)):
        if not (rate >= 0 and math.isfinite(rate)):
            raise WorkloadError(f"{name} must be at least 0, got {rate:g}")
    slope = (last_per_s - first_per_s) / duration_s
    total = (first_per_s + last_per_s) / 2 * duration_s
    if total <= 0:
        raise WorkloadError("first_per_s or last_per_s must be above 0, got 0 for both")

    def when(expected: float) -> float:
        # The moment up to which this many requests are expected; this form of the quadratic
        # formula does not cancel when the slope is small.
        root = math.sqrt(max(0.0, first_per_s**2 + 2 * slope * expected))
        return 2 * expected / (first_per_s + root)

    return _ascending("ramp", (when(u * total) for u in _unit_arrivals(total, seed)), duration_s, 1)


def trace(path: Path, *, speed: float = 1.0) -> Arrivals:
    """Replay recorded arrivals, the earliest at once.

    A line is a number of seconds (from any zero), or a JSON object that has one of ``offset_s``,
    ``intended_s``, ``sent_s`` (as in a run's samples) or ``timestamp``, the latter also as ISO
    8601 text.

    Args:
        speed: 2 replays an hour in half an hour.

    Raises:
        WorkloadError: the file or a line of it cannot be used; the first such line is named.
    """
    _positive(speed=speed)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WorkloadError(f"a trace must be a readable text file, got {path}: {error}") from None
    times = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                times.append(_trace_time(line))
            except ValueError as error:
                raise WorkloadError(f"{path} line {number}: {error}") from None
    if not times:
        raise WorkloadError(f"a trace must hold at least one arrival, got none in {path}")
    times.sort()
    offsets = array("d", ((time - times[0]) / speed for time in times))
    count, last = len(offsets), offsets[-1]
    # The last arrival is followed by an average gap: n requests in that time are the trace's rate.
    duration_s = last * count / (count - 1) if last > 0 else 1.0
    return Arrivals("trace", offsets, duration_s)


def most_within(offsets_s: Sequence[float], window_s: float) -> int:
    """The most requests that become due within any ``window_s`` seconds."""
    most = first = 0
    for last, due_s in enumerate(offsets_s):
        while due_s - offsets_s[first] > window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _trace_time(line: str) -> float:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        raise ValueError(f"must be a number or a JSON object, got {line[:60]!r}") from None
    if isinstance(value, dict):
        named = next((value[name] for name in _TRACE_FIELDS if value.get(name) is not None), None)
        if named is None:
            raise ValueError(f"must have one of {', '.join(_TRACE_FIELDS)}, got {line[:60]!r}")
        value = named
    if isinstance(value, str):
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(f"timestamp must have a UTC offset, got {value!r}")
        return moment.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"must be a number of seconds, got {value!r}")
    return float(value)


def _unit_arrivals(expected: float, seed: int) -> Iterable[float]:
    """A Poisson process on 0..1 with this many arrivals expected."""
    _limited(expected)
    draw = random.Random(seed).expovariate  # noqa: S311 - no secret
    now = draw(expected)
    while now < 1:
        yield now
        now += draw(expected)


def _ascending(
    kind: Kind, offsets: Iterable[float], duration_s: float, scale: float | None = None
) -> Arrivals:
    factor = duration_s if scale is None else scale
    found = array("d", (min(offset * factor, duration_s) for offset in offsets))
    if not found:
        raise WorkloadError(
            f"a plan must hold at least one request, got none within {duration_s:g} s:"
            " take a higher rate or a longer duration"
        )
    return Arrivals(kind, found, duration_s)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise WorkloadError(f"{name} must be above 0, got {value:g}")


def _limited(count: float) -> None:
    if count > _MAX_ARRIVALS:
        raise WorkloadError(f"a plan may hold {_MAX_ARRIVALS:,} requests, got {count:,.0f}")
