"""CloudWatch's page on missing data, row by row, and laws of the evaluation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.alarms import AlarmRule, State, evaluate, evaluation_range, has_few_samples

MISSING = ("missing", "ignore", "breaching", "notBreaching")
KEPT = "retain"


def rule(periods: int, to_alarm: int, missing: str = "missing") -> AlarmRule:
    return AlarmRule(
        comparison="GreaterThanThreshold",
        threshold=0.5,
        evaluation_periods=periods,
        datapoints_to_alarm=to_alarm,
        missing_data=missing,  # type: ignore[arg-type]
    )


def points(row: str) -> list[float | None]:
    """A row of the page, oldest first there, newest first here."""
    return [{"0": 0.0, "X": 1.0, "-": None}[mark] for mark in reversed(row.split())]


@pytest.mark.parametrize(
    ("to_alarm", "row", "filled", "states"),
    [
        (3, "0 - X - X", 0, ("OK", "OK", "OK", "OK")),
        (3, "0 - - - -", 2, ("OK", "OK", "OK", "OK")),
        (3, "- - - - -", 3, ("INSUFFICIENT_DATA", KEPT, "ALARM", "OK")),
        (3, "0 X X - X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
        (3, "- - X - -", 2, ("ALARM", KEPT, "ALARM", "OK")),
        (3, "- - - - X", 2, ("INSUFFICIENT_DATA", KEPT, "ALARM", "OK")),
        (3, "- - - X -", 2, ("INSUFFICIENT_DATA", KEPT, "ALARM", "OK")),
        (2, "0 - X - X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 0 X 0 X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 - X - -", 1, ("OK", "OK", "ALARM", "OK")),
        (2, "- - - - 0", 2, ("OK", "OK", "ALARM", "OK")),
        (2, "- - - X -", 2, ("ALARM", KEPT, "ALARM", "OK")),
    ],
)
@pytest.mark.parametrize("current", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_missing_data_is_treated_as_the_page_says(
    to_alarm: int, row: str, filled: int, states: tuple[str, ...], current: State
) -> None:
    for missing, expected in zip(MISSING, states, strict=True):
        verdict = evaluate(points(row), rule(3, to_alarm, missing), current)

        assert verdict.state == (current if expected == KEPT else expected), missing
        assert verdict.filled == filled


def test_a_queue_without_an_instance_alarms_in_its_second_minute() -> None:
    wake_up = AlarmRule(
        comparison="GreaterThanOrEqualToThreshold",
        threshold=1,
        evaluation_periods=2,
        datapoints_to_alarm=2,
    )

    first = evaluate([1.0, None, None, None], wake_up, "INSUFFICIENT_DATA")
    second = evaluate([1.0, 1.0, None, None], wake_up, first.state)

    assert (first.state, second.state) == ("INSUFFICIENT_DATA", "ALARM")
    assert evaluate([1.0, 0.0, 0.0, 0.0], wake_up, "OK").state == "OK"


def test_more_is_read_than_is_needed() -> None:
    assert evaluation_range(rule(3, 3)) == 5
    assert evaluation_range(rule(3, 3), extra=0) == 3


values = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=12)


@given(values=values, periods=st.integers(1, 6), missing=st.sampled_from(MISSING), data=st.data())
def test_enough_datapoints_leave_nothing_to_fill(
    values: list[float | None], periods: int, missing: str, data: st.DataObject
) -> None:
    to_alarm = data.draw(st.integers(1, periods))
    present = [value for value in values if value is not None]
    verdict = evaluate(values, rule(periods, to_alarm, missing), "OK")

    assert len(verdict.used) + verdict.filled == periods
    if len(present) >= periods:
        breaching = sum(value > 0.5 for value in present[:periods])
        assert verdict.state == ("ALARM" if breaching >= to_alarm else "OK")


@given(values=values, periods=st.integers(1, 6), missing=st.sampled_from(MISSING), data=st.data())
def test_an_alarm_that_needs_fewer_datapoints_goes_off_no_later(
    values: list[float | None], periods: int, missing: str, data: st.DataObject
) -> None:
    more = data.draw(st.integers(1, periods))
    fewer = data.draw(st.integers(1, more))

    if evaluate(values, rule(periods, more, missing), "OK").state == "ALARM":
        assert evaluate(values, rule(periods, fewer, missing), "OK").state == "ALARM"


@pytest.mark.parametrize(
    ("percentile", "samples", "few"),
    [(99, 999, True), (99, 1001, False), (50, 19, True), (50, 20, False), (10, 99, True)],
)
def test_a_percentile_needs_samples(percentile: float, samples: float, *, few: bool) -> None:
    assert has_few_samples(percentile, samples) is few


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("comparison", {"comparison": "Equal"}),
        ("missing_data", {"missing_data": "zero"}),
        ("datapoints_to_alarm", {"datapoints_to_alarm": 4}),
    ],
)
def test_a_rule_that_means_nothing_is_refused_by_name(name: str, changes: dict[str, str]) -> None:
    allowed = {
        "comparison": "GreaterThanThreshold",
        "threshold": 1.0,
        "evaluation_periods": 3,
        "datapoints_to_alarm": 3,
    }
    with pytest.raises(ValueError, match=name):
        AlarmRule(**{**allowed, **changes})  # type: ignore[arg-type]
