"""Metric data queries: a statistic of a metric, or an expression over others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_runtime.control_plane.cloudwatch import expressions, search
from local_runtime.control_plane.cloudwatch.expressions import Context
from local_runtime.control_plane.cloudwatch.labels import distinguishing
from local_runtime.control_plane.cloudwatch.metric_store import MetricName, MetricStore
from local_runtime.control_plane.cloudwatch.series_math import ExpressionError, Series
from local_runtime.control_plane.cloudwatch.statistics import Tally, merged
from local_runtime.control_plane.errors import ValidationException

Query = Mapping[str, Any]
Find = Callable[[search.Found], list[MetricName]]
Read = Callable[[Query], Series]

# The longest step in which an alarm moves forward. Source: "alarms-and-missing-data": an alarm is
# evaluated every minute, one of high resolution every period.
ALARM_STEP_S = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one query came to: one series, or as many as the array of an expression has."""

    query: Query
    series: list[Series]
    period_s: int
    is_array: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """Where the periods of an evaluation lie.

    Args:
        span: the number of the first period and the one behind the last, of their length.
        moment_s: when a period begins, of its number and its length; in seconds since 1970.
        find: the metrics that a search finds; None where nothing may be searched.
    """

    span: Callable[[float], tuple[int, int]]
    moment_s: Callable[[int, float], float]
    find: Find | None


def answer(
    store: MetricStore,
    region: str,
    queries: Sequence[Query],
    start_s: float,
    end_s: float,
    *,
    service_time: bool = False,
) -> list[Answer]:
    """Answer the queries of a GetMetricData.

    Args:
        store: the metrics.
        region: theirs.
        queries: as the API takes them.
        start_s: the beginning, in seconds since 1970.
        end_s: the end.
        service_time: whether the times and the periods are the service's, and not the wall's.

    Raises:
        ValidationException: a query is not complete, or an expression cannot be read.
    """

    def read(query: Query) -> Series:
        stat = query["MetricStat"]
        period_s = stat["Period"]
        tallies = store.periods(
            MetricName.of(region, stat["Metric"]),
            math.floor(start_s / period_s) * period_s,
            end_s,
            period_s,
            unit=stat.get("Unit"),
            service_time=service_time,
        )
        return _statistics(tallies, stat, query)

    def span(period_s: float) -> tuple[int, int]:
        return math.floor(start_s / period_s), math.ceil(end_s / period_s)

    scale = store.speed if service_time else 1.0
    return _evaluated(
        queries,
        read,
        _Frame(
            span=span,
            moment_s=lambda number, period_s: number * period_s / scale,
            find=lambda found: store.metrics(region, found),
        ),
    )


def answer_whole(
    store: MetricStore, region: str, queries: Sequence[Query], start_s: float, end_s: float
) -> list[Answer]:
    """Answer queries with one datapoint each, of all samples in a range of service time.

    Raises:
        ValidationException: as ``answer`` does.
    """

    def read(query: Query) -> Series:
        stat = query["MetricStat"]
        parts = store.periods(
            MetricName.of(region, stat["Metric"]),
            start_s,
            end_s,
            ALARM_STEP_S,
            unit=stat.get("Unit"),
            service_time=True,
        )
        return _statistics({0: merged(parts.values())} if parts else {}, stat, query)

    frame = _Frame(
        span=lambda _: (0, 1),
        moment_s=lambda _, __: start_s / store.speed,
        find=lambda found: store.metrics(region, found),
    )
    return _evaluated(queries, read, frame)


def alarm_points(
    store: MetricStore, region: str, alarm: Query, end_s: float, count: int
) -> list[float | None]:
    """The datapoints of an alarm, newest first; a missing one is None.

    Args:
        store: the metrics.
        region: the alarm's.
        alarm: its PutMetricAlarm request.
        end_s: behind the newest period, in service seconds since 1970.
        count: how many.
    """

    def read(query: Query) -> Series:
        stat = query["MetricStat"]
        tallies = alarm_tallies(store, region, stat, end_s, count)
        return _statistics(tallies, stat, query)

    queries = alarm_queries(alarm)
    # Alarms are on one time series, so that AWS lets none search for several.
    frame = _Frame(
        span=lambda _: (1 - count, 1),
        moment_s=lambda number, period_s: (end_s + (number - 1) * period_s) / store.speed,
        find=None,
    )
    answers = _evaluated(queries, read, frame)
    watched = [each for each in answers if each.query.get("ReturnData", True)]
    if len(watched) != 1 or len(watched[0].series) != 1:
        raise ValidationException("An alarm must watch exactly one time series")
    points = watched[0].series[0].points
    return [points.get(-age) for age in range(count)]


