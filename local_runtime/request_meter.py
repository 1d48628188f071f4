"""What the requests of a variant on instances leave behind, and how busy its instances are.

A request costs one tuple in a list; the sums are made for some hundred at a time, and leave once
per interval, see ``meters``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from operator import sub
from pathlib import Path
from typing import Final, Protocol

from hosting.endpoint import EndpointKind
from hosting.metrics import published_by
from local_runtime.errors import ModelError
from local_runtime.meters import Meters
from local_runtime.utilization import ProcessGroups, folder_bytes

_log = logging.getLogger(__name__)

_MICROSECONDS: Final = 1e6
_GIB: Final = 1024**3
# Source: dg/deployment-guardrails-configuration, "Monitor model latency on the new fleet".
_BY_CONFIG: Final = frozenset(
    {
        "Invocations",
        "InvocationsPerInstance",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "InvocationModelErrors",
        "ModelLatency",
        "OverheadLatency",
    }
)
# Requests that are summed up together: few enough that the sum makes no other request wait.
_AT_ONCE: Final = 256
# Endpoints have 30 GB unless the variant says otherwise.
# Source: https://docs.aws.amazon.com/sagemaker/latest/dg/host-instance-storage.html
_VOLUME_GB: Final = 30
# A walk through the folders of a large model takes its time.
_DISK_LOOK_S: Final = 10.0


class MeteredContainer(Protocol):
    """A container whose processes are looked at."""

    @property
    def process_groups(self) -> Sequence[int]:
        """The groups that run now."""

    @property
    def folders(self) -> Sequence[Path]:
        """What it has on disk."""


class MeteredInstance(Protocol):
    """An instance whose requests and containers are counted."""

    outstanding: int

    @property
    def containers(self) -> Sequence[MeteredContainer]:
        """What runs on it."""


Instances = Callable[[], Sequence[MeteredInstance]]
# A request: time in each container, time in all, status, the container that it has named.
_Ended = tuple[Sequence[float], float, int, str | None]


class RequestMeter:
    """Counts the requests of one variant. ``answered`` is called for each, when it has ended."""

    def __init__(
        self,
        meters: Meters,
        *,
        kind: EndpointKind,
        endpoint: str,
        variant: str,
        region: str,
        hostnames: Sequence[str],
        instances: Instances,
        memory_mib: int | None,
        volume_gb: int | None,
        direct: bool = False,
    ) -> None:
        """Args:
        meters: where the sums go.
        kind: of the endpoint: it says what is published.
        endpoint: its name.
        variant: its name.
        region: the endpoint's.
        hostnames: of the containers, in the order that requests go through them.
        instances: those that serve now.
        memory_mib: of one instance; None: unknown, the machine's is taken.
        volume_gb: of one instance's disk; None: the usual size.
        direct: each request goes to one container, which it names.
        """
        self._meters = meters
        self._published = {metric.name for metric in published_by(kind)}
        if kind == "multi-model" and len(hostnames) > 1:
            # One of a pipeline's containers: such an endpoint publishes what both kinds do.
            self._published |= {metric.name for metric in published_by("pipeline")}
        if direct:
            self._published.add("ContainerLatency")
        self._direct = direct
        self._endpoint = endpoint
        self._variant = variant
        self._region = region
        self._hostnames = hostnames
        self._instances = instances
        self._requests: list[_Ended] = []
        self._quiet = True  # no request in this minute
        # While traffic moves between two fleets, and on the one that it has moved to, metrics of
        # requests come with their configuration's name as well: alarms can tell the fleets apart.
        self.config: str | None = None
        self._groups = ProcessGroups(memory_mib)
        self._volume_bytes = (_VOLUME_GB if volume_gb is None else volume_gb) * _GIB
        self._disk: tuple[float, float] = (-_DISK_LOOK_S, 0.0)
        self._looking: asyncio.Task[None] | None = None
        self._forget = [meters.each_interval(self)]
        if "ConcurrentRequestsPerModel" in self._published:
            self._forget.append(
                meters.gauge(
                    "ConcurrentRequestsPerModel",
                    endpoint=endpoint,
                    variant=variant,
                    region=region,
                    read=self._concurrent_requests,
                )
            )

    def answered(
        self,
        hops_s: Sequence[float],
        total_s: float,
        outcome: object,
        container: str | None = None,
    ) -> None:
        """Take in a request.

        Args:
            hops_s: time in each container, waiting for it included.
            total_s: time from its arrival to its answer.
            outcome: an error, or the last container's answer.
            container: the one that it has named.
        """
        status = 200
        if isinstance(outcome, ModelError):
            status = outcome.original_status if outcome.original_status >= 400 else 500
        elif isinstance(outcome, Exception):
            status = 503
        self._requests.append((hops_s, total_s, status, container))
        if len(self._requests) >= _AT_ONCE:
            self._sum_up()

    def close(self) -> None:
        """Count no more."""
        self.collect(self._meters, minute_ends=False)
        for forget in self._forget:
            forget()
        if self._looking is not None:
            self._looking.cancel()

    def collect(self, meters: Meters, *, minute_ends: bool) -> None:
        """Sum up what has come in since the last call."""
        del meters
        self._sum_up()
        if not minute_ends:
            return
        if self._quiet:
            # Users see zeros, and target tracking needs them to scale in.
            self._record("Invocations", 0.0)
            self._record("InvocationsPerInstance", 0.0)
        self._quiet = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())

    def _sum_up(self) -> None:
        """By columns: no request is answered meanwhile."""
        requests, self._requests = self._requests, []
        if requests:
            models_s = [sum(hops_s) for hops_s, *_ in requests]
            totals_s = [total_s for _, total_s, *_ in requests]
            self._record_times("ModelLatency", models_s)
            self._record_times("OverheadLatency", list(map(sub, totals_s, models_s)))
            for status, count in Counter(status for *_, status, _ in requests).items():
                self._record("Invocation4XXErrors", float(400 <= status < 500), count=count)
                self._record("Invocation5XXErrors", float(status >= 500), count=count)
                failed = float(status >= 400 and status != 503)
                self._record("InvocationModelErrors", failed, count=count)
            self._quiet = False
            share = 1 / max(len(self._instances()), 1)
            self._record("Invocations", 1.0, count=len(requests))
            self._record("InvocationsPerInstance", share, count=len(requests))
            if self._direct:
                self._sum_up_directly(requests)
                return
            for position, hostname in enumerate(self._hostnames):
                hop_s = [hops_s[position] for hops_s, *_ in requests if position < len(hops_s)]
                self._record_times("ContainerLatency", hop_s, hostname)

    def _sum_up_directly(self, requests: Sequence[_Ended]) -> None:
        """By the container that each request has named.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-metrics.html
        """
        for hostname in self._hostnames:
            own = [each for each in requests if each[3] == hostname]
            overheads_s = [total_s - sum(hops_s) for hops_s, total_s, *_ in own]
            self._record_times("ContainerLatency", [sum(hops_s) for hops_s, *_ in own], hostname)
            self._record_times("OverheadLatency", overheads_s, hostname)
            for status, count in Counter(status for *_, status, _ in own).items():
                self._record("Invocations", 1.0, hostname, count=count)
                self._record(
                    "Invocation4XXErrors", float(400 <= status < 500), hostname, count=count
                )
                self._record("Invocation5XXErrors", float(status >= 500), hostname, count=count)

    def _record(
        self, name: str, value: float, container: str | None = None, *, count: int = 1
    ) -> None:
        if name in self._published:
            for config in self._configs(name, container):
                self._meters.record(
                    name,
                    value,
                    endpoint=self._endpoint,
                    variant=self._variant,
                    container=container,
                    count=count,
                    region=self._region,
                    config=config,
                )

    def _record_times(
        self, name: str, times_s: Sequence[float], container: str | None = None
    ) -> None:
        if name in self._published:
            for config in self._configs(name, container):
                self._meters.record_all(
                    name,
                    [round(time_s * _MICROSECONDS) for time_s in times_s],
                    endpoint=self._endpoint,
                    variant=self._variant,
                    container=container,
                    region=self._region,
                    config=config,
                )

    def _configs(self, name: str, container: str | None) -> Sequence[str | None]:
        if self.config is None or container is not None or name not in _BY_CONFIG:
            return (None,)
        return (None, self.config)

    def _concurrent_requests(self) -> float | None:
        counts = [instance.outstanding for instance in self._instances()]
        return max(counts, default=None)

    async def _look(self) -> None:
        """One sample per instance: their number is how AWS's users count instances."""
        instances = list(self._instances())
        groups = [
            [group for container in instance.containers for group in container.process_groups]
            for instance in instances
        ]
        of: list[str | None] = [None] * len(groups)
        if self._direct:
            for instance in instances:
                groups += [list(container.process_groups) for container in instance.containers]
                of += self._hostnames
        usages = await asyncio.to_thread(self._groups.usage, groups)
        disk = await self._disk_percent(instances)
        for usage, container in zip(usages, of, strict=True):
            self._record("CPUUtilization", usage.cpu_percent, container)
            self._record("MemoryUtilization", usage.memory_percent, container)
        for _ in instances:
            self._record("DiskUtilization", disk)

    async def _disk_percent(self, instances: Sequence[MeteredInstance]) -> float:
        """All instances have the same folders; those of the first stand for all."""
        now_s = asyncio.get_running_loop().time()
        looked_s, percent = self._disk
        if instances and now_s - looked_s >= _DISK_LOOK_S:
            folders = [
                folder for container in instances[0].containers for folder in container.folders
            ]
            used = await asyncio.to_thread(folder_bytes, folders)
            percent = min(100 * used / self._volume_bytes, 100.0)
            self._disk = (now_s, percent)
        return percent
