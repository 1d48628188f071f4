"""Every metric of the process, in buckets of its resolution.

Time has two readings here. A client's periods are the wall's. An alarm's are the service's: at
speed 60 its minute takes a second. Buckets are as long as a datapoint of the service (60, 10 or 1
of its seconds), so that both find their periods in them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from local_runtime.control_plane.cloudwatch.statistics import Tally

STANDARD_RESOLUTION_S: Final = 60
# Fifteen days of minutes, which is how long AWS keeps those; finer data goes sooner.
BUCKETS_PER_SERIES: Final = 21_600

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MetricName:
    """What identifies a metric."""

    region: str
    namespace: str
    name: str
    dimensions: Dimensions = ()

    @classmethod
    def of(cls, region: str, metric: Mapping[str, Any]) -> MetricName:
        """Read a ``Metric`` of the API."""
        return cls(
            region,
            metric["Namespace"],
            metric["MetricName"],
            dimensions(metric.get("Dimensions", [])),
        )

    def document(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "Namespace": self.namespace,
            "MetricName": self.name,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions],
        }


def dimensions(listed: Sequence[Mapping[str, str]]) -> Dimensions:
    """Dimensions in an order that makes equal ones equal."""
    return tuple(sorted((each["Name"], each["Value"]) for each in listed))


@dataclass(slots=True)
class _Series:
    """The buckets of one metric in one unit; numbered from 1970 in units of the resolution."""

    resolution_s: int
    unit: str
    buckets: dict[int, Tally] = field(default_factory=dict)
    newest_s: float = 0.0

    def add(self, service_s: float, tally: Tally) -> None:
        number = math.floor(service_s / self.resolution_s)
        bucket = self.buckets.get(number)
        if bucket is None:
            bucket = self.buckets[number] = Tally()
            if len(self.buckets) > BUCKETS_PER_SERIES:
                for oldest in sorted(self.buckets)[: BUCKETS_PER_SERIES // 10]:
                    del self.buckets[oldest]
        bucket.add(tally)
        self.newest_s = max(self.newest_s, service_s)

    def between(self, start_s: float, end_s: float) -> Iterator[tuple[float, Tally]]:
        """Buckets that begin in [start, end), with their beginning; service seconds."""
        first = math.ceil(start_s / self.resolution_s)
        last = math.ceil(end_s / self.resolution_s)
        if last - first < len(self.buckets):
            numbers: Iterable[int] = range(first, last)
        else:
            numbers = sorted(number for number in self.buckets if first <= number < last)
        for number in numbers:
            tally = self.buckets.get(number)
            if tally is not None:
                yield number * self.resolution_s, tally


class MetricStore:
    """Takes samples and answers with tallies per period."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._lock = threading.Lock()
        self._series: dict[MetricName, dict[tuple[str, int], _Series]] = {}
        self._until_s = 0.0

    def put(
        self,
        metric: MetricName,
        time_s: float,
        tally: Tally,
        *,
        unit: str = "None",
        resolution_s: int = STANDARD_RESOLUTION_S,
    ) -> None:
        """Take in samples of one moment.

        Args:
            metric: whose they are.
            time_s: the wall's seconds since 1970.
            tally: the samples.
            unit: CloudWatch's word.
            resolution_s: service seconds that a datapoint stands for: 60, 10 or 1.
        """
        with self._lock:
            by_unit = self._series.setdefault(metric, {})
            series = by_unit.get((unit, resolution_s))
            if series is None:
                series = by_unit[unit, resolution_s] = _Series(resolution_s, unit)
            series.add(time_s * self.speed, tally)

    def complete_until(self, service_s: float) -> None:
        """The data plane has sent everything before this moment, in service seconds since 1970."""
        with self._lock:
            self._until_s = service_s  # earlier than before, when the machine's clock was set back

    @property
    def until_s(self) -> float:
        """How far the data plane's metrics have come, in service seconds since 1970."""
        return self._until_s

    def periods(
        self,
        metric: MetricName,
        start_s: float,
        end_s: float,
        period_s: float,
        *,
        unit: str | None,
        service_time: bool,
    ) -> dict[int, Tally]:
        """One tally for each period that has samples, by the period's number since 1970.

        Args:
            metric: whose.
            start_s: the beginning of the first period.
            end_s: behind the last.
            period_s: how long each is.
            unit: only samples in it; None: in any.
            service_time: whether the times are the service's, and not the wall's.
        """
        scale = 1.0 if service_time else self.speed
        found: dict[int, Tally] = {}
        with self._lock:
            for (in_unit, _), series in self._series.get(metric, {}).items():
                if unit is not None and unit != in_unit:
                    continue
                for begin_s, tally in series.between(start_s * scale, end_s * scale):
                    # A bucket may begin a rounding error before its second.
                    number = math.floor(begin_s / scale / period_s + 1e-9)
                    found.setdefault(number, Tally()).add(tally)
        return found

    def units(self, metric: MetricName) -> list[str]:
        """The units that samples of a metric came in."""
        with self._lock:
            return list(dict.fromkeys(unit for unit, _ in self._series.get(metric, {})))

    def newest_s(self, metric: MetricName) -> float | None:
        """When the newest sample of a metric was taken, by the wall; None without any."""
        with self._lock:
            found = [series.newest_s for series in self._series.get(metric, {}).values()]
        return max(found) / self.speed if found else None

    def metrics(
        self, region: str, wanted: Callable[[MetricName], bool], *, since_s: float | None = None
    ) -> list[MetricName]:
        """The metrics of a region, in order of appearance.

        Args:
            region: theirs.
            wanted: a further condition.
            since_s: only those with samples since this moment of the wall.
        """
        with self._lock:
            return [
                metric
                for metric, by_unit in self._series.items()
                if metric.region == region
                and wanted(metric)
                and (
                    since_s is None
                    or any(series.newest_s >= since_s * self.speed for series in by_unit.values())
                )
            ]
