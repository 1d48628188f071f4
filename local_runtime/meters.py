"""What the data plane measures, on its way to CloudWatch.

Requests leave their numbers in plain lists; once per interval those are summed up and sent to the
control plane, which keeps them. Names, units and dimensions are those of ``hosting.metrics``.

A gauge (a backlog, a utilization) is read once per minute of the service, at its end, as AWS
publishes one datapoint per minute; a high-resolution one every ten seconds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

from hosting.metrics import METRICS, PERIOD_S, MetricDefinition
from local_runtime.http_client import AnswerTooLargeError, ConnectionLostError, UnixAddress, fetch

_log = logging.getLogger(__name__)

METRICS_ROUTE: Final = "/_local_runtime/metrics"
HIGH_RESOLUTION_S: Final = 10
# Metrics that AWS publishes every ten seconds: "high resolution" is in the names of the policies
# that track them. Source: service model of application-autoscaling, MetricType.
HIGH_RESOLUTION: Final = frozenset({"ConcurrentRequestsPerModel", "ConcurrentRequestsPerCopy"})

# Service seconds between two batches: divisors of a minute, so that none spans two minutes.
_INTERVALS_S: Final = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
_SHORTEST_WALL_S: Final = 0.15
# Batches that wait while the control plane does not take them.
_BATCHES_KEPT: Final = 600
# So many intervals behind the clock, the machine has slept or its clock was set; ahead of it by
# more than one, its clock was set back.
_BEHIND_MAX: Final = 600
# A control plane that answers so late may have taken the batch all the same.
_ANSWER_TIMEOUT_S: Final = 60.0
# Percentiles of latencies need no more digits, and the batches stay small.
_SIGNIFICANT_DIGITS: Final = 3

_OF_COMPONENT: Final = ("InferenceComponentName",)
_TABLE: Final[dict[str, MetricDefinition]] = {
    metric.name: metric for metric in METRICS if metric.dimensions != _OF_COMPONENT
}
_COMPONENT_TABLE: Final[dict[str, MetricDefinition]] = {
    metric.name: metric for metric in METRICS if metric.dimensions == _OF_COMPONENT
}

# Metric, endpoint, variant, container, region, endpoint configuration, inference component.
_Key = tuple[str, str, str | None, str | None, str | None, str | None, str | None]
Read = Callable[[], float | None]


class Tally:
    """The sum of some samples: everything that CloudWatch's statistics need."""

    __slots__ = ("count", "largest", "smallest", "total", "values")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.smallest = math.inf
        self.largest = -math.inf
        self.values: dict[float, float] = {}  # rounded

    def add(self, value: float, count: float = 1.0) -> None:
        """Take in ``count`` samples of one value."""
        self.count += count
        self.total += value * count
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)
        near = _rounded(value)
        self.values[near] = self.values.get(near, 0.0) + count

    def add_all(self, values: Sequence[float]) -> None:
        """Take in one sample of each value; much cheaper than one after the other."""
        self.count += len(values)
        self.total += sum(values)
        self.smallest = min(self.smallest, *values)
        self.largest = max(self.largest, *values)
        for value, count in Counter(map(_rounded, values)).items():
            self.values[value] = self.values.get(value, 0.0) + count

    def document(self) -> dict[str, Any]:
        """As it travels."""
        return {
            "count": self.count,
            "sum": self.total,
            "min": self.smallest,
            "max": self.largest,
            "values": list(self.values.items()),
        }


class Interval(Protocol):
    """Something that adds its numbers at the end of each interval."""

    def collect(self, meters: Meters, *, minute_ends: bool) -> None:
        """Record what has come together since the last call."""


