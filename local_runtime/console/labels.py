"""Dynamic labels: ``${MAX}`` and its kin in the name of a line.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/graph-dynamic-labels.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"\$\{(?P<word>[A-Z_]+)(?:\('(?P<argument>[^']*)'\))?\}")
_Stat = Mapping[str, Any]


def shown(label: str, values: Sequence[float], *, stat: _Stat | None, default: str) -> str:
    """A label with its placeholders filled in; one that is not known stays as it is.

    Args:
        label: as the widget gives it.
        values: those of the line.
        stat: the line's MetricStat; None for an expression.
        default: what ``${LABEL}`` stands for.
    """

    def fill(match: re.Match[str]) -> str:
        word, argument = match["word"], match["argument"]
        if word == "LABEL":
            return default
        if word == "PROP" and stat is not None and argument is not None:
            found = _property(stat, argument)
            return match[0] if found is None else found
        number = _number(word, values)
        if number is not None:
            return number
        return match[0]

    return _PLACEHOLDER.sub(fill, label)


def default_labels(stats: Sequence[_Stat | None]) -> list[str]:
    """Names for lines that were given none: what tells each from the others.

    An expression (None) gets an empty one: it is known by its id.
    """
    known = [stat for stat in stats if stat is not None]
    names = {stat["Metric"]["MetricName"] for stat in known}
    statistics = {stat["Stat"] for stat in known}
    values: dict[str, set[str]] = {}
    for stat in known:
        for dimension in stat["Metric"]["Dimensions"]:
            values.setdefault(dimension["Name"], set()).add(dimension["Value"])

    def label(stat: _Stat | None) -> str:
        if stat is None:
            return ""
        parts = [
            dimension["Value"]
            for dimension in stat["Metric"]["Dimensions"]
            if len(values[dimension["Name"]]) > 1
        ]
        if len(names) > 1 or not parts:
            parts.insert(0, stat["Metric"]["MetricName"])
        if len(statistics) > 1:
            parts.append(stat["Stat"])
        return " ".join(parts)

    return [label(stat) for stat in stats]


def _property(stat: _Stat, name: str) -> str | None:
    metric = stat["Metric"]
    if name.startswith("Dim."):
        wanted = name.removeprefix("Dim.")
        return next((d["Value"] for d in metric["Dimensions"] if d["Name"] == wanted), None)
    known = {
        "MetricName": metric["MetricName"],
        "Namespace": metric["Namespace"],
        "Stat": stat["Stat"],
        "Period": str(stat.get("Period", "")),
    }
    return known.get(name)


def _number(word: str, values: Sequence[float]) -> str | None:
    if word not in {"MAX", "MIN", "SUM", "AVG", "FIRST", "LAST"}:
        return None
    if not values:
        return "--"
    number = {
        "MAX": max(values),
        "MIN": min(values),
        "SUM": sum(values),
        "AVG": sum(values) / len(values),
        "FIRST": values[0],
        "LAST": values[-1],
    }[word]
    return f"{number:.3f}".rstrip("0").rstrip(".")
