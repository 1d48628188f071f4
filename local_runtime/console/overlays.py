"""Lines and bands across a chart: a threshold, a deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local_runtime.console.faults import WidgetFault
from local_runtime.console.time_range import moment_s

Json = dict[str, Any]


def horizontal(annotations: Mapping[str, Any]) -> list[Json]:
    """The levels of a chart: each a value, or two with a band between."""
    return _read(annotations, "horizontal", _level)


def vertical(annotations: Mapping[str, Any]) -> list[Json]:
    """The moments of a chart, in seconds since 1970."""
    return _read(annotations, "vertical", _moment)


def _read(
    annotations: Mapping[str, Any], direction: str, value_of: Callable[[object], float]
) -> list[Json]:
    found = []
    for listed in _list(annotations, direction):
        ends = listed if isinstance(listed, list) else [listed]
        if not 1 <= len(ends) <= 2 or not all(isinstance(end, dict) for end in ends):
            raise WidgetFault(
                f"a {direction} annotation must be an object, or a list of two, got {listed!r}"
            )
        if ends[0].get("visible", True) is False:
            continue
        values = [value_of(end.get("value")) for end in ends]
        found.append(
            {
                "values": sorted(values),
                "labels": [str(end["label"]) for end in ends if end.get("label")],
                "colour": next((end["color"] for end in ends if "color" in end), None),
                "fill": "between" if len(ends) == 2 else ends[0].get("fill", "none"),
                "axis": "right" if ends[0].get("yAxis") == "right" else "left",
            }
        )
    return found


def _list(annotations: Mapping[str, Any], direction: str) -> list[Any]:
    listed = annotations.get(direction, [])
    if not isinstance(listed, list):
        raise WidgetFault(f"annotations.{direction} must be a list, got {listed!r}")
    return listed


def _level(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WidgetFault(f"the value of a horizontal annotation must be a number, got {value!r}")
    return float(value)


def _moment(value: object) -> float:
    moment = moment_s(value) if isinstance(value, str) else None
    if moment is None:
        raise WidgetFault(f"the value of a vertical annotation must be a moment, got {value!r}")
    return moment
