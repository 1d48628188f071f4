"""Error budgets and how fast they go."""

from __future__ import annotations

import pytest
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from hosting import limits
from hosting.objectives import BURN_WINDOWS, BurnWindow


def test_an_hour_at_the_first_rate_spends_two_percent_of_a_month() -> None:
    first = BURN_WINDOWS[0]

    spent = first.rate * first.long_s / (30 * 86_400)
    assert spent == pytest.approx(0.02)


def test_six_hours_at_the_second_rate_spend_five_percent_of_a_month() -> None:
    second = BURN_WINDOWS[1]

    spent = second.rate * second.long_s / (30 * 86_400)
    assert spent == pytest.approx(0.05)


@given(rate=st.floats(0, 1000), availability=st.floats(0.01, 0.99999))
def test_share_of_errors_is_a_share(rate: float, availability: float) -> None:
    share = BurnWindow(long_s=3600, short_s=300, rate=rate).error_share(availability)

    assert 0 <= share <= 1


@pytest.mark.parametrize(
    ("long_s", "short_s", "rate", "message"),
    [
        (300, 300, 1, r"short_s must be below long_s \(300\), got 300"),
        (90, 60, 1, "long_s must be a multiple of 60 above 0, got 90"),
        (600, 0, 1, "short_s must be a multiple of 60 above 0, got 0"),
        (600, 60, -1, "rate must be 0 or more, got -1"),
        (8 * 86_400, 60, 1, "long_s must be between 10 and 604800, got 691200"),
    ],
)
def test_windows_that_no_alarm_can_have_are_refused(
    long_s: int, short_s: int, rate: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BurnWindow(long_s=long_s, short_s=short_s, rate=rate)


def test_limits_of_alarms_are_those_of_the_service_model() -> None:
    model = Session().get_service_model("cloudwatch")
    alarm = model.operation_model("PutMetricAlarm").input_shape.members
    composite = model.operation_model("PutCompositeAlarm").input_shape.members

    assert alarm["AlarmActions"].metadata["max"] == limits.ALARM_ACTIONS
    assert alarm["AlarmName"].metadata["max"] == limits.ALARM_NAME_MAX_LENGTH
    assert alarm["AlarmDescription"].metadata["max"] == limits.ALARM_DESCRIPTION_MAX_LENGTH
    assert composite["AlarmRule"].metadata["max"] == limits.COMPOSITE_RULE_MAX_LENGTH
    prose = model.operation_model("PutCompositeAlarm").documentation
    assert f"as many as {limits.COMPOSITE_CHILDREN} underlying alarms" in prose
