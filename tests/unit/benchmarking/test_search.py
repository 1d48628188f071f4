from __future__ import annotations

import random
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarking.errors import RefusedError
from benchmarking.preflight import Preflight
from benchmarking.records import Objective, Outcome, Sample
from benchmarking.search import Goal, narrow, places_for, smallest, trials
from benchmarking.settings import Settings

GOAL = Goal(latency_s=0.2, throttle_share=0.01)


def samples(count: int, *, slow: int = 0, throttled: int = 0, seed: int = 1) -> list[Sample]:
    """Requests, of which some, anywhere among them, are slow or throttled."""
    plain = Sample(
        cell="c",
        number=0,
        phase="measure",
        payload=0,
        intended_s=0.0,
        sent_s=0.0,
        first_byte_s=None,
        done_s=0.1,
        status=200,
        outcome="ok",
        error=None,
        request_bytes=1,
        response_bytes=1,
        cold=None,
    )
    ends: list[tuple[float, Outcome]] = [(0.1, "ok")] * count
    ends[:slow] = [(0.3, "ok")] * slow
    ends[slow : slow + throttled] = [(0.01, "throttle")] * throttled
    random.Random(seed).shuffle(ends)  # noqa: S311 - no secret
    return [
        replace(plain, number=number, done_s=done_s, outcome=outcome)
        for number, (done_s, outcome) in enumerate(ends)
    ]


def test_samples_decide_when_their_bounds_do() -> None:
    assert GOAL.verdict(samples(2000)) is True
    assert GOAL.verdict(samples(2000, slow=60)) is False
    assert GOAL.verdict(samples(2000, throttled=60)) is False
    assert GOAL.verdict(samples(100)) is None
    assert GOAL.verdict(samples(2000, slow=20)) is None


def test_an_early_end_asks_for_more_evidence() -> None:
    found = samples(400)

    assert GOAL.verdict(found) is True
    assert GOAL.verdict(found, 0.998) is None


def test_an_endpoint_that_throttles_everything_misses() -> None:
    assert GOAL.verdict(samples(300, throttled=300)) is False
    assert GOAL.verdict([]) is False


def test_erlangs_formula_says_how_many_places_are_enough() -> None:
    # 10 requests/s of 1 s each offer a load of 10: 18 places lose 0.71 %, 17 lose 1.3 %.
    assert places_for(10, 1.0, 0.01) == 18
    assert places_for(0.001, 0.001, 0.01) == 1
    assert places_for(10_000, 60, 0.01) == 200  # no endpoint has more


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200))
def test_narrowing_finds_the_smallest_that_holds(true: int, most: int, guess: int) -> None:
    true, guess = min(true, most), min(guess, most)
    asked: list[int] = []

    def met(value: int) -> bool:
        assert 1 <= value < most, "the largest is known to hold"
        asked.append(value)
        return value >= true

    assert narrow(guess, most, met) == true
    assert len(set(asked)) <= 18


@given(st.integers(0, 6))
def test_bisecting_finds_the_first_size_that_holds(failing: int) -> None:
    sizes = [1024, 2048, 3072, 4096, 5120, 6144]

    found = smallest(sizes, lambda size: sizes.index(size) >= failing)

    assert found == (sizes[failing] if failing < len(sizes) else None)


def test_a_search_needs_something_to_search_for() -> None:
    settings = Settings(verb="search", model_name="m", payloads="p", region="r")
    with pytest.raises(RefusedError, match="--objective-p99-ms"):
        Goal.of(settings)

    found = Goal.of(replace(settings, objective=Objective(latency_p99_ms=200)))
    assert found == Goal(latency_s=0.2, throttle_share=0.01)


def test_a_search_whose_tests_could_never_show_a_p99_is_refused() -> None:
    settings = Settings(
        verb="search",
        model_name="m",
        payloads="p",
        region="r",
        objective=Objective(latency_p99_ms=200),
        arrival="poisson",
        rates=(10.0,),
        duration_s=35.0,
        warm_up_s=30.0,
    )
    with pytest.raises(
        RefusedError, match=r"at least 368 requests after its warm-up .* got 3\d\d:"
    ):
        trials(settings, cast("Preflight", None))
