"""How often the bounds of benchmarking/statistics.py hold a truth that is known, by simulation."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import NormalDist
from typing import Final

from benchmarking.statistics import Estimate, percentile, share_of
from tools.bench import page
from tools.bench.servers.known_runtime import MEDIAN_S, SIGMA, blocked_share

HEADING: Final = "How often the bounds hold"
ROUNDS: Final = 1000
_QUANTILES: Final = (50.0, 90.0, 99.0)

Series = Callable[[random.Random], Iterator[float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What became of the bounds of one figure, over all rounds.

    Args:
        given: rounds in which there were bounds.
        below, above: of those, the rounds in which the truth lay there.
    """

    rounds: int
    given: int
    below: int
    above: int

    def cells(self) -> list[str]:
        """As columns: given, held where given, misses among all rounds."""
        missed = self.below + self.above
        held = f"{1 - missed / self.given:.1%}" if self.given else "-"
        share = missed / self.rounds
        return [
            f"{self.given / self.rounds:.0%}",
            held,
            f"{self.below}, {self.above}",
            f"{share:.1%}",
        ]


def tally(estimates: Iterable[Estimate | None], truth: float) -> Tally:
    """Hold bounds against the truth."""
    rounds = given = below = above = 0
    for each in estimates:
        rounds += 1
        if each is not None:
            given += 1
            below += truth < each.low
            above += truth > each.high
    return Tally(rounds=rounds, given=given, below=below, above=above)


# -- series


def throttles(draw: random.Random, rate_per_s: float, max_concurrency: int) -> Iterator[bool]:
    """Whether each of Poisson arrivals finds all environments busy: an M/G/c/c system."""
    now_s, ends_s = 0.0, [0.0] * max_concurrency
    settled_s = 100 * MEDIAN_S
    while True:
        now_s += draw.expovariate(rate_per_s)
        busy = ends_s[0] > now_s
        if not busy:
            heapq.heapreplace(ends_s, now_s + draw.lognormvariate(math.log(MEDIAN_S), SIGMA))
        if now_s > settled_s:
            yield busy


def outages(draw: random.Random, share: float, length: float) -> Iterator[bool]:
    """Events in runs of geometric length: a Markov chain of two states."""
    ends, begins = 1 / length, share / (1 - share) / length
    state = draw.random() < share
    while True:
        yield state
        state = draw.random() >= ends if state else draw.random() < begins


def independent(draw: random.Random) -> Iterator[float]:
    """Exponential values of mean 1."""
    while True:
        yield draw.expovariate(1)


def resembling(draw: random.Random, memory: float) -> Iterator[float]:
    """Normal values of variance 1, each resembling the one before."""
    value = draw.gauss(0, 1)
    while True:
        yield value
        value = memory * value + math.sqrt(1 - memory**2) * draw.gauss(0, 1)


def queue(draw: random.Random, utilisation: float) -> Iterator[float]:
    """Times in an M/M/1 queue with service rate 1, by Lindley's recursion, in equilibrium."""
    busy = draw.random() < utilisation
    waiting_s = draw.expovariate(1 - utilisation) if busy else 0.0
    while True:
        service_s = draw.expovariate(1)
        yield waiting_s + service_s
        waiting_s = max(0.0, waiting_s + service_s - draw.expovariate(utilisation))


# -- figures


def of_share(series: Series, n: int, truth: float, rounds: int) -> Tally:
    """Bounds of a share, in as many samples of ``n`` requests."""
    return tally(
        (
            share_of([bool(each) for each in islice(series(random.Random(seed)), n)])  # noqa: S311
            for seed in range(rounds)
        ),
        truth,
    )


def of_percentile(series: Series, n: int, q: float, truth: float, rounds: int) -> Tally:
    """Bounds of a percentile, in as many samples of ``n`` requests."""
    return tally(
        (
            percentile(list(islice(series(random.Random(seed)), n)), q)  # noqa: S311
            for seed in range(rounds)
        ),
        truth,
    )


def main(*, quick: bool) -> int:
    """Simulate and write; the exit code."""
    rounds = ROUNDS // 10 if quick else ROUNDS
    shares, times = list(_shares(rounds)), list(_percentiles(rounds))
    head = ("series", "requests", "given", "held where given", "truth below, above", "missed")
    command = "python -m tools.bench coverage" + (" --quick" if quick else "")
    text = f"""\
Series whose truth is known by formula, {rounds:,} seeded samples each, and the bounds that reports
show, at 95 % confidence. Throttles are those of Poisson arrivals at MaxConcurrency environments
(Erlang's formula, log-normal service times); outages are runs of events. A percentile
that a sample does not support is not given; then nothing is missed. Those that are given in spite
of few and long queues are the lucky samples, so that fewer of them hold.
{page.machine(command)}

{page.table(head, shares)}

{page.table(("percentile of", *head[1:]), times)}"""
    page.put_section(HEADING, text)
    print(text)
    return 0


def _shares(rounds: int) -> Iterator[list[str]]:
    for rate_per_s, environments, n in (
        (20.0, 4, 2000),
        (60.0, 4, 600),
        (60.0, 4, 5000),
        (200.0, 4, 2000),
        (400.0, 16, 3000),
        (400.0, 25, 5000),
    ):
        truth = blocked_share(rate_per_s, environments)
        found = of_share(
            partial(throttles, rate_per_s=rate_per_s, max_concurrency=environments),
            n,
            truth,
            rounds,
        )
        name = f"throttles at {rate_per_s:g}/s on {environments} ({truth:.1%})"
        yield [name, f"{n:,}", *found.cells()]
    for share, length, n in ((0.1, 1, 400), (0.02, 5, 2000), (0.1, 20, 3000), (0.3, 100, 6000)):
        found = of_share(partial(outages, share=share, length=length), n, share, rounds)
        yield [f"outages of {length} ({share:.0%})", f"{n:,}", *found.cells()]


def _percentiles(rounds: int) -> Iterator[list[str]]:
    normal = NormalDist()
    cases: tuple[tuple[str, Series, int, Callable[[float], float]], ...] = (
        ("independent", independent, 600, lambda p: -math.log(1 - p)),
        ("independent", independent, 2000, lambda p: -math.log(1 - p)),
        ("resembling, 0.5", partial(resembling, memory=0.5), 2000, normal.inv_cdf),
        ("resembling, 0.9", partial(resembling, memory=0.9), 4000, normal.inv_cdf),
        (
            "queue, 50 % busy",
            partial(queue, utilisation=0.5),
            3000,
            lambda p: -math.log(1 - p) / 0.5,
        ),
        (
            "queue, 70 % busy",
            partial(queue, utilisation=0.7),
            6000,
            lambda p: -math.log(1 - p) / 0.3,
        ),
    )
    for name, series, n, quantile in cases:
        for q in _QUANTILES:
            found = of_percentile(series, n, q, quantile(q / 100), rounds)
            yield [f"{name}: p{q:g}", f"{n:,}", *found.cells()]
