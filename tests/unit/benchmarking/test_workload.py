"""Plans of arrivals: what they hold, and that they are what they are called."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarking.workload import (
    Arrivals,
    WorkloadError,
    burst,
    constant,
    most_within,
    poisson,
    ramp,
    trace,
)


def kolmogorov_smirnov(values: list[float], mean: float) -> float:
    """Distance between the values' distribution and the exponential one, times sqrt(n)."""
    ordered, n = sorted(values), len(values)
    distance = max(
        max(abs((rank + 1) / n - p), abs(rank / n - p))
        for rank, p in enumerate(1 - math.exp(-value / mean) for value in ordered)
    )
    return distance * math.sqrt(n)


def test_poisson_gaps_are_exponential_and_independent() -> None:
    plan = poisson(200, 100, seed=11)
    gaps = [later - earlier for earlier, later in pairwise(plan)]
    middle = sum(gaps) / len(gaps)
    covariance = sum((a - middle) * (b - middle) for a, b in pairwise(gaps)) / len(gaps)

    assert kolmogorov_smirnov(gaps, 1 / 200) < 1.63, "1 % of exponential samples are farther off"
    assert abs(covariance / middle**2) < 4 / math.sqrt(len(gaps))


def test_poisson_counts_vary_as_much_as_they_should() -> None:
    """A plan with exactly rate times duration requests would not be a Poisson process."""
    counts = [len(poisson(50, 2, seed=seed)) for seed in range(400)]
    middle = sum(counts) / len(counts)
    variance = sum((count - middle) ** 2 for count in counts) / (len(counts) - 1)

    assert middle == pytest.approx(100, abs=2.5)
    assert variance / middle == pytest.approx(1, abs=0.3)


@given(
    rate=st.floats(20, 500),
    duration=st.floats(2, 20),
    seed=st.integers(0, 2**32),
    last=st.floats(0, 500),
)
def test_a_plan_is_ascending_within_its_duration_and_repeatable(
    rate: float, duration: float, seed: int, last: float
) -> None:
    plans = [poisson(rate, duration, seed), ramp(rate, last, duration, seed)]
    plans += [constant(rate, duration), burst(3, 1 / rate, duration)]
    for plan in plans:
        assert all(earlier <= later for earlier, later in pairwise(plan))
        assert plan[0] >= 0
        assert plan[-1] <= duration
    assert plans[0] == poisson(rate, duration, seed)
    assert plans[1] == ramp(rate, last, duration, seed)


def test_constant_arrivals_are_one_gap_apart() -> None:
    assert list(constant(4, 1)) == [0, 0.25, 0.5, 0.75]
    assert len(constant(0.1, 30)) == 3
    assert len(constant(1 / 3, 3)) == 1


def test_a_burst_comes_at_once_and_again() -> None:
    assert list(burst(3, every_s=2, duration_s=4)) == [0, 0, 0, 2, 2, 2]
    assert list(burst(2, every_s=60, duration_s=1)) == [0, 0]


def test_a_ramp_has_its_rates_at_its_ends() -> None:
    plan = ramp(100, 300, 100, seed=3)
    early = sum(1 for offset in plan if offset < 10)
    late = sum(1 for offset in plan if offset >= 90)

    assert len(plan) == pytest.approx(20_000, rel=0.03)
    assert early / 10 == pytest.approx(110, rel=0.1)
    assert late / 10 == pytest.approx(290, rel=0.1)


def test_the_densest_moment_of_a_plan_is_found() -> None:
    assert most_within(burst(7, 1, 3), 0.5) == 7
    assert most_within(constant(10, 2), 0.25) == 3


def test_a_trace_is_replayed_from_its_first_arrival(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('12.5\n{"timestamp": 11.5}\n\n{"offset_s": 14.5, "x": 1}\n')

    plan = trace(path)

    assert list(plan) == [0, 1, 3]
    assert list(trace(path, speed=2)) == [0, 0.5, 1.5]
    assert plan.rate_per_s == pytest.approx(2 / 3)


def test_a_trace_may_have_times_of_day(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    times = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:02+01:00")
    path.write_text("".join(json.dumps({"timestamp": time}) + "\n" for time in times))

    assert list(trace(path)) == [0, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "at least one arrival"),
        ("1\nx\n", "line 2: must be a number or a JSON object"),
        ('1\n2\n{"when": 3}\n', "line 3: must have one of offset_s"),
        ("true\n", "line 1: must be a number of seconds, got True"),
        ("NaN\n", "line 1: must be a number of seconds"),
        ('{"timestamp": "2026-01-01T00:00:00"}\n', "line 1: timestamp must have a UTC offset"),
        ('{"timestamp": "yesterday"}\n', "line 1: Invalid isoformat"),
    ],
)
def test_a_broken_trace_is_refused_by_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "trace"
    path.write_text(content)

    with pytest.raises(WorkloadError, match=message):
        trace(path)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(WorkloadError, match="rate_per_s must be above 0, got"):
        poisson(value, 1, seed=1)
    with pytest.raises(WorkloadError, match="duration_s must be above 0, got"):
        constant(1, value)


def test_a_plan_without_a_request_is_refused() -> None:
    with pytest.raises(WorkloadError, match="at least one request, got none within 1 s"):
        poisson(1e-9, 1, seed=1)


def test_a_plan_too_large_for_memory_is_refused() -> None:
    with pytest.raises(WorkloadError, match="50,000,000 requests"):
        poisson(1e6, 1e6, seed=1)


def test_a_plan_says_its_load() -> None:
    load = Arrivals("poisson", constant(10, 3).offsets_s, 3).load()

    assert (load.arrival, load.rate_per_s, load.clients, load.duration_s) == (
        "poisson",
        10,
        None,
        3,
    )
