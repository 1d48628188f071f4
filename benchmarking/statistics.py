"""What a sample says about the endpoint, with bounds that hold, or that it says nothing.

Bounds are distribution free: nothing is assumed about the shape of latencies.

- A percentile's bounds are two of the measured values, chosen by the binomial distribution
  (order statistics). With too few requests there is no upper bound; then there is no percentile.
- A share's bounds are Clopper's and Pearson's, which never promise too much.
- A mean's bounds come from batch means and Student's t.
- A difference's bounds are put together from those of its two parts (MOVER, Zou and Donner 2008).

Requests that follow one another are not independent: they wait behind the same others, and are
throttled with them. Taken for independent they would give bounds that are too narrow, by far on a
busy endpoint. So values must come in the order in which they were sent; how much each resembles the
ones before says how many independent values the sample is worth (its effective size, by Geyer's
initial monotone sequence), with Student's t for the uncertainty of that figure itself. Where it is
large, because the sample saw few events or long ones, ``Estimate`` says that its bounds may be too
narrow (``correlated``).

``python -m tools.bench coverage`` simulates loss systems, queues and other series whose truth is
known, and counts how often the bounds hold it.

Worked example: 2,000 independent requests; the p99 with 95 % confidence is the value of rank
1,980, its bounds those of rank 1,971 and 1,989. Below 368 requests there is none: the slowest of
367 independent ones is below the true p99 with a probability above 2.5 %.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from benchmarking.distributions import beta_quantile, binomial_cdf, t_quantile

CONFIDENCE: Final = 0.95
BATCHES: Final = 20  # Schmeiser 1982: between 10 and 30; more make no better bounds
_BATCH_MIN: Final = 5
# Fewer values say little about how they depend on one another, and are taken for independent.
_MEMORY_MIN: Final = 100
# With fewer degrees of freedom, what Student's t is told is itself a guess.
_FREEDOM_MIN: Final = 10
# Two standard deviations of the lag-1 correlation of 20 independent values.
_LAG_LIMIT: Final = 2 / math.sqrt(BATCHES)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and between what the true one is.

    Args:
        low, high: the bounds, each end of which is wrong with at most half of the probability
            that ``confidence`` leaves.
        n: how many values it was computed from.
        effective_n: how many independent values would say as much.
        correlated: whether values depend on one another over so long a time that the bounds may
            still be too narrow; a longer measurement helps.
    """

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE
    n: int = 0
    effective_n: float = 0.0
    correlated: bool = False


def percentile(
    values: Sequence[float], q: float, confidence: float = CONFIDENCE, *, independent: bool = False
) -> Estimate | None:
    """A percentile; None when there are too few values for it (``unsupported`` says why).

    Args:
        values: in the order in which they were sent.
        q: in percent: 99 is the p99.
        independent: take values for independent, whatever they look like.
    """
    p = _share_below(q)
    _check_confidence(confidence)
    n = len(values)
    if not n:
        return None
    ordered = sorted(values)
    value = ordered[_rank(p, n) - 1]
    memory = _INDEPENDENT if independent else _memory_at(values, value, confidence)
    ranks = _ranks(p, memory.effective(n), confidence)
    if ranks is None:
        return None
    scale = n / memory.effective(n)
    return Estimate(
        value=value,
        low=ordered[max(1, math.floor(ranks[0] * scale)) - 1],
        high=ordered[min(n, math.ceil(ranks[1] * scale)) - 1],
        confidence=confidence,
        n=n,
        effective_n=n / memory.inflation,
        correlated=memory.correlated,
    )


def unsupported(
    values: Sequence[float], q: float, confidence: float = CONFIDENCE, *, independent: bool = False
) -> str | None:
    """Why ``percentile`` has no answer; None when it has one."""
    needed = minimum_count(q, confidence)
    n = len(values)
    if n < needed:
        return f"p{q:g} needs {needed:,} requests at {confidence:.0%} confidence, got {n:,}"
    if percentile(values, q, confidence, independent=independent) is not None:
        return None
    p = _share_below(q)
    value = sorted(values)[_rank(p, n) - 1]
    effective = _memory_at(values, value, confidence).effective(n)
    return (
        f"p{q:g} needs {needed:,} independent requests at {confidence:.0%} confidence, got {n:,}"
        f" that say as much as {effective:,}: they waited behind the same others"
    )


