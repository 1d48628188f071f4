"""The lines that the rows of a widget come to, and why some of them have no values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_runtime.console import labels
from local_runtime.console.faults import WidgetFault
from local_runtime.console.metric_rows import Row, with_period
from local_runtime.console.scene import Scene
from local_runtime.control_plane.cloudwatch import expressions, queries
from local_runtime.control_plane.cloudwatch.metric_store import MetricName
from local_runtime.control_plane.cloudwatch.queries import Answer
from local_runtime.control_plane.cloudwatch.series_math import ExpressionError, Series
from local_runtime.control_plane.errors import ApiError

Json = dict[str, Any]
_Ask = Callable[[Sequence[Row]], Sequence[Answer]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One time series that a row came to. Times are period numbers.

    ``sources`` are the metrics that it is calculated from.
    """

    row: Row
    region: str
    label: str
    points: Mapping[int, float]
    period_s: int
    sources: Sequence[MetricName]


def evaluated(
    rows: Sequence[Row], region: str, scene: Scene, *, period_s: int, whole: bool
) -> tuple[list[Line], list[Json]]:
    """The visible lines in the order of the rows, and those left out with the reason.

    Args:
        rows: of a widget, hidden ones too.
        region: of rows that name none.
        scene: the metrics, and the stretch of time.
        period_s: of each value.
        whole: whether one value of the whole time is wanted.

    Raises:
        WidgetFault: none of the rows can be evaluated.
    """
    seconds = math.ceil(scene.range.length_s) if whole else period_s
    defaults = labels.default_labels([row.query.get("MetricStat") for row in rows])
    lines: dict[int, list[Line]] = {}
    left_out: dict[int, Json] = {}
    for where in sorted({_region(row, region) for row in rows}):
        own = [number for number, row in enumerate(rows) if _region(row, region) == where]

        def ask(asked: Sequence[Row], where: str = where) -> Sequence[Answer]:
            return _answers([with_period(row, seconds) for row in asked], where, scene, whole=whole)

        for number, answer in _each(rows, own, ask).items():
            row = rows[number]
            if isinstance(answer, str):
                label = row.query.get("Label", defaults[number] or row.query["Id"])
                left_out[number] = {"label": label, "reason": answer}
                continue
            lines[number] = [
                Line(
                    row=row,
                    region=where,
                    label=_label(answer.query, series, defaults[number]),
                    points=series.points,
                    period_s=answer.period_s,
                    sources=_metrics(_needed(rows, row), where),
                )
                for series in answer.series
            ]
    if left_out and not lines:
        raise WidgetFault(next(iter(left_out.values()))["reason"])
    return (
        [line for number in sorted(lines) for line in lines[number]],
        [left_out[number] for number in sorted(left_out)],
    )


def absence(line: Line, scene: Scene) -> Json:
    """Since when a line has no values: a moment, or never."""
    seen = [scene.store.newest_s(metric) for metric in line.sources]
    seen_s = max((each for each in seen if each is not None), default=None)
    if "MetricStat" not in line.row.query:
        return {"reason": "expression", "seen_s": seen_s}
    if seen_s is not None:
        return {"reason": "quiet", "seen_s": seen_s}
    [metric] = line.sources
    names = {name for name, _ in metric.dimensions}
    others = scene.store.metrics(
        line.region, lambda one: one.name == metric.name and one.namespace == metric.namespace
    )
    known = {tuple(name for name, _ in each.dimensions) for each in others}
    # The same dimensions with other values are another endpoint's: nothing is wrong with these.
    if known and names not in map(set, known):
        listed = [" and ".join(each) if each else "none" for each in sorted(known)]
        return {"reason": "other-dimensions", "seen_s": None, "known": listed}
    return {"reason": "unknown", "seen_s": None}


def _each(rows: Sequence[Row], own: Sequence[int], ask: _Ask) -> dict[int, Answer | str]:
    """The answer to each visible row by its number, or the reason why there is none."""
    visible = [number for number in own if rows[number].visible]
    try:
        answers = ask([rows[number] for number in own])
    except ApiError:
        # One row spoils the whole question; asked one by one, the others have their answers.
        return {number: _alone(rows, rows[number], ask) for number in visible}
    by_number = dict(zip(own, answers, strict=True))
    return {number: by_number[number] for number in visible}


def _alone(rows: Sequence[Row], row: Row, ask: _Ask) -> Answer | str:
    try:
        return ask(_needed(rows, row))[0]
    except ApiError as refused:
        return str(refused)


def _answers(asked: Sequence[Json], region: str, scene: Scene, *, whole: bool) -> Sequence[Answer]:
    store, start_s, end_s = scene.store, scene.range.start_s, scene.range.end_s
    if whole:
        return queries.answer_whole(store, region, asked, start_s, end_s)
    return queries.answer(store, region, asked, start_s, end_s, service_time=True)


def _needed(rows: Sequence[Row], row: Row) -> list[Row]:
    """A row, and after it the rows that it is calculated from."""
    needed = [row]
    for each in needed:  # which grows
        expression = each.query.get("Expression")
        if expression is None:
            continue
        try:
            names = expressions.references(expression)
            all_metrics = expressions.mentions_metrics(expression)
        except ExpressionError:
            continue
        needed += [
            other
            for other in rows
            if (other.query["Id"] in names or (all_metrics and "MetricStat" in other.query))
            and not any(other is known for known in needed)
        ]
    return needed


def _metrics(rows: Sequence[Row], region: str) -> list[MetricName]:
    stats = [row.query["MetricStat"] for row in rows if "MetricStat" in row.query]
    return [MetricName.of(region, stat["Metric"]) for stat in stats]


def _region(row: Row, default: str) -> str:
    return default if row.region is None else row.region


def _label(query: Mapping[str, Any], series: Series, default: str) -> str:
    stat = query.get("MetricStat")
    if stat is None:
        default = series.name if series.name else query["Id"]
    values = [series.points[number] for number in sorted(series.points)]
    return labels.shown(query.get("Label", default), values, stat=stat, default=default)