def alarm_tallies(
    store: MetricStore, region: str, stat: Mapping[str, Any], end_s: float, count: int
) -> dict[int, Tally]:
    """The samples of an alarm's periods; 0 is the newest, -1 the one before."""
    period_s = stat["Period"]
    step_s = min(period_s, ALARM_STEP_S)
    steps = store.periods(
        MetricName.of(region, stat["Metric"]),
        end_s - count * period_s,
        end_s,
        step_s,
        unit=stat.get("Unit"),
        service_time=True,
    )
    newest = round(end_s / step_s) - 1
    groups: dict[int, list[Tally]] = {}
    for number, tally in steps.items():
        groups.setdefault(-((newest - number) * step_s // period_s), []).append(tally)
    return {age: merged(tallies) for age, tallies in groups.items()}


def alarm_queries(alarm: Query) -> list[Query]:
    """An alarm's own metric as the query it stands for, or the queries that it has."""
    if "Metrics" in alarm:
        queries: list[Query] = alarm["Metrics"]
        return queries
    stat = {
        "Metric": {
            "Namespace": alarm["Namespace"],
            "MetricName": alarm["MetricName"],
            "Dimensions": alarm.get("Dimensions", []),
        },
        "Period": alarm["Period"],
        "Stat": alarm.get("Statistic", alarm.get("ExtendedStatistic")),
    }
    if "Unit" in alarm:
        stat["Unit"] = alarm["Unit"]
    return [{"Id": "metric", "MetricStat": stat}]


def alarm_period_s(alarm: Query) -> int:
    """The period that an alarm's datapoints have."""
    periods = [
        query["MetricStat"]["Period"] for query in alarm_queries(alarm) if "MetricStat" in query
    ]
    periods += [query["Period"] for query in alarm_queries(alarm) if "Period" in query]
    return int(max(periods))


def check(queries: Sequence[Query]) -> None:
    """Refuse queries that do not fit together.

    Raises:
        ValidationException: they do not.
    """
    ids = [query["Id"] for query in queries]
    for name in ids:
        if ids.count(name) > 1:
            raise ValidationException(f"The id {name} is used by more than one query")
        if not name[:1].islower():
            raise ValidationException(f"An id must start with a lowercase letter, got {name}")
    for query in queries:
        if ("MetricStat" in query) == ("Expression" in query):
            raise ValidationException(
                f"Query {query['Id']} must have either MetricStat or Expression"
            )
        if "Expression" in query:
            if query["Expression"].lstrip().upper().startswith("SELECT "):
                raise ValidationException(
                    f"Error in expression {query['Id']!r}: Metrics Insights queries are not"
                    " supported by the local runtime"
                )
            try:
                unknown = expressions.references(query["Expression"]) - set(ids)
            except ExpressionError as fault:
                raise ValidationException(f"Error in expression {query['Id']!r}: {fault}") from None
            if unknown:
                raise ValidationException(
                    f"Error in expression {query['Id']!r}: unknown id {', '.join(sorted(unknown))}"
                )


def _evaluated(queries: Sequence[Query], read: Read, frame: _Frame) -> list[Answer]:
    check(queries)
    by_id = {query["Id"]: query for query in queries}
    metric_ids = [name for name, query in by_id.items() if "MetricStat" in query]
    known: dict[str, Answer] = {}

    def solve(name: str, above: tuple[str, ...]) -> Answer:
        if name in known:
            return known[name]
        if name in above:
            raise ValidationException(f"Error in expression {name!r}: it refers to itself")
        query = by_id[name]
        if "MetricStat" in query:
            value: Series | list[Series] = read(query)
            period_s = query["MetricStat"]["Period"]
        else:
            needed = expressions.references(query["Expression"])
            if expressions.mentions_metrics(query["Expression"]):
                needed |= set(metric_ids)
            parts = {each: solve(each, (*above, name)) for each in sorted(needed)}
            period_s = _period(query, parts)
            first, last = frame.span(period_s)
            context = Context(
                series={
                    each: part.series if part.is_array else part.series[0]
                    for each, part in parts.items()
                },
                metric_ids=[each for each in metric_ids if each in parts],
                first=first,
                last=last,
                period_s=period_s,
                moment_s=lambda number: frame.moment_s(number, period_s),
                search=None if frame.find is None else _search(frame.find, read),
            )
            try:
                value = expressions.evaluate(query["Expression"], context)
            except ExpressionError as fault:
                raise ValidationException(f"Error in expression {name!r}: {fault}") from None
        known[name] = Answer(
            query=query,
            series=value if isinstance(value, list) else [value],
            period_s=period_s,
            is_array=isinstance(value, list),
        )
        return known[name]

    return [solve(name, ()) for name in by_id]


def _search(find: Find, read: Read) -> expressions.Search:
    def found(text: str, statistic: str, period_s: int) -> list[Series]:
        metrics = find(search.parse(text))[: search.SERIES_LIMIT]
        stats = [
            {"Metric": metric.document(), "Stat": statistic, "Period": period_s}
            for metric in metrics
        ]
        names = distinguishing(stats)
        return [
            read({"MetricStat": stat, "Label": name})
            for stat, name in zip(stats, names, strict=True)
        ]

    return found


def _period(query: Query, parts: Mapping[str, Answer]) -> int:
    periods = {part.period_s for part in parts.values()}
    periods |= expressions.search_periods(query["Expression"])
    if len(periods) > 1:
        raise ValidationException(
            f"Error in expression {query['Id']!r}: its metrics must have one period,"
            f" got {', '.join(str(each) for each in sorted(periods))}"
        )
    return int(next(iter(periods), query.get("Period", ALARM_STEP_S)))


def _statistics(tallies: Mapping[int, Tally], stat: Mapping[str, Any], query: Query) -> Series:
    points = {}
    for number, tally in sorted(tallies.items()):
        try:
            value = tally.statistic(stat["Stat"])
        except ValueError as fault:
            raise ValidationException(str(fault)) from None
        if value is not None:
            points[number] = value
    label = str(query.get("Label", stat["Metric"]["MetricName"]))
    return Series(points, label, stat["Period"], stat)