def minimum_count(q: float, confidence: float = CONFIDENCE) -> int:
    """The fewest independent values that have both bounds of a percentile."""
    p = _share_below(q)
    _check_confidence(confidence)
    tail = (1 - confidence) / 2
    # All values on one side of the percentile must be that improbable, above as below.
    return math.ceil(math.log(tail) / math.log(max(p, 1 - p)) - 1e-9)


def share(k: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """``k`` of ``n`` independent requests, as a share of all."""
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"k must be between 0 and n, and n at least 1, got {k} of {n}")
    return _clopper_pearson(k / n, n, n, confidence, correlated=False)


def share_of(flags: Sequence[bool], confidence: float = CONFIDENCE) -> Estimate:
    """The share of requests that are true, in the order in which they were sent.

    Throttles come in clusters, and so do cold starts: bounds are those of the effective size.
    """
    n = len(flags)
    if not n:
        raise ValueError("flags must hold at least one value, got none")
    value = sum(flags) / n
    memory = _memory(flags, confidence)
    return _clopper_pearson(value, n / memory.inflation, n, confidence, memory.correlated)


def mean(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """The mean, by batch means; None with fewer than two values.

    The one figure here whose bounds need more than order: that means of batches are near normal.
    """
    _check_confidence(confidence)
    n = len(values)
    if n < 2:
        return None
    batches = min(BATCHES, n)
    means = _batch_means(values, batches)
    middle = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((each - middle) ** 2 for each in means) / (batches - 1))
    half = t_quantile((1 + confidence) / 2, batches - 1) * deviation / math.sqrt(batches)
    spread = math.fsum((each - middle) ** 2 for each in values) / (n - 1)
    inflation = deviation**2 * (n / batches) / spread if spread else 1.0
    return Estimate(
        value=middle,
        low=middle - half,
        high=middle + half,
        confidence=confidence,
        n=n,
        effective_n=n / max(1.0, inflation),
        correlated=n >= BATCHES * _BATCH_MIN and _lag_one(means) > _LAG_LIMIT,
    )


