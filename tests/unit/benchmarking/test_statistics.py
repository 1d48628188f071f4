"""Bounds hold as often as they say, in simulations with known truth; or there are none."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarking import statistics
from benchmarking.distributions import beta_cdf, beta_quantile, binomial_cdf, t_quantile
from benchmarking.statistics import (
    Estimate,
    difference,
    mean,
    minimum_count,
    percentile,
    share,
    share_of,
    unsupported,
)
from tools.bench.coverage import outages, throttles
from tools.bench.servers.known_runtime import blocked_share

ROUNDS = 300
# A true coverage of 95 % falls below this in one of a thousand runs of so many rounds.
LEAST = 0.95 - 3.1 * math.sqrt(0.95 * 0.05 / ROUNDS)

Draw = Callable[[random.Random], float]
SHAPES: dict[str, tuple[Draw, Callable[[float], float]]] = {
    "exponential": (lambda r: r.expovariate(1), lambda p: -math.log(1 - p)),
    "pareto": (lambda r: r.paretovariate(1.5), lambda p: (1 - p) ** (-1 / 1.5)),
    "uniform": (lambda r: r.random(), lambda p: p),
}


def covered(rounds: int, once: Callable[[random.Random], tuple[Estimate | None, float]]) -> float:
    """The share of seeded rounds whose bounds hold the truth; every round has bounds."""
    hits = 0
    for seed in range(rounds):
        estimate, truth = once(random.Random(seed))  # noqa: S311
        assert estimate is not None
        hits += estimate.low <= truth <= estimate.high
    return hits / rounds


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("q", "n"), [(50, 40), (90, 200), (99, 600), (99, 2000)])
def test_a_percentiles_bounds_hold_whatever_the_distribution(shape: str, q: float, n: int) -> None:
    draw, quantile = SHAPES[shape]

    def once(generator: random.Random) -> tuple[Estimate | None, float]:
        values = [draw(generator) for _ in range(n)]
        return percentile(values, q, independent=True), quantile(q / 100)

    assert covered(ROUNDS, once) >= LEAST


def autoregressive(generator: random.Random, n: int, memory: float) -> list[float]:
    """Normal values of variance 1, each resembling the one before."""
    value, values = generator.gauss(0, 1), []
    for _ in range(n):
        values.append(value)
        value = memory * value + math.sqrt(1 - memory**2) * generator.gauss(0, 1)
    return values


def test_bounds_hold_where_requests_resemble_the_ones_before() -> None:
    """Taken for independent the same values are bounded far too narrowly."""
    truth = 1.2815515655446004  # the p90 of the normal distribution

    def aware(generator: random.Random) -> tuple[Estimate | None, float]:
        return percentile(autoregressive(generator, 4000, 0.9), 90), truth

    def naive(generator: random.Random) -> tuple[Estimate | None, float]:
        values = autoregressive(generator, 4000, 0.9)
        return percentile(values, 90, independent=True), truth

    assert covered(200, aware) >= 0.92
    assert covered(200, naive) < 0.75


def queue(generator: random.Random, n: int, utilisation: float) -> list[float]:
    """Times in an M/M/1 queue with service rate 1, by Lindley's recursion, in equilibrium."""
    waiting = 0.0
    if generator.random() < utilisation:
        waiting = generator.expovariate(1 - utilisation)
    times = []
    for _ in range(n):
        service = generator.expovariate(1)
        times.append(waiting + service)
        waiting = max(0.0, waiting + service - generator.expovariate(utilisation))
    return times


def test_bounds_hold_on_a_queue_that_is_busy_most_of_the_time() -> None:
    """The time in an M/M/1 queue is exponential with rate 1 - utilisation."""
    utilisation = 0.6

    def once(generator: random.Random) -> tuple[Estimate | None, float]:
        return percentile(queue(generator, 9000, utilisation), 90), math.log(10) / (1 - utilisation)

    assert covered(200, once) >= 0.93


def test_throttles_are_bounded_as_often_as_promised() -> None:
    """Erlang's formula knows the share. Requests depend on one another too little for a test of
    significance to find it, and enough to make bounds that leave it out miss too often."""
    truth = blocked_share(60.0, 4)

    def once(generator: random.Random) -> tuple[Estimate | None, float]:
        return share_of(list(islice(throttles(generator, 60.0, 4), 600))), truth

    assert 0.95 <= covered(800, once) <= 0.98


def test_a_few_long_outages_are_known_badly_and_said_to_be() -> None:
    """One in fifty requests, five on end: eight outages in a sample."""

    def once(generator: random.Random) -> tuple[Estimate | None, float]:
        return share_of(list(islice(outages(generator, 0.02, 5), 2000))), 0.02

    assert covered(400, once) >= 0.94
    assert share_of([False] * 900 + [True] * 40 + [False] * 900).correlated


def test_a_sample_that_remembers_too_long_says_so() -> None:
    generator = random.Random(5)  # noqa: S311
    estimate = percentile(autoregressive(generator, 2000, 0.999), 50)

    assert estimate is None or estimate.correlated


def test_independent_values_are_nearly_never_called_correlated() -> None:
    generator = random.Random(6)  # noqa: S311
    found = [percentile([generator.random() for _ in range(1000)], 90) for _ in range(200)]

    assert sum(each is None or each.correlated for each in found) <= 10


