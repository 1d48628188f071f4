"""What metric math does to arrays of series, and to their times.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from local_runtime.control_plane.cloudwatch.series_math import (
    REDUCTIONS,
    ExpressionError,
    Series,
    Value,
    as_list,
    as_number,
)

SORT_ORDERS: Final = ("ASC", "DESC")
SORT_FUNCTIONS: Final = ("AVG", "MIN", "MAX", "SUM")


def sort(arguments: list[Value]) -> list[Series]:
    """``SORT(array, function, order[, limit])``; a series without a point comes last."""
    array, function, order, *limit = arguments
    if function not in SORT_FUNCTIONS or not isinstance(function, str):
        raise ExpressionError(f"Expression function SORT takes one of {', '.join(SORT_FUNCTIONS)}")
    if order not in SORT_ORDERS:
        raise ExpressionError(f"Expression function SORT takes one of {', '.join(SORT_ORDERS)}")
    measure = REDUCTIONS[function]
    held = [series for series in as_list(array) if series.points]
    empty = [series for series in as_list(array) if not series.points]
    held.sort(key=lambda each: measure(list(each.points.values())), reverse=order == "DESC")
    count = _whole("SORT", limit[0]) if limit else None
    return [*held, *empty][:count]


def cut(arguments: list[Value]) -> list[Series]:
    """``SLICE(array, start[, end])``, counted from 0, the end exclusive."""
    array, start, *end = arguments
    stop = _whole("SLICE", end[0]) if end else None
    return as_list(array)[_whole("SLICE", start) : stop]


def _whole(name: str, value: Value) -> int:
    number = as_number(name, value)
    if not math.isfinite(number) or number < 0 or number != int(number):
        raise ExpressionError(f"Expression function {name} takes whole numbers from 0 on")
    return int(number)


# By its name, what a calendar function makes of a moment. Weeks begin on Monday, which is 1.
CALENDAR: Final[Mapping[str, Callable[[datetime], float]]] = {
    "MINUTE": lambda moment: moment.minute,
    "HOUR": lambda moment: moment.hour,
    "DAY": lambda moment: moment.isoweekday(),
    "DATE": lambda moment: moment.day,
    "MONTH": lambda moment: moment.month,
    "YEAR": lambda moment: moment.year,
    "EPOCH": lambda moment: round(moment.timestamp()),
}


def calendar(name: str, periods: range, moment_s: Callable[[int], float]) -> Series:
    """A series that says of each period when it begins, in UTC."""
    read = CALENDAR[name]
    return Series(
        {number: float(read(datetime.fromtimestamp(moment_s(number), UTC))) for number in periods}
    )