class Meters:
    """Takes numbers from whoever serves, and sends their sums to the control plane."""

    def __init__(
        self,
        control_plane: UnixAddress,
        *,
        speed: float,
        region: str,
        region_of: Callable[[str], str | None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        control_plane: where batches go.
        speed: service seconds per second of the wall.
        region: of an endpoint that ``region_of`` does not know.
        region_of: the region of an endpoint, by its name.
        now: the wall's seconds since 1970.
        """
        self._address = control_plane
        self._speed = speed
        self._region = region
        self._region_of = region_of
        self._now = now
        self._tallies: dict[_Key, Tally] = {}
        self._gauges: dict[int, tuple[_Key, Read]] = {}
        self._intervals: list[Interval] = []
        self._numbers = iter(range(2**63))
        self._waiting: list[dict[str, Any]] = []
        self.interval_s = interval_s(speed)

    def record(
        self,
        name: str,
        value: float,
        *,
        endpoint: str,
        variant: str | None = None,
        container: str | None = None,
        count: int = 1,
        region: str | None = None,
        config: str | None = None,
        component: str | None = None,
    ) -> None:
        """Take in samples.

        Args:
            name: of a metric in ``hosting.metrics``.
            value: in the metric's unit there.
            endpoint: its name.
            variant: needed where the metric has that dimension.
            container: needed where the metric has that dimension; for others one besides.
            count: how many samples have this value.
            region: the endpoint's, where two regions may have one of this name.
            config: the endpoint configuration, for the metric that has it as a dimension besides.
            component: whose metric it is, instead of the endpoint's or the variant's.

        Raises:
            ValueError: there is no such metric, or a dimension of it is not given.
        """
        key = (name, endpoint, variant, container, region, config, component)
        self._tally(key).add(value, count)

    def record_all(
        self,
        name: str,
        values: Sequence[float],
        *,
        endpoint: str,
        variant: str | None = None,
        container: str | None = None,
        region: str | None = None,
        config: str | None = None,
        component: str | None = None,
    ) -> None:
        """Take in many samples at once; arguments as in ``record``."""
        if values:
            key = (name, endpoint, variant, container, region, config, component)
            self._tally(key).add_all(values)

    def _tally(self, key: _Key) -> Tally:
        tally = self._tallies.get(key)
        if tally is None:
            name, _, variant, container, _, _, component = key
            _check(name, variant, container, component)
            tally = self._tallies[key] = Tally()
        return tally

    def gauge(
        self,
        name: str,
        *,
        endpoint: str,
        read: Read,
        variant: str | None = None,
        container: str | None = None,
        region: str | None = None,
        component: str | None = None,
    ) -> Callable[[], None]:
        """Sample a value once per minute of the service; one of high resolution more often.

        Args:
            name: of a metric in ``hosting.metrics``.
            endpoint: its name.
            read: the value now, or None for no datapoint. It must not block.
            variant: needed where the metric has that dimension.
            container: needed where the metric has that dimension.
            region: the endpoint's.
            component: whose metric it is, instead of the endpoint's or the variant's.

        Returns:
            What to call when the gauge is gone.

        Raises:
            ValueError: there is no such metric, or a dimension of it is not given.
        """
        _check(name, variant, container, component)
        number = next(self._numbers)
        self._gauges[number] = (
            (name, endpoint, variant, container, region, None, component),
            read,
        )
        return lambda: void(self._gauges.pop(number, None))

    def each_interval(self, collector: Interval) -> Callable[[], None]:
        """Ask ``collector`` at the end of each interval, until the result is called."""
        self._intervals.append(collector)

        def forget() -> None:
            if collector in self._intervals:
                self._intervals.remove(collector)

        return forget

    async def run(self) -> None:
        """Send a batch at the end of every interval.

        On a busy machine late, but for each: gauges have a datapoint in every minute.
        """
        end = self._next_end()
        while True:
            # A little behind the end: the clock must not say that it is still the interval before.
            await asyncio.sleep(max(end - self._service_time(), 0) / self._speed + 0.001)
            await self.send(self.close_interval(end))
            end += self.interval_s
            following = self._next_end()
            if not -1 <= (following - end) / self.interval_s <= _BEHIND_MAX:
                end = following

    def _next_end(self) -> int:
        return (math.floor(self._service_time() / self.interval_s) + 1) * self.interval_s

    def close_interval(self, end: int) -> dict[str, Any]:
        """Everything since the last call as the batch of the interval before ``end``.

        Args:
            end: service seconds since 1970, see ``hosting``'s periods.
        """
        minute_ends = end % PERIOD_S == 0
        for collector in self._intervals:
            collector.collect(self, minute_ends=minute_ends)
        for key, read in list(self._gauges.values()):
            name, endpoint, variant, container, region, _, component = key
            due = (
                end % resolution_s(name) < self.interval_s
                if name in HIGH_RESOLUTION
                else minute_ends
            )
            value = read() if due else None
            if value is not None:
                self.record(
                    name,
                    value,
                    endpoint=endpoint,
                    variant=variant,
                    container=container,
                    region=region,
                    component=component,
                )
        tallies, self._tallies = self._tallies, {}
        return {
            "until": end,
            "metrics": [
                {
                    **self._series(key),
                    # In the interval, not at its end, which belongs to the next one.
                    "time": (end - self.interval_s / 2) / self._speed,
                    **tally.document(),
                }
                for key, tally in tallies.items()
            ],
        }

    async def send(self, batch: dict[str, Any]) -> None:
        """Send a batch, and those before it that could not be sent."""
        self._waiting = [*self._waiting, batch][-_BATCHES_KEPT:]
        while self._waiting:
            body = json.dumps(self._waiting[0]).encode("ascii")
            try:
                answer = await fetch(
                    self._address, "POST", METRICS_ROUTE, body=body, timeout_s=_ANSWER_TIMEOUT_S
                )
            except (OSError, ConnectionLostError, AnswerTooLargeError) as error:
                _log.warning("the control plane did not take %s metrics: %s", len(body), error)
                return
            if answer.status != 204:
                _log.error("the control plane refused metrics: %s %r", answer.status, answer.body)
            self._waiting.pop(0)

    def _service_time(self) -> float:
        return self._now() * self._speed

    def _series(self, key: _Key) -> dict[str, Any]:
        name, endpoint, variant, container, region, config, component = key
        if region is None:
            region = self._region_of(endpoint)
        metric = (_TABLE if component is None else _COMPONENT_TABLE)[name]
        given = {
            "EndpointName": endpoint,
            "VariantName": variant,
            "ContainerName": container,
            "InferenceComponentName": component,
        }
        dimensions = {dimension: given[dimension] for dimension in metric.dimensions}
        if container is not None:
            dimensions["ContainerName"] = container  # also of what variants publish
        if config is not None:
            dimensions["EndpointConfigName"] = config
        return {
            "region": self._region if region is None else region,
            "namespace": metric.namespace,
            "name": name,
            "dimensions": dimensions,
            "unit": metric.unit,
            "resolution": resolution_s(name),
        }


def void(_: object) -> None:
    """Drop a value."""


def resolution_s(name: str) -> int:
    """How many service seconds one datapoint of a metric stands for."""
    return HIGH_RESOLUTION_S if name in HIGH_RESOLUTION else PERIOD_S


def interval_s(speed: float) -> int:
    """Service seconds between batches: a second where that is no burden."""
    for seconds in _INTERVALS_S:
        if seconds / speed >= _SHORTEST_WALL_S:
            return seconds
    return PERIOD_S * math.ceil(_SHORTEST_WALL_S * speed / PERIOD_S)


def _check(name: str, variant: str | None, container: str | None, component: str | None) -> None:
    metric = (_TABLE if component is None else _COMPONENT_TABLE).get(name)
    if metric is None:
        raise ValueError(f"name must be a metric of hosting.metrics, got {name!r}")
    for dimension, value in (("VariantName", variant), ("ContainerName", container)):
        if dimension in metric.dimensions and value is None:
            raise ValueError(f"{name} needs dimension {dimension}")


@lru_cache(1 << 16)  # times in microseconds come again and again
def _rounded(value: float) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    digits = _SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value)))
    return round(value, digits)
