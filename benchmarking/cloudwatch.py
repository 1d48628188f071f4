"""What the endpoint itself measured during a cell, from CloudWatch.

Joined by the wall clock, in whole minutes, which is how AWS keeps these metrics: the runner begins
a further cell of the same endpoint in a minute of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarking.aws import Account
from benchmarking.deployment import VARIANT_NAME
from benchmarking.records import Cell, EndpointMetric, Option
from hosting.endpoint import EndpointKind
from hosting.metrics import PERIOD_S, MetricDefinition, published_by

_KINDS: Final[dict[Option, EndpointKind]] = {
    "serverless": "serverless",
    "serverless-provisioned": "serverless",
    "real-time": "real-time",
    "multi-model": "multi-model",
    "async": "async",
}
# Metrics come late; AWS promises no bound. Most are there after one to two minutes.
_DELAY_S: Final = 180.0
_LOCAL_DELAY_S: Final = 4.0  # a hastened local runtime sends its metrics every second or so
_PERCENTILES: Final = ("p50", "p90", "p95", "p99")
_STATISTICS: Final = ("SampleCount", "Average", "Minimum", "Maximum")
_SETUP: Final = "ModelSetupTime"
# Source: API reference, GetMetricStatistics: at most 1,440 datapoints.
_DATAPOINTS: Final = 1440
# That it is there shows that a cell's metrics have arrived.
_COUNTERS: Final = ("Invocations", "InvocationsProcessed")


def collect(
    account: Account,
    cells: Sequence[Cell],
    answered: Mapping[str, int],
    *,
    wait: Callable[[float], None],
) -> dict[str, tuple[EndpointMetric, ...]]:
    """Read the metrics of measured cells, waiting for those that have not arrived.

    Args:
        cells: each with an endpoint and both of its times.
        answered: by cell ID, how many requests the client knows to have been answered: metrics
            that count fewer have not arrived.
        wait: sleeps for a number of seconds.

    Returns:
        Metrics by cell ID; what never arrived is missing.
    """
    found: dict[str, tuple[EndpointMetric, ...]] = {}
    delay_s = max(_LOCAL_DELAY_S, account.wall_s(_DELAY_S))
    step_s = max(0.5, account.wall_s(15.0))
    for cell in cells:
        assert cell.finished_at is not None, "a cell that has ended"
        late_s = time.time() - datetime.fromisoformat(cell.finished_at).timestamp()
        while True:
            metrics = read(account, cell)
            wanted = answered.get(cell.id, 1)
            if late_s > delay_s or any(
                metric.name in _COUNTERS and metric.samples >= wanted for metric in metrics
            ):
                break
            wait(step_s)
            late_s += step_s
        if metrics:
            found[cell.id] = metrics
    return found


def read(account: Account, cell: Cell) -> tuple[EndpointMetric, ...]:
    """Every metric that the cell's endpoint has published for the cell's time."""
    start, end = window(account, cell)
    return tuple(
        metric
        for definition in published_by(_KINDS[cell.option])
        if (metric := _metric(account, definition, cell, start, end))
    )


def window(account: Account, cell: Cell) -> tuple[datetime, datetime]:
    """The cell's time in whole minutes of the service."""
    assert cell.started_at is not None, "a cell that has begun"
    assert cell.finished_at is not None, "a cell that has ended"
    minute_s = account.wall_s(PERIOD_S)
    start_s = datetime.fromisoformat(cell.started_at).timestamp()
    end_s = datetime.fromisoformat(cell.finished_at).timestamp()
    first, last = math.floor(start_s / minute_s) * minute_s, math.ceil(end_s / minute_s) * minute_s
    start = datetime.fromtimestamp(first, UTC)
    return start, start + timedelta(seconds=max(last - first, minute_s))


def next_minute_s(account: Account) -> float:
    """How long until the service's next minute begins, on the wall."""
    minute_s = account.wall_s(PERIOD_S)
    return minute_s - time.time() % minute_s


def setups(cells: Sequence[Cell]) -> dict[str, int]:
    """How many cold starts the service counted during cells, where it says so.

    The metric is there when there was one. Its absence says that there was none where the
    endpoint's other cells show that it is published, and the cell's requests are counted.
    """
    counts = {cell.id: {each.name: each.samples for each in cell.metrics} for cell in cells}
    published = {cell.endpoint_name for cell in cells if _SETUP in counts[cell.id]}
    return {
        cell.id: int(counts[cell.id].get(_SETUP, 0))
        for cell in cells
        if cell.endpoint_name in published and any(name in counts[cell.id] for name in _COUNTERS)
    }


def _metric(
    account: Account, definition: MetricDefinition, cell: Cell, start: datetime, end: datetime
) -> EndpointMetric | None:
    values = {"EndpointName": cell.endpoint_name, "VariantName": VARIANT_NAME}
    if not all(name in values for name in definition.dimensions):
        return None
    request = {
        "Namespace": definition.namespace,
        "MetricName": definition.name,
        "Dimensions": [{"Name": name, "Value": values[name]} for name in definition.dimensions],
        "StartTime": start,
        "EndTime": end,
        "Period": _period_s(account, (end - start).total_seconds()),
    }
    cloudwatch = account.client("cloudwatch")
    points = cloudwatch.get_metric_statistics(**request, Statistics=list(_STATISTICS))["Datapoints"]
    samples = sum(point["SampleCount"] for point in points)
    if samples == 0:
        return None
    percentiles: dict[str, float] = {}
    if definition.supports("p99") and len(points) == 1:
        # Percentiles of several datapoints cannot be put together, so they are not.
        answer = cloudwatch.get_metric_statistics(**request, ExtendedStatistics=list(_PERCENTILES))
        if len(answer["Datapoints"]) == 1:
            percentiles = dict(answer["Datapoints"][0]["ExtendedStatistics"])
    return EndpointMetric(
        name=definition.name,
        unit=points[0]["Unit"],
        samples=float(samples),
        average=sum(point["Average"] * point["SampleCount"] for point in points) / samples,
        minimum=float(min(point["Minimum"] for point in points)),
        maximum=float(max(point["Maximum"] for point in points)),
        percentiles={name: float(value) for name, value in percentiles.items()},
    )


def _period_s(account: Account, window_s: float) -> int:
    """The shortest period that a window may be asked for: longer ones may begin before it."""
    if account.local_speed is not None and window_s <= _DATAPOINTS:
        return 1
    return PERIOD_S * math.ceil(window_s / PERIOD_S / _DATAPOINTS)
