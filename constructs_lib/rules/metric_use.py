"""Where templates read SageMaker's metrics: alarms, scaling policies, dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from constructs_lib.rules import values
from constructs_lib.rules.resources import Resource
from constructs_lib.rules.serving import Serving
from hosting.expression import Unresolved
from hosting.metrics import Namespace

NAMESPACES: Final = frozenset(get_args(Namespace))


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricUse:
    """One metric that a resource reads; ``detail`` tells it apart from the resource's others."""

    resource: Resource
    path: str
    namespace: str
    name: str
    dimensions: Mapping[str, Any]
    detail: str | None = None


def metric_uses(serving: Serving) -> Iterator[MetricUse]:
    """Every metric of SageMaker's namespaces whose name and dimensions are known."""
    for alarm in serving.alarms:
        yield from _of_alarm(alarm)
    for policy in serving.policies:
        yield from _of_policy(policy.resource)
    for dashboard in serving.templates.of_type("AWS::CloudWatch::Dashboard"):
        yield from _of_dashboard(dashboard)


def _of_alarm(alarm: Resource) -> Iterator[MetricUse]:
    yield from _use(alarm, "Properties", alarm.properties, None)
    for position, query in enumerate(values.items(alarm.get("Metrics"))):
        metric = values.at(query, "MetricStat", "Metric")
        place = f"Metrics.{position}"
        yield from _use(alarm, f"{place}.MetricStat.Metric", metric, place)


def _of_policy(policy: Resource) -> Iterator[MetricUse]:
    path = "TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification"
    customized = policy.get(*path.split("."))
    yield from _use(policy, path, customized, None)
    for position, query in enumerate(values.items(values.at(customized, "Metrics"))):
        place = f"Metrics.{position}"
        metric = values.at(query, "MetricStat", "Metric")
        yield from _use(policy, f"{path}.{place}.MetricStat.Metric", metric, place)


def _use(resource: Resource, path: str, metric: Any, detail: str | None) -> Iterator[MetricUse]:
    """A metric as alarms and policies spell it: its dimensions a list of names and values."""
    namespace, name = (values.text(values.at(metric, key)) for key in ("Namespace", "MetricName"))
    given = values.at(metric, "Dimensions")
    if (
        namespace is None
        or namespace not in NAMESPACES
        or name is None
        or not values.is_complete(given)
    ):
        return
    dimensions = {
        values.text(values.at(each, "Name")): values.at(each, "Value")
        for each in values.items(given)
    }
    if None in dimensions:
        return
    place = path.removeprefix("Properties").lstrip(".")
    yield MetricUse(
        resource=resource,
        path=f"{place}.Dimensions" if place else "Dimensions",
        namespace=namespace,
        name=name,
        dimensions={str(key): value for key, value in dimensions.items()},
        detail=detail,
    )


def _of_dashboard(dashboard: Resource) -> Iterator[MetricUse]:
    body = values.expression(dashboard.get("DashboardBody"))
    try:
        # What is not known yet stands inside texts, so that the body stays JSON.
        document = {} if body is None else json.loads(body)
    except (ValueError, RecursionError):
        return
    for position, widget in enumerate(values.items(values.at(document, "widgets"))):
        previous: Sequence[Any] = ()
        for line, row in enumerate(values.items(values.at(widget, "properties", "metrics"))):
            if not isinstance(row, list) or not row or isinstance(row[0], Mapping):
                continue
            cells = _spelled_out([cell for cell in row if not isinstance(cell, Mapping)], previous)
            previous = cells
            yield from _of_row(dashboard, f"widgets.{position}.properties.metrics.{line}", cells)


def _spelled_out(cells: list[Any], previous: Sequence[Any]) -> list[Any]:
    """A row with its abbreviations replaced: "." repeats a cell above, "..." those between.

    Source: CloudWatch API reference, Dashboard Body Structure and Syntax (2026-11-20)
    """
    if "..." in cells:
        start = cells.index("...")
        tail = cells[start + 1 :]
        cells = [*cells[:start], *previous[start : len(previous) - len(tail)], *tail]
    return [
        previous[n] if cell == "." and n < len(previous) else cell for n, cell in enumerate(cells)
    ]


def _of_row(dashboard: Resource, path: str, cells: list[Any]) -> Iterator[MetricUse]:
    if len(cells) % 2 or not all(isinstance(cell, str) for cell in cells):
        return
    namespace, name = cells[:2]
    if namespace not in NAMESPACES:
        return
    dimensions = {
        key: Unresolved(value) for key, value in zip(cells[2::2], cells[3::2], strict=True)
    }
    place = path.removesuffix(f".{path.rpartition('.')[2]}").removesuffix(".properties.metrics")
    yield MetricUse(
        resource=dashboard,
        path=f"DashboardBody.{path}",
        namespace=namespace,
        name=name,
        dimensions=dimensions,
        detail=f"{place}/{name}",
    )
