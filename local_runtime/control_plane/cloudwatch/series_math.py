"""What metric math does to time series: point by point, over one series, over several.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import math
import operator
import statistics
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

Points = dict[int, float]


@dataclass(frozen=True, slots=True)
class Series:
    """Values by the number of their period; a period without a value is missing.

    ``stat`` is the MetricStat of a metric; a series that was calculated has none.
    """

    points: Points
    name: str = ""
    period_s: float | None = None
    stat: Mapping[str, Any] | None = None


Value = float | str | Series | list[Series]


class ExpressionError(ValueError):
    """An expression that cannot be read, or that means nothing."""


COMPARISONS: Final[Mapping[str, Callable[[float, float], float | bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
LOGIC: Final[Mapping[str, Callable[[float, float], float | bool]]] = {
    "AND": lambda left, right: left != 0 and right != 0,
    "OR": lambda left, right: left != 0 or right != 0,
}


def filled(filler: Value, points: Points, known: list[int], number: int) -> float | None:
    """The value for a missing point: a number, that of a series, the last one, or in between.

    Args:
        filler: the second argument of ``FILL``.
        points: the series.
        known: the numbers of its points, ascending.
        number: of the missing one.
    """
    if isinstance(filler, float):
        return filler
    if isinstance(filler, Series):
        return filler.points.get(number)
    at = bisect_left(known, number)
    if filler == "REPEAT":
        return points[known[at - 1]] if at > 0 else None
    if filler == "LINEAR":
        if not 0 < at < len(known):
            return None
        left, right = known[at - 1], known[at]
        share = (number - left) / (right - left)
        return points[left] + share * (points[right] - points[left])
    raise ExpressionError("Expression function FILL takes a number, a series, REPEAT or LINEAR")


def as_list(value: Value) -> list[Series]:
    """One series or several, as a list.

    Raises:
        ExpressionError: it is a number.
    """
    if isinstance(value, Series):
        return [value]
    if isinstance(value, list):
        return value
    raise ExpressionError("Expression has a number where a time series is needed")


def as_number(name: str, value: Value) -> float:
    """A number that a function takes.

    Raises:
        ExpressionError: it is a series.
    """
    if not isinstance(value, float):
        raise ExpressionError(f"Expression function {name} takes a number")
    return value


def each(function: Callable[[Series], Series], value: Value) -> Value:
    """Apply a function to one series or to each of several."""
    if isinstance(value, list):
        return [function(series) for series in value]
    [series] = as_list(value)
    return function(series)


def combined(function: Callable[[float, float], float | bool], left: Value, right: Value) -> Value:
    """Combine values, series point by point; a missing point is 0, a point that fails is dropped.

    With a number beside it, a series keeps its gaps.
    """
    if isinstance(left, str) or isinstance(right, str):
        raise ExpressionError("Expression cannot calculate with a string")
    if isinstance(left, list) or isinstance(right, list):
        return _arrays(function, left, right)
    if isinstance(left, float) and isinstance(right, float):
        result = _applied(function, left, right)
        # As with points: what cannot be calculated is dropped from everything it goes into.
        return math.nan if result is None else result
    numbers: set[int] = set()
    for side in (left, right):
        if isinstance(side, Series):
            numbers |= side.points.keys()
    points = {}
    for number in sorted(numbers):
        result = _applied(function, _at(left, number), _at(right, number))
        if result is not None:
            points[number] = result
    return Series(points)


def _arrays(function: Callable[[float, float], float | bool], left: Value, right: Value) -> Value:
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            raise ExpressionError("Expression combines arrays of different lengths")
        pairs = list(zip(left, right, strict=True))
    elif isinstance(left, list):
        pairs = [(each, right) for each in left]  # type: ignore[misc]  # a number or a series
    else:
        assert isinstance(right, list)
        pairs = [(left, each) for each in right]  # type: ignore[misc]  # a number or a series
    results = []
    for one, other in pairs:
        result = combined(function, one, other)
        assert isinstance(result, Series)
        told = one if isinstance(one, Series) else other
        assert isinstance(told, Series)
        results.append(Series(result.points, told.name))
    return results


def _at(value: float | Series, number: int) -> float:
    return value.points.get(number, 0.0) if isinstance(value, Series) else value


def _applied(
    function: Callable[[float, float], float | bool], left: float, right: float
) -> float | None:
    try:
        result = function(left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    if isinstance(result, complex) or not math.isfinite(result):
        return None
    return float(result)


def choose(condition: Value, true: Value, false: Value | None) -> Value:
    """``IF``, by the four tables of its documentation."""
    for part in (true, false):
        if isinstance(part, list | str):
            raise ExpressionError("Expression function IF takes numbers and single series")
    if isinstance(condition, float):
        if math.isnan(condition):
            return Series({})
        chosen = true if condition != 0 else false
        return Series({}) if chosen is None else chosen
    [series] = as_list(condition)
    points = {}
    for number, value in series.points.items():
        if value != 0:
            # A missing point of the true branch is 0, one of the false branch is dropped.
            points[number] = _at(true, number)  # type: ignore[arg-type]  # checked above
        elif isinstance(false, Series):
            if number in false.points:
                points[number] = false.points[number]
        elif isinstance(false, float):
            points[number] = false
    return Series(points)


def reduce(name: str, value: Value) -> Value:
    """Of one series a number; of an array a series, in which missing values are 0.

    Only DATAPOINT_COUNT, which counts what was reported, leaves missing values out.
    """
    function = REDUCTIONS[name]
    if isinstance(value, list) and name == "DATAPOINT_COUNT":
        counts: dict[int, float] = {}
        for series in value:
            for number in series.points:
                counts[number] = counts.get(number, 0.0) + 1
        return Series(counts)
    if isinstance(value, list):
        numbers = sorted({number for series in value for number in series.points})
        return Series(
            {
                number: function([series.points.get(number, 0.0) for series in value])
                for number in numbers
            }
        )
    if isinstance(value, Series):
        if value.points or name in _OF_NOTHING:
            return float(function(list(value.points.values())))
        return math.nan
    raise ExpressionError("Expression reduces a number; SUM and its kin take time series")


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


REDUCTIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "SUM": math.fsum,
    "AVG": _mean,
    "MIN": min,
    "MAX": max,
    "STDDEV": statistics.pstdev,
    "DATAPOINT_COUNT": len,
}

# Those that mean something of no values at all.
_OF_NOTHING: Final = ("SUM", "DATAPOINT_COUNT")


def _pointwise(function: Callable[[float], float]) -> Callable[[Points, float], Points]:
    def apply(points: Points, _: float) -> Points:
        result = {}
        for number, value in points.items():
            try:
                result[number] = float(function(value))
            except ValueError:
                continue  # the logarithm of something that has none
        return result

    return apply


def _differences(points: Points, period_s: float, *, rate: bool, time: bool) -> Points:
    ordered = sorted(points)
    result = {}
    for before, number in pairwise(ordered):
        seconds = (number - before) * period_s
        change = seconds if time else points[number] - points[before]
        result[number] = change / seconds if rate else change
    return result


def _running_sum(points: Points, _: float) -> Points:
    total, result = 0.0, {}
    for number in sorted(points):
        total += points[number]
        result[number] = total
    return result


SERIES_FUNCTIONS: Final[Mapping[str, Callable[[Points, float], Points]]] = {
    "ABS": _pointwise(abs),
    "CEIL": _pointwise(math.ceil),
    "FLOOR": _pointwise(math.floor),
    "LOG": _pointwise(math.log),
    "LOG10": _pointwise(math.log10),
    "RATE": lambda points, period_s: _differences(points, period_s, rate=True, time=False),
    "DIFF": lambda points, period_s: _differences(points, period_s, rate=False, time=False),
    "DIFF_TIME": lambda points, period_s: _differences(points, period_s, rate=False, time=True),
    "RUNNING_SUM": _running_sum,
}


def _period(series: list[Series]) -> Value:
    if len(series) != 1 or series[0].period_s is None:
        raise ExpressionError("Expression function PERIOD takes a metric")
    return float(series[0].period_s)


def _first(series: list[Series], position: int) -> Value:
    if not series:
        raise ExpressionError("Expression takes the first or last of no series")
    return series[position]


ARRAY_FUNCTIONS: Final[Mapping[str, Callable[[list[Series]], Value]]] = {
    "PERIOD": _period,
    "METRIC_COUNT": lambda series: float(len(series)),
    "FIRST": lambda series: _first(series, 0),
    "LAST": lambda series: _first(series, -1),
    "REMOVE_EMPTY": lambda series: [each for each in series if each.points],
}
