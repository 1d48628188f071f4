"""Numbers in words."""

from __future__ import annotations

import pytest

from benchmarking import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234.5, "1,234"),
        (999.6, "1,000"),
        (123.4, "123"),
        (99.96, "100"),
        (12.34, "12.3"),
        (9.996, "10"),
        (1.234, "1.23"),
        (0.9996, "1"),
        (0.01234, "0.0123"),
        (0.1, "0.1"),
        (-0.25, "-0.25"),
        (1e-9, "0.000000001"),
    ],
)
def test_a_number_has_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (90, "90 s"), (300, "5 min"), (5400, "90 min"), (9000, "2 h 30 min")],
)
def test_a_length_of_time_has_its_natural_unit(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.44, "$4.44"), (1234.5, "$1,234"), (0.0004, "$0.0004"), (0, "$0.00")],
)
def test_an_amount_keeps_what_matters(value: float, text: str) -> None:
    assert wording.usd(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(850, "850"), (12_345, "12,345"), (8_900_000, "8.9 million")]
)
def test_many_requests_are_counted_in_millions(value: float, text: str) -> None:
    assert wording.count(value) == text
