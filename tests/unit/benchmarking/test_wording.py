"""Numbers in words."""

from __future__ import annotations

import pytest

from benchmarking import wording
from benchmarking.findings import Bounded


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


def test_a_bound_is_rounded_once_wherever_it_is_shown() -> None:
    """2.48496 is 2.48. Rounded to 2.485 before, it would be 2.49."""
    share = Bounded(value=0.03, low=0.0248496, high=0.035)

    assert wording.bounds_share(share) == "3 % (2.48 to 3.5)"
    assert wording.ends(share, 100) == ("2.48", "3.5")
    assert wording.ends(Bounded(value=0, low=0, high=0.000_000_4), 100) == ("0", "0")


def test_a_time_and_its_bounds_have_one_unit() -> None:
    assert wording.bounds_ms(Bounded(value=45.2, low=44.1, high=47)) == "45.2 ms (44.1 to 47)"
    assert wording.bounds_ms(Bounded(value=12_400, low=9_800, high=14_000)) == "12.4 s (9.8 to 14)"
