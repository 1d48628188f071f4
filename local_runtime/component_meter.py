"""What inference components and the instances below them publish."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final

from hosting.placement import Resources
from local_runtime.component_hosts import Host
from local_runtime.errors import ModelError
from local_runtime.instance import Instance
from local_runtime.meters import Meters
from local_runtime.utilization import ProcessGroups

_MICROSECONDS: Final = 1e6
_PROCESSORS: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


class ComponentMeter:
    """Counts the requests of one component. ``answered`` is called for each, when it has ended."""

    def __init__(
        self,
        meters: Meters,
        *,
        component: str,
        endpoint: str,
        region: str,
        copies: Callable[[], Sequence[Instance]],
    ) -> None:
        """Args:
        meters: where the sums go.
        component: its name, the only dimension.
        endpoint: that it is on.
        region: the endpoint's.
        copies: those that serve now.
        """
        self._meters = meters
        self._component = component
        self._endpoint = endpoint
        self._region = region
        self._copies = copies
        self._quiet = True  # no request in this minute
        self._groups = ProcessGroups(None)
        self._looking: asyncio.Task[None] | None = None
        self._forget = [
            meters.each_interval(self),
            meters.gauge(
                "ConcurrentRequestsPerCopy",
                endpoint=endpoint,
                component=component,
                region=region,
                read=self._concurrent_requests,
            ),
        ]

    def answered(
        self,
        hops_s: Sequence[float],
        total_s: float,
        outcome: object,
        container: str | None = None,  # noqa: ARG002 - a component has one, that nobody names
    ) -> None:
        """Take in a request.

        Args:
            hops_s: time in its container, waiting for it included.
            total_s: time from its arrival to its answer.
            outcome: an error, or the container's answer.
        """
        status, model_failed = 200, False
        if isinstance(outcome, ModelError):
            status = outcome.original_status if outcome.original_status >= 400 else 500
            model_failed = True
        elif isinstance(outcome, Exception):
            status = 503
        model_s = sum(hops_s)
        self._count(status)
        self._record("InvocationModelErrors", float(model_failed))
        self._record("InvocationsPerCopy", 1 / max(len(self._copies()), 1))
        self._record("ModelLatency", round(model_s * _MICROSECONDS))
        self._record("OverheadLatency", round((total_s - model_s) * _MICROSECONDS))

    def found_no_copy(self) -> None:
        """A request came while there was none."""
        self._count(400)
        self._record("NoCapacityInvocationFailures", 1.0)

    def collect(self, meters: Meters, *, minute_ends: bool) -> None:
        """Say that nothing has happened: target tracking needs it to scale in."""
        del meters
        if not minute_ends:
            return
        if self._quiet:
            self._record("Invocations", 0.0)
            self._record("InvocationsPerCopy", 0.0)
        self._quiet = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())

    def close(self) -> None:
        """Count no more."""
        for forget in self._forget:
            forget()
        if self._looking is not None:
            self._looking.cancel()

    def _count(self, status: int) -> None:
        self._quiet = False
        self._record("Invocations", 1.0)
        self._record("Invocation4XXErrors", float(400 <= status < 500))
        self._record("Invocation5XXErrors", float(status >= 500))

    def _record(self, name: str, value: float) -> None:
        self._meters.record(
            name, value, endpoint=self._endpoint, component=self._component, region=self._region
        )

    def _concurrent_requests(self) -> float | None:
        return max((copy.outstanding for copy in self._copies()), default=None)

    async def _look(self) -> None:
        """One sample per copy: of the part of the machine's processors and memory that it uses."""
        groups = [
            [group for container in copy.containers for group in container.process_groups]
            for copy in self._copies()
        ]
        for usage in await asyncio.to_thread(self._groups.usage, groups):
            self._record("CPUUtilizationNormalized", min(usage.cpu_percent / _PROCESSORS, 100.0))
            self._record("MemoryUtilizationNormalized", usage.memory_percent)


class HostMeter:
    """Publishes what share of a variant's instances is reserved for copies."""

    def __init__(
        self,
        meters: Meters,
        *,
        endpoint: str,
        variant: str,
        region: str,
        hosts: Callable[[], Sequence[Host]],
    ) -> None:
        """Args:
        meters: where the shares go.
        endpoint: its name.
        variant: its name.
        region: the endpoint's.
        hosts: the instances that there are now.
        """
        self._meters = meters
        self._endpoint = endpoint
        self._variant = variant
        self._region = region
        self._hosts = hosts
        self.close = meters.each_interval(self)

    def collect(self, meters: Meters, *, minute_ends: bool) -> None:
        """Record one sample per instance: their number is how AWS's users count instances."""
        if not minute_ends:
            return
        for host in self._hosts():
            for name, value in _reserved(host.used, host.capacity):
                meters.record(
                    name,
                    value,
                    endpoint=self._endpoint,
                    variant=self._variant,
                    region=self._region,
                )


def _reserved(used: Resources, capacity: Resources) -> list[tuple[str, float]]:
    """Percentages, of what an instance has and is known."""
    return [
        (name, 100 * taken / whole)
        for name, taken, whole in (
            ("CPUReservation", used.cpu_cores, capacity.cpu_cores),
            ("MemoryReservation", used.memory_mib, capacity.memory_mib),
            ("GPUReservation", used.accelerators, capacity.accelerators),
        )
        if whole > 0
    ]
