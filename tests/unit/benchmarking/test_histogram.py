"""Latency histograms."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarking.histogram import Histogram

latencies = st.lists(st.floats(1e-6, 3600), max_size=50)


@given(first=latencies, second=latencies)
def test_merging_is_recording_everything_in_one(first: list[float], second: list[float]) -> None:
    merged = Histogram.of(first)
    merged.merge(Histogram.of(second))

    assert merged == Histogram.of(first + second)
    assert len(merged) == len(first) + len(second)


@given(values=latencies)
def test_a_histogram_survives_its_encoding(values: list[float]) -> None:
    histogram = Histogram.of(values)

    assert Histogram.decode(histogram.encode()) == histogram


@given(value=st.floats(1e-3, 3600))
def test_a_value_comes_back_to_three_digits(value: float) -> None:
    assert Histogram.of([value]).percentile_s(100) == pytest.approx(value, rel=1.5e-3)


def test_percentiles_are_those_of_the_values() -> None:
    histogram = Histogram.of([n / 1000 for n in range(1, 1001)])

    assert histogram.percentile_s(50) == pytest.approx(0.5, rel=2e-3)
    assert histogram.percentile_s(99) == pytest.approx(0.99, rel=2e-3)


def test_the_spectrum_ends_with_the_slowest_value() -> None:
    spectrum = Histogram.of([0.1] * 99 + [2.0]).spectrum()

    assert spectrum[-1][0] == 100
    assert spectrum[-1][1] == pytest.approx(2.0, rel=2e-3)
    assert all(before <= after for before, after in pairwise(spectrum))


@pytest.mark.parametrize("value", [-0.001, 3601.0])
def test_what_cannot_be_a_latency_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="latency_s must be between 0 and 3600, got"):
        Histogram().record(value)


@pytest.mark.parametrize("encoded", ["", "xx", "HISTFAAAAA==", "€"])
def test_what_is_no_histogram_is_refused(encoded: str) -> None:
    with pytest.raises(ValueError, match="encoded must be a base64 HdrHistogram"):
        Histogram.decode(encoded)