@pytest.mark.parametrize(("q", "n"), [(50, 6), (90, 36), (95, 72), (99, 368), (99.9, 3688)])
def test_a_percentile_needs_as_many_values_as_its_upper_bound(q: float, n: int) -> None:
    generator = random.Random(1)  # noqa: S311
    values = [generator.random() for _ in range(n)]

    assert minimum_count(q) == n
    assert percentile(values, q, independent=True) is not None
    assert percentile(values[:-1], q, independent=True) is None
    assert unsupported(values[:-1], q) == (
        f"p{q:g} needs {n:,} requests at 95% confidence, got {n - 1:,}"
    )


def test_many_requests_that_say_the_same_support_no_tail() -> None:
    values = [float(block) for block in range(20) for _ in range(50)]
    why = unsupported(values, 99)

    assert percentile(values, 99) is None
    assert why is not None
    assert "got 1,000 that say as much as" in why


@given(values=st.lists(st.floats(0, 1e6), min_size=368, max_size=400))
def test_bounds_enclose_the_percentile_and_are_measured_values(values: list[float]) -> None:
    estimate = percentile(values, 99, independent=True)

    assert estimate is not None
    assert estimate.low <= estimate.value <= estimate.high
    assert {estimate.low, estimate.value, estimate.high} <= set(values)


def test_the_worked_example_of_the_documentation() -> None:
    values = [float(rank) for rank in range(1, 2001)]

    assert percentile(values, 99, independent=True) == Estimate(
        1980.0, 1971.0, 1989.0, 0.95, 2000, 2000.0, correlated=False
    )


@pytest.mark.parametrize(("n", "true_share"), [(50, 0.02), (400, 0.1), (400, 0.5)])
def test_a_shares_bounds_hold(n: int, true_share: float) -> None:
    def once(generator: random.Random) -> tuple[Estimate | None, float]:
        return share(sum(generator.random() < true_share for _ in range(n)), n), true_share

    assert covered(ROUNDS, once) >= LEAST


def test_a_share_of_clustered_events_is_known_less_well() -> None:
    """Throttles that come ten at a time."""

    def flags(generator: random.Random) -> list[bool]:
        return [hit for _ in range(200) for hit in [generator.random() < 0.2] * 10]

    def aware(generator: random.Random) -> tuple[Estimate | None, float]:
        return share_of(flags(generator)), 0.2

    def naive(generator: random.Random) -> tuple[Estimate | None, float]:
        drawn = flags(generator)
        return share(sum(drawn), len(drawn)), 0.2

    assert covered(200, aware) >= 0.92
    assert covered(200, naive) < 0.7


def test_no_event_in_300_requests_leaves_one_percent_possible() -> None:
    none = share(0, 300)

    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(0.0122, abs=1e-4)
    assert share(300, 300).high == 1


def test_a_mean_of_dependent_values_is_bounded_as_often_as_it_says() -> None:
    def once(generator: random.Random) -> tuple[Estimate | None, float]:
        return mean(autoregressive(generator, 4000, 0.9)), 0.0

    assert covered(200, once) >= 0.92


@pytest.mark.parametrize("q", [None, 50, 95])
def test_a_differences_bounds_hold(q: float | None) -> None:
    shift = 0.3

    def once(generator: random.Random) -> tuple[Estimate | None, float]:
        before = [generator.expovariate(1) for _ in range(500)]
        after = [shift + generator.expovariate(1) for _ in range(800)]
        return difference(before, after, q), shift

    assert covered(ROUNDS, once) >= LEAST


def test_equal_samples_do_not_differ() -> None:
    generator = random.Random(9)  # noqa: S311
    values = [generator.expovariate(1) for _ in range(500)]
    found = difference(values, values, 95)

    assert found is not None
    assert found.low < 0 < found.high


@given(
    values=st.lists(st.floats(-1e3, 1e3), max_size=300),
    q=st.floats(1, 99.9),
)
def test_the_same_values_give_the_same_estimate(values: list[float], q: float) -> None:
    assert percentile(values, q) == percentile(list(values), q)
    assert mean(values) == mean(list(values))


@pytest.mark.parametrize("q", [0.99, 0, 100, 101, math.nan])
def test_a_share_given_for_a_percentage_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="q must be a percentage of at least 1 and below 100"):
        percentile([1.0], q)


def test_impossible_counts_and_confidences_are_refused() -> None:
    with pytest.raises(ValueError, match="k must be between 0 and n, and n at least 1, got 2 of 1"):
        share(2, 1)
    with pytest.raises(ValueError, match="n at least 1, got 0 of 0"):
        share(0, 0)
    with pytest.raises(ValueError, match=r"confidence must be at least 0\.5 and below 1, got 95"):
        percentile([1.0], 99, 95)
    with pytest.raises(ValueError, match="flags must hold at least one value"):
        share_of([])
    with pytest.raises(ValueError, match="both must have one confidence"):
        statistics.subtract(share(1, 2, 0.9), share(1, 2, 0.95))


def test_the_distributions_agree_with_their_tables() -> None:
    assert t_quantile(0.975, 19) == pytest.approx(2.093024, abs=1e-6)
    assert t_quantile(0.025, 1) == pytest.approx(-12.706205, abs=1e-5)
    assert beta_cdf(0.5, 2, 3) == pytest.approx(11 / 16)
    assert beta_quantile(11 / 16, 2, 3) == pytest.approx(0.5)
    exact = sum(math.comb(30, k) * 0.2**k * 0.8 ** (30 - k) for k in range(6))
    assert binomial_cdf(5, 30, 0.2) == pytest.approx(exact)
    assert binomial_cdf(990_000, 1_000_000, 0.99) == pytest.approx(0.5, abs=0.002)
