"""What PutMetricData, PutMetricAlarm and the queries refuse beyond the shape of a request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hosting.alarms import AlarmRule
from hosting.limits import ALARM_SHORT_PERIOD_WINDOW_S, ALARM_WINDOW_S, Bounds
from local_runtime.control_plane.cloudwatch import queries
from local_runtime.control_plane.cloudwatch.metric_store import MetricStore
from local_runtime.control_plane.cloudwatch.statistics import Tally, is_extended
from local_runtime.control_plane.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    ValidationException,
)

Json = dict[str, Any]

_ALARM_PERIODS_S: Final = (10, 20, 30)
_HOUR_S: Final = 3600
_SHORT_PERIOD_WINDOW_S: Final = Bounds(ALARM_WINDOW_S.minimum, ALARM_SHORT_PERIOD_WINDOW_S)
# Members of PutMetricAlarm that would have to change what an alarm does.
_NOT_EVALUATED: Final = (
    "ThresholdMetricId",
    "EvaluationWindow",
    "EvaluationCriteria",
    "WarmUpConfiguration",
)


def tally(datum: Json) -> Tally:
    """The samples of a MetricDatum.

    Raises:
        ApiError: its values do not fit together.
    """
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if len(given) != 1:
        raise InvalidParameterCombination(
            "Exactly one of the parameters Value, Values and StatisticValues must be given,"
            f" got {', '.join(given) if given else 'none'}"
        )
    if "StatisticValues" in datum:
        values = datum["StatisticValues"]
        check_finite(values.values())
        return Tally(
            count=values["SampleCount"],
            total=values["Sum"],
            smallest=values["Minimum"],
            largest=values["Maximum"],
            values=None,
        )
    listed = datum["Values"] if "Values" in datum else [datum["Value"]]
    counts = datum.get("Counts", [1.0] * len(listed))
    check_finite([*listed, *counts])
    if len(counts) != len(listed):
        raise InvalidParameterValue("The parameters Values and Counts must have the same length")
    held: dict[float, float] = {}
    for value, count in zip(listed, counts, strict=True):
        held[float(value)] = held.get(float(value), 0.0) + count
    return Tally.of(held)


def check_finite(values: Iterable[float]) -> None:
    """Refuse values that are no numbers."""
    if not all(math.isfinite(value) for value in values):
        raise InvalidParameterValue("The value must be a finite number")


def check_span(start_s: float, end_s: float) -> None:
    """Refuse a time that does not go forward."""
    if start_s >= end_s:
        raise InvalidParameterValue(
            "The parameter StartTime must be less than the parameter EndTime."
        )


def check_period(period_s: int) -> None:
    """Refuse a period that CloudWatch has no datapoints for."""
    if period_s not in {1, 5, 10, 20, 30} and period_s % 60:
        raise InvalidParameterValue(
            f"The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60, got {period_s}"
        )


def check_statistics(names: Sequence[str]) -> None:
    """Refuse extended statistics that do not exist."""
    for name in names:
        if not is_extended(name):
            raise InvalidParameterValue(
                f"The value {name} for parameter ExtendedStatistics is not supported."
            )


def check_suppressor(request: Json) -> str | None:
    """The name of the alarm that suppresses a composite one; None when there is none.

    Raises:
        ApiError: its periods do not fit.
    """
    periods = ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
    given = [member for member in periods if member in request]
    name: str | None = request.get("ActionsSuppressor")
    if name is None:
        if given:
            raise ValidationException(f"{given[0]} needs ActionsSuppressor")
        return None
    for member in periods:
        if member not in request:
            raise ValidationException(f"ActionsSuppressor needs {member}")
        if request[member] < 0:
            raise ValidationException(f"{member} must be at least 0, got {request[member]}")
    return name.rpartition(":alarm:")[2]


def alarm_rule(request: Json) -> AlarmRule:
    """What a PutMetricAlarm asks for.

    Raises:
        ApiError: its parameters do not fit together, or ask for what is not evaluated here.
    """
    for member in _NOT_EVALUATED:
        if member in request:
            raise ValidationException(f"{member} is not supported by the local runtime")
    needed = ["EvaluationPeriods", "ComparisonOperator", "Threshold"]
    if "Metrics" in request:
        queries.check(request["Metrics"])
        clashing = [
            member
            for member in ("MetricName", "Namespace", "Dimensions", "Period", "Statistic")
            if member in request
        ]
        if clashing:
            raise InvalidParameterCombination(
                f"The parameter Metrics cannot be given with {', '.join(clashing)}"
            )
        returned = [q for q in request["Metrics"] if q.get("ReturnData", True)]
        if len(returned) != 1:
            raise ValidationException(
                f"Exactly one element of the metrics list should return data, got {len(returned)}"
            )
        _try_out(request)
    else:
        needed += ["MetricName", "Namespace", "Period"]
        if ("Statistic" in request) == ("ExtendedStatistic" in request):
            raise InvalidParameterCombination(
                "Exactly one of Statistic and ExtendedStatistic must be given"
            )
        check_statistics([request["ExtendedStatistic"]] if "ExtendedStatistic" in request else [])
    missing = [member for member in needed if member not in request]
    if missing:
        raise ValidationException(f"The parameter {missing[0]} is required")
    period_s = queries.alarm_period_s(request)
    if period_s not in _ALARM_PERIODS_S and period_s % 60:
        raise ValidationException(
            f"Metric period must be 10, 20, 30 or a multiple of 60, got {period_s}"
        )
    window = _SHORT_PERIOD_WINDOW_S if period_s < _HOUR_S else ALARM_WINDOW_S
    window_s = period_s * request["EvaluationPeriods"]
    if window_s not in window:
        raise ValidationException(
            f"EvaluationPeriods times Period must be {window} seconds with a Period of {period_s},"
            f" got {window_s}"
        )
    try:
        return AlarmRule(
            comparison=request["ComparisonOperator"],
            threshold=request["Threshold"],
            evaluation_periods=request["EvaluationPeriods"],
            datapoints_to_alarm=request[
                "DatapointsToAlarm" if "DatapointsToAlarm" in request else "EvaluationPeriods"
            ],
            missing_data=request.get("TreatMissingData", "missing"),
        )
    except ValueError as fault:
        raise ValidationException(str(fault)) from None


def _try_out(request: Json) -> None:
    """Evaluate an alarm's expressions once, on nothing: what cannot be evaluated is refused now.

    Raises:
        ValidationException: an expression has an error, or comes to more than one series.
    """
    for query in request["Metrics"]:
        if "MetricStat" in query:
            check_period(query["MetricStat"]["Period"])
    queries.alarm_points(MetricStore(speed=1.0), "", request, 0.0, 1)
