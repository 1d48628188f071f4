"""Days: shapes whose mean is exactly one, from weights or from a peak alone."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarking.records import Traffic
from benchmarking.traffic import HOURS, Day, day_of, from_weights, with_peak


def test_traffic_without_a_shape_is_the_same_every_hour() -> None:
    assert day_of(Traffic(requests_per_month=1000)) == Day()
    assert Day().peak == 1


@settings(deadline=None)
@given(st.floats(1, HOURS))
def test_a_day_with_a_peak_has_exactly_this_peak_and_loses_no_request(peak: float) -> None:
    day = with_peak(peak)

    assert sum(day.shape) == HOURS
    assert float(day.peak) == pytest.approx(peak, abs=1e-9)


def test_a_peak_rises_and_falls_around_one_busy_hour() -> None:
    shape = with_peak(3).shape
    busiest = shape.index(max(shape))
    turned = [shape[(busiest + hour) % HOURS] for hour in range(HOURS)]

    assert turned[: HOURS // 2 + 1] == sorted(turned[: HOURS // 2 + 1], reverse=True)


def test_all_of_a_day_may_come_in_one_hour() -> None:
    assert sorted(with_peak(24).shape) == [0] * 23 + [24]


def test_weights_are_scaled_to_a_mean_of_one() -> None:
    day = from_weights([0] * 12 + [3] * 12)

    assert day.levels == ((Decimal(0), 12), (Decimal(2), 12))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=HOURS, max_size=HOURS).filter(any))
def test_any_weights_make_a_day(weights: list[float]) -> None:
    assert sum(from_weights(weights).shape) == HOURS


def test_a_curve_given_by_the_hour_comes_before_a_peak() -> None:
    hourly = (0.0, *[1.0] * 23)

    assert day_of(Traffic(requests_per_month=1, peak_to_mean=9, hourly=hourly)) == from_weights(
        hourly
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1.0, 2.0), "hourly must have 24 weights, got 2"),
        ((*[1.0] * 23, -1.0), r"weight of hour 23 must be 0 or more and finite, got -1\.0"),
        ((*[1.0] * 23, math.nan), "weight of hour 23 must be 0 or more and finite, got nan"),
        ((0.0,) * 24, "hourly must have a weight above 0, got zeros"),
    ],
)
def test_hours_that_are_no_day_are_refused(weights: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_weights(weights)


@pytest.mark.parametrize(
    ("traffic", "message"),
    [
        (Traffic(requests_per_month=0), "requests_per_month must be above 0 and finite, got 0"),
        (Traffic(requests_per_month=float("inf")), "above 0 and finite, got inf"),
        (Traffic(requests_per_month=1, peak_to_mean=0.5), "between 1 and 24, got 0.5"),
        (Traffic(requests_per_month=1, peak_to_mean=25), "between 1 and 24, got 25"),
    ],
)
def test_traffic_that_cannot_be_is_refused(traffic: Traffic, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        day_of(traffic)