def difference(
    before: Sequence[float],
    after: Sequence[float],
    q: float | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate | None:
    """How much higher a percentile of ``after`` is than that of ``before``; None as there.

    Where the bounds lie on both sides of 0, the samples do not tell the two apart.

    Args:
        q: in percent; None for the mean.
    """
    first = mean(before, confidence) if q is None else percentile(before, q, confidence)
    second = mean(after, confidence) if q is None else percentile(after, q, confidence)
    return None if first is None or second is None else subtract(first, second)


def subtract(before: Estimate, after: Estimate) -> Estimate:
    """``after - before`` of two estimates from different requests.

    Raises:
        ValueError: their confidence differs.
    """
    if before.confidence != after.confidence:
        raise ValueError(
            f"both must have one confidence, got {before.confidence:g} and {after.confidence:g}"
        )
    value = after.value - before.value
    return Estimate(
        value=value,
        low=value - math.hypot(after.value - after.low, before.high - before.value),
        high=value + math.hypot(after.high - after.value, before.value - before.low),
        confidence=before.confidence,
        n=before.n + after.n,
        effective_n=before.effective_n + after.effective_n,
        correlated=before.correlated or after.correlated,
    )


# -- dependence


@dataclass(frozen=True, slots=True)
class _Memory:
    """How much less a sample says than independent values would."""

    inflation: float
    correlated: bool

    def effective(self, n: int) -> int:
        return max(1, math.floor(n / self.inflation))


_INDEPENDENT: Final = _Memory(1.0, correlated=False)


def _memory_at(values: Sequence[float], value: float, confidence: float) -> _Memory:
    """How long values remember being above ``value``."""
    memory = _memory([x <= value for x in values], confidence)
    below = [x < value for x in values]
    # Where many are equal to it, to be above and not to be below are two things.
    if sum(below) < len(values) - sum(x > value for x in values) - 1:
        return max(memory, _memory(below, confidence), key=lambda each: each.inflation)
    return memory


def _memory(flags: Sequence[bool], confidence: float) -> _Memory:
    """How many times longer a yes-or-no sequence is than independent values that say as much.

    Geyer's initial monotone sequence (Practical Markov Chain Monte Carlo, Statistical Science 7,
    1992): autocovariances are added in pairs, until one is not above zero, and none counts for more
    than the one before. How uncertain the sum is makes the degrees of freedom of Student's t: its
    relative variance is 2 (2 m + 1) / n with m lags (Sokal, Monte Carlo Methods in Statistical
    Mechanics, 1997), and what goes beyond independence is known from the runs of the rarer value
    alone, as many draws as there were of them.
    """
    n, ones = len(flags), sum(flags)
    if n < _MEMORY_MIN or ones in (0, n):
        return _INDEPENDENT
    covariances = _autocovariances(flags)
    total, least, lags = 0.0, math.inf, 0
    for even, odd in zip(covariances, covariances, strict=False):
        if even + odd <= 0:
            break
        least = min(least, even + odd)
        total += 2 * least
        lags += 2
    inflation = max(1.0, total / (ones * (n - ones) / n) - 1)
    runs = min(ones, n - ones) / inflation
    freedom = 1 / ((2 * lags + 1) / n + ((inflation - 1) / inflation) ** 2 / runs)
    tail = (1 + confidence) / 2
    widening = (t_quantile(tail, max(1.0, freedom)) / NormalDist().inv_cdf(tail)) ** 2
    return _Memory(inflation * widening, correlated=freedom < _FREEDOM_MIN)


def _autocovariances(flags: Sequence[bool]) -> Iterator[float]:
    """Those of lag 0, 1, …, each ``len(flags)`` times."""
    n, mean_flag = len(flags), sum(flags) / len(flags)
    # One long number: a shift and a count of bits are a lag, at a million requests in a moment.
    bits = int("".join("1" if flag else "0" for flag in flags), 2)
    for lag in range(n):
        later = bits & ((1 << (n - lag)) - 1)
        earlier = bits >> lag
        both = (earlier & later).bit_count()
        ones = earlier.bit_count() + later.bit_count()
        yield both - mean_flag * ones + (n - lag) * mean_flag**2


def _batches(values: Sequence[float], count: int) -> list[Sequence[float]]:
    n = len(values)
    return [values[n * i // count : n * (i + 1) // count] for i in range(count)]


def _batch_means(values: Sequence[float], count: int) -> list[float]:
    return [math.fsum(each) / len(each) for each in _batches(values, count)]


def _lag_one(values: Sequence[float]) -> float:
    middle = math.fsum(values) / len(values)
    spread = math.fsum((each - middle) ** 2 for each in values)
    if not spread:
        return 0.0
    products = ((a - middle) * (b - middle) for a, b in itertools.pairwise(values))
    return math.fsum(products) / spread


# -- order statistics


def _ranks(p: float, n: int, confidence: float) -> tuple[int, int] | None:
    """Ranks, from 1, of the bounds among ``n`` independent values."""
    tail = (1 - confidence) / 2
    # The number of values at or below the true percentile is binomial. The l-th value is above
    # it when there are fewer than l, the u-th below it when there are u or more.
    low = _first(lambda k: binomial_cdf(k, n, p) > tail, n)
    high = _first(lambda k: binomial_cdf(k, n, p) >= 1 - tail, n) + 1
    return None if low < 1 or high > n else (low, high)


def _first(true_from: Callable[[int], bool], n: int) -> int:
    """The least of 0..n for which a condition holds that holds for all above it."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if true_from(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _rank(p: float, n: int) -> int:
    # A product of floats may lie a hair above the whole number that was meant.
    return max(1, math.ceil(p * n - 1e-9))


def _clopper_pearson(
    value: float, effective: float, n: int, confidence: float, correlated: bool
) -> Estimate:
    _check_confidence(confidence)
    tail = (1 - confidence) / 2
    k = value * effective
    return Estimate(
        value=value,
        low=0.0 if k <= 0 else beta_quantile(tail, k, effective - k + 1),
        high=1.0 if k >= effective else beta_quantile(1 - tail, k + 1, effective - k),
        confidence=confidence,
        n=n,
        effective_n=effective,
        correlated=correlated,
    )


def _share_below(q: float) -> float:
    if not 1 <= q < 100:
        raise ValueError(f"q must be a percentage of at least 1 and below 100, got {q:g}")
    return q / 100


def _check_confidence(confidence: float) -> None:
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must be at least 0.5 and below 1, got {confidence:g}")
