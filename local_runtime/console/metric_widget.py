"""A metric widget, evaluated: everything that a page needs to draw it, and nothing to calculate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

from local_runtime.console import overlays
from local_runtime.console.faults import WidgetFault, as_object
from local_runtime.console.metric_lines import Line, absence, evaluated
from local_runtime.console.metric_rows import (
    DEFAULT_PERIOD_S,
    DEFAULT_STATISTIC,
    Row,
    read_rows,
    rows_of_queries,
)
from local_runtime.console.scene import Scene
from local_runtime.control_plane.cloudwatch import queries

Json = dict[str, Any]

VIEWS: Final = ("timeSeries", "singleValue", "gauge", "bar", "pie", "table")
# A grid of periods that is longer than this has its gaps left out.
_MOST_POINTS: Final = 2000
# As many as one answer of GetMetricData holds; more would keep the runtime busy for minutes.
_MOST_VALUES: Final = 100_800
# What an axis' label says about values that have no unit themselves: results of expressions.
_UNITS_BY_LABEL: Final = {
    "µs": "Microseconds",
    "us": "Microseconds",
    "microseconds": "Microseconds",
    "ms": "Milliseconds",
    "milliseconds": "Milliseconds",
    "s": "Seconds",
    "seconds": "Seconds",
    "%": "Percent",
    "percent": "Percent",
}


def draw(properties: Mapping[str, Any], scene: Scene) -> Json:
    """Evaluate a metric widget.

    Raises:
        WidgetFault: it cannot be drawn.
    """
    view = properties.get("view", "timeSeries")
    if view not in VIEWS:
        raise WidgetFault(f"view must be one of {', '.join(VIEWS)}, got {view!r}")
    noted = as_object(properties.get("annotations", {}), "annotations")
    levels = overlays.horizontal(noted)
    rows: list[Row] = []
    if "alarms" in noted and "metrics" not in properties:
        rows, levels = _alarm(noted["alarms"], scene)
    elif "metrics" in properties or not levels:
        rows = read_rows(properties.get("metrics"), statistic=_statistic(properties))
    region = str(properties.get("region", scene.region))
    whole = bool(properties.get("setPeriodToTimeRange")) and view != "timeSeries"
    period_s = _period_s(properties, rows, scene)
    lines, left_out = evaluated(rows, region, scene, period_s=period_s, whole=whole)
    if not whole and properties.get("liveData") is not True:
        lines = [_complete(line, scene) for line in lines]
    stacked = bool(properties.get("stacked")) and view == "timeSeries"
    document: Json = {
        "view": view,
        "stacked": stacked,
        "period_s": None if whole else period_s,
        "start_s": scene.range.wall_s(scene.range.start_s),
        "end_s": scene.range.wall_s(scene.range.end_s),
        "axes": _axes(properties.get("yAxis", {}), lines, scene),
        "levels": levels,
        "moments": overlays.vertical(noted),
        "legend": as_object(properties.get("legend", {}), "legend").get("position", "bottom"),
        "sparkline": view == "singleValue" and properties.get("sparkline", True) is not False,
        "lines": [_line(line, scene) for line in lines],
        "left_out": left_out,
    }
    for line in document["lines"]:
        if line["unit"] is None:
            line["unit"] = document["axes"][line["axis"]]["unit"]
    document |= _points(lines, scene, stacked=stacked, whole=whole)
    return document


def _statistic(properties: Mapping[str, Any]) -> str:
    return str(properties.get("stat", DEFAULT_STATISTIC))


def _period_s(properties: Mapping[str, Any], rows: Iterable[Row], scene: Scene) -> int:
    """The one period of a widget: the longest of its rows, as expressions need a common one."""
    wanted = [row.period_s for row in rows if row.period_s is not None]
    default = properties.get("period", DEFAULT_PERIOD_S)
    if not isinstance(default, int) or isinstance(default, bool) or default < 1:
        raise WidgetFault(f"period must be seconds, got {default!r}")
    longest = max(wanted) if wanted else default
    period_s = scene.range.period_s(longest, fixed=scene.fixed_periods)
    values = math.ceil(scene.range.length_s / period_s)
    if values > _MOST_VALUES:
        raise WidgetFault(
            f"a period of {period_s} s makes {values:,} values in this time, and {_MOST_VALUES:,}"
            " are drawn at most: choose a shorter time"
        )
    return period_s


def _alarm(arns: object, scene: Scene) -> tuple[list[Row], list[Json]]:
    """The metric of an alarm, and its threshold."""
    if not isinstance(arns, list) or len(arns) != 1:
        raise WidgetFault(f"annotations.alarms must be a list of one ARN, got {arns!r}")
    alarm = next((alarm for alarm in scene.alarms.all() if alarm.arn == arns[0]), None)
    if alarm is None:
        raise WidgetFault(f"no alarm has the ARN {arns[0]!r}")
    if alarm.kind != "MetricAlarm":
        raise WidgetFault(f"alarm {alarm.name} is a composite one and watches no metric")
    level = {
        "values": [float(alarm.request["Threshold"])],
        "labels": [f"{alarm.name}: threshold"],
        "colour": None,
        "fill": "above" if "Greater" in alarm.request["ComparisonOperator"] else "below",
        "axis": "left",
    }
    return rows_of_queries(queries.alarm_queries(alarm.request)), [level]


def _complete(line: Line, scene: Scene) -> Line:
    """A line without the period that is still under way, which looks like a fall.

    CloudWatch leaves it out too, unless the widget has ``liveData``. The first one is shown here:
    whoever has just sent a request wants to see it.
    """
    reached_s = scene.store.until_s
    whole = {
        number: value
        for number, value in line.points.items()
        if (number + 1) * line.period_s <= reached_s
    }
    return replace(line, points=whole) if whole else line


def _line(line: Line, scene: Scene) -> Json:
    values = [line.points[number] for number in sorted(line.points)]
    document: Json = {
        "label": line.label,
        "axis": line.row.axis,
        "colour": line.row.colour,
        "unit": _unit(line, scene),
        "count": len(values),
    }
    if values:
        document |= {
            "latest": values[-1],
            "smallest": min(values),
            "largest": max(values),
            "average": sum(values) / len(values),
            "total": sum(values),
        }
    else:
        document["absence"] = absence(line, scene)
    return document


def _unit(line: Line, scene: Scene) -> str | None:
    """The unit of the samples; that of counted ones is a count."""
    stat = line.row.query.get("MetricStat")
    if stat is None:
        return None
    if stat["Stat"] == "SampleCount":
        return "Count"
    [metric] = line.sources
    units = scene.store.units(metric)
    return units[0] if len(units) == 1 and units[0] != "None" else None


def _axes(given: object, lines: Sequence[Line], scene: Scene) -> Json:
    sides = as_object(given, "yAxis")
    axes: Json = {}
    for side in ("left", "right"):
        own = [line for line in lines if line.row.axis == side]
        axis = as_object(sides.get(side, {}), f"yAxis.{side}")
        # What was never recorded has no unit, and takes none from the others.
        units = {_unit(line, scene) for line in own if line.points or len(own) == 1}
        unit = units.pop() if len(units) == 1 else None
        label = axis.get("label")
        named = _UNITS_BY_LABEL.get(str(label).lower())
        if unit is None:
            unit = named
        axes[side] = {
            "used": bool(own),
            # Beside numbers that carry their unit, its name alone says nothing.
            "label": None if named is not None or label is None else str(label),
            "min": _bound(axis, "min", side),
            "max": _bound(axis, "max", side),
            "unit": unit,
        }
    return axes


def _bound(axis: Mapping[str, Any], name: str, side: str) -> float | None:
    value = axis.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WidgetFault(f"yAxis.{side}.{name} must be a number, got {value!r}")
    return float(value)


def _points(lines: Sequence[Line], scene: Scene, *, stacked: bool, whole: bool) -> Json:
    """The times of all lines, and the values of each at these times."""
    if whole or not any(line.points for line in lines):
        return {"times": [], "values": [[] for _ in lines], "stack": []}
    moments = sorted({number * line.period_s for line in lines for number in line.points})
    periods = {line.period_s for line in lines}
    if len(periods) == 1:  # then a period without a value is a gap, and not only a missing number
        [period_s] = periods
        first, last = moments[0] // period_s, moments[-1] // period_s
        if last - first < _MOST_POINTS:
            moments = [number * period_s for number in range(first, last + 1)]
    values = [[line.points.get(moment // line.period_s) for moment in moments] for line in lines]
    for line, row in zip(lines, values, strict=True):
        row[:] = [
            value if moment % line.period_s == 0 else None
            for moment, value in zip(moments, row, strict=True)
        ]
    stack: list[list[float]] = []
    if stacked:
        columns = [list(accumulate(_zeros(column))) for column in zip(*values, strict=True)]
        stack = [list(row) for row in zip(*columns, strict=True)]
    return {
        "times": [scene.range.wall_s(moment) for moment in moments],
        "values": values,
        "stack": stack,
    }


def _zeros(column: Iterable[float | None]) -> Iterable[float]:
    return (0.0 if value is None else value for value in column)
