"""What the benchmarks of the benchmarking toolkit take for true."""

from __future__ import annotations

import heapq
import math
import random

import pytest

from tools.bench.load_generator import judge
from tools.bench.servers.known_runtime import (
    MEDIAN_S,
    SIGMA,
    blocked_share,
    mean_s,
    quantile_s,
)


def test_arrivals_at_equal_gaps_are_held_and_late_ones_are_not() -> None:
    exact = [100 + n / 1000 for n in range(5000)]
    late = [arrival + (0.002 if n % 50 == 0 else 0) for n, arrival in enumerate(exact)]
    slow = [100 + n / 900 for n in range(5000)]

    assert judge(exact, 1000).held
    assert judge(exact, 1000).achieved_per_s == pytest.approx(1000)
    assert not judge(late, 1000).held
    assert judge(late, 1000).lateness_ms == pytest.approx(2, abs=0.01)
    assert not judge(slow, 1000).held
    assert not judge([], 1000).held


def test_bursts_of_the_right_mean_rate_are_not_equal_gaps() -> None:
    bursts = [100 + n // 10 / 100 for n in range(5000)]

    assert judge(bursts, 1000).achieved_per_s == pytest.approx(1000, rel=0.01)
    assert not judge(bursts, 1000).held


def test_the_share_of_throttles_is_what_a_simulation_shows() -> None:
    generator = random.Random(3)  # noqa: S311
    busy: list[float] = []
    now_s, throttled, requests = 0.0, 0, 100_000
    for _ in range(requests):
        now_s += generator.expovariate(60)
        while busy and busy[0] <= now_s:
            heapq.heappop(busy)
        if len(busy) == 4:
            throttled += 1
        else:
            heapq.heappush(busy, now_s + generator.lognormvariate(math.log(MEDIAN_S), SIGMA))

    assert throttled / requests == pytest.approx(blocked_share(60, 4), abs=0.006)


def test_the_known_distribution_has_its_quantiles_and_mean() -> None:
    generator = random.Random(4)  # noqa: S311
    drawn = sorted(generator.lognormvariate(math.log(MEDIAN_S), SIGMA) for _ in range(100_000))

    assert drawn[50_000] == pytest.approx(quantile_s(0.5), rel=0.02)
    assert drawn[99_000] == pytest.approx(quantile_s(0.99), rel=0.03)
    assert sum(drawn) / len(drawn) == pytest.approx(mean_s(), rel=0.02)
