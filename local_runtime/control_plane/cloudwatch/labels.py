"""Labels of time series: what tells them apart, and values in ``${...}``.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/graph-dynamic-labels.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from local_runtime.control_plane.errors import InvalidParameterValue

Stat = Mapping[str, Any]

_PLACEHOLDER: Final = re.compile(r"\$\{(?P<word>[A-Z_]+)(?:\(['\"](?P<argument>[^'\"]*)['\"]\))?\}")
_TIMEZONE: Final = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2})(?P<minutes>\d{2})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """What a label may speak of. Points are by their time, in seconds since 1970."""

    points: Mapping[float, float]
    default: str
    stat: Stat | None
    region: str
    account_id: str
    now_s: float


def zone(options: Mapping[str, Any]) -> timezone:
    """The time zone of a request's ``LabelOptions``.

    Raises:
        InvalidParameterValue: it is none.
    """
    text = options.get("Timezone", "+0000")
    match = _TIMEZONE.fullmatch(text)
    if match is None or int(match["hours"]) > 23 or int(match["minutes"]) > 59:
        raise InvalidParameterValue(
            f"The parameter Timezone must be + or - and four digits, got {text}"
        )
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return timezone(-offset if match["sign"] == "-" else offset)


def filled(label: str, about: Labelled, in_zone: timezone) -> str:
    """A label with its placeholders filled in; one that means nothing here stays as it is."""

    def fill(match: re.Match[str]) -> str:
        word, argument = match["word"], match["argument"]
        if word == "LABEL":
            return about.default
        if word == "PROP" and argument is not None:
            found = _property(about, argument)
            return match[0] if found is None else found
        if not about.points:
            return "--"
        value = _value(word, about, in_zone)
        return match[0] if value is None else value

    return _PLACEHOLDER.sub(fill, label)


def distinguishing(stats: Sequence[Stat]) -> list[str]:
    """A name for each metric of several: what the others do not share with it."""
    names = {stat["Metric"]["MetricName"] for stat in stats}
    values: dict[str, set[str]] = {}
    for stat in stats:
        for dimension in stat["Metric"]["Dimensions"]:
            values.setdefault(dimension["Name"], set()).add(dimension["Value"])
    labels = []
    for stat in stats:
        own = {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]}
        parts = [value for name, value in own.items() if len(values[name]) > 1]
        if len(names) > 1 or not parts:
            parts.append(stat["Metric"]["MetricName"])
        labels.append(" ".join(parts))
    return labels


def _property(about: Labelled, name: str) -> str | None:
    if name == "Region":
        return about.region
    if name == "AccountId":
        return about.account_id
    if about.stat is None:
        return None
    metric = about.stat["Metric"]
    if name.startswith("Dim."):
        wanted = name.removeprefix("Dim.")
        return next((d["Value"] for d in metric["Dimensions"] if d["Name"] == wanted), None)
    known = {
        "MetricName": metric["MetricName"],
        "Namespace": metric["Namespace"],
        "Stat": about.stat["Stat"],
        "Period": str(about.stat["Period"]),
    }
    return known.get(name)


def _number(value: float) -> str:
    return f"{value:.10g}"


def _moment(time_s: float, in_zone: timezone) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC).astimezone(in_zone):%Y-%m-%d %H:%M}"


def _span(seconds: float) -> str:
    """A span of time in its two largest units."""
    rest, parts = abs(round(seconds)), []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) if parts else "0s"


# The moments that placeholders name, of points by their time.
_MOMENTS: Final[Mapping[str, Callable[[Mapping[float, float]], float]]] = {
    "FIRST": min,
    "LAST": max,
    "MIN": lambda points: min(points, key=lambda time_s: (points[time_s], time_s)),
    "MAX": lambda points: max(points, key=lambda time_s: (points[time_s], -time_s)),
}
_RANGES: Final = (("FIRST", "LAST"), ("MIN", "MAX"))


def _value(word: str, about: Labelled, in_zone: timezone) -> str | None:
    """What a placeholder stands for; None when CloudWatch has none of this name."""
    points = about.points
    shown: str | None = None
    match word.split("_"):
        case ["SUM"]:
            shown = _number(math.fsum(points.values()))
        case ["AVG"]:
            shown = _number(math.fsum(points.values()) / len(points))
        case ["DATAPOINT", "COUNT"]:
            shown = str(len(points))
        case [name] if name in _MOMENTS:
            shown = _number(points[_MOMENTS[name](points)])
        case [name, "TIME"] if name in _MOMENTS:
            shown = _moment(_MOMENTS[name](points), in_zone)
        case [name, "TIME", "RELATIVE"] if name in _MOMENTS:
            shown = _span(about.now_s - _MOMENTS[name](points))
        case [low, high, "RANGE"] if (low, high) in _RANGES:
            shown = _number(points[_MOMENTS[high](points)] - points[_MOMENTS[low](points)])
        case [low, high, "TIME", "RANGE"] if (low, high) in _RANGES:
            shown = _span(_MOMENTS[high](points) - _MOMENTS[low](points))
    return shown
