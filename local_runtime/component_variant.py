"""A variant without a model: instances on which inference components are placed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hosting.endpoint import ManagedInstances
from hosting.placement import Resources
from local_runtime.component_hosts import Host, Hosts
from local_runtime.component_meter import ComponentMeter, HostMeter
from local_runtime.components import Copy, Entry, HostedComponent, Prepare, Report
from local_runtime.environment import Machine
from local_runtime.errors import ComponentNameMissing, NotServableError
from local_runtime.settings import Limits


@dataclass(kw_only=True, slots=True)
class ComponentVariantPlan:
    """A variant for components, before it has any.

    ``prepare`` fetches what a component needs and says how its copies are planned. With ``strict``
    the variant does not start unless all components do.
    """

    endpoint: str
    region: str
    name: str
    weight: float
    count: int
    capacity: Resources
    managed: ManagedInstances | None
    prepare: Prepare
    strict: bool = False


class ComponentVariant:
    """The instances of one variant and the components on them.

    It answers no request itself: callers name a component.
    """

    direct = multi_model = False
    meter = None  # the components count their requests

    def __init__(self, plan: ComponentVariantPlan, machine: Machine) -> None:
        self.name = plan.name
        self.header = b"x-amzn-invoked-production-variant: %b\r\n" % plan.name.encode("ascii")
        self.weight = plan.weight
        self.components: dict[str, HostedComponent] = {}
        self.report: Report | None = None
        self.counted: Callable[[], None] | None = None
        self._plan = plan
        self._machine = machine
        self._hosts = Hosts(
            plan.count,
            plan.capacity,
            plan.managed,
            clock=machine.clock,
            idle_s=machine.settings.limits.component_idle_instance_s,
            changed=self._count_changed,
        )
        self._host_meter = HostMeter(
            machine.meters,
            endpoint=plan.endpoint,
            variant=plan.name,
            region=plan.region,
            hosts=lambda: self._hosts.all,
        )

    @property
    def instances(self) -> Sequence[Host]:
        """Those that copies are placed on."""
        return self._hosts.all

    @property
    def units(self) -> Sequence[Copy]:
        """What containers run in, also those that only finish what they have begun."""
        return [copy for component in self.components.values() for copy in component.units]

    @property
    def outstanding(self) -> int:
        """Requests that are being answered."""
        return sum(copy.outstanding for copy in self.units)

    def longest_s(self, limits: Limits) -> float:
        """The longest time that a request can take."""
        return limits.queue_timeout_s + limits.streaming_timeout_s

    def pick_instance(self) -> Copy:
        """Refuse: a request without a component has none to go to.

        Raises:
            ComponentNameMissing: always.
        """
        raise ComponentNameMissing

    # -- components

    def desire(self, entries: Sequence[Entry]) -> None:
        """Take in which components there should be."""
        wanted = {entry["name"]: entry for entry in entries if entry["variant"] == self.name}
        for name in self.components.keys() - wanted.keys():
            del self.components[name]  # its copies have ended, and the record has been told
        for name, entry in wanted.items():
            if name not in self.components:
                self.components[name] = self._component(name)
            component = self.components[name]
            component.report = self.report
            component.desire(entry)

    def _component(self, name: str) -> HostedComponent:
        plan = self._plan
        component = HostedComponent(
            name,
            variant=self.name,
            hosts=self._hosts,
            machine=self._machine,
            prepare=plan.prepare,
        )
        component.meter = ComponentMeter(
            self._machine.meters,
            component=name,
            endpoint=plan.endpoint,
            region=plan.region,
            copies=lambda: component.copies,
        )
        return component

    # -- life

    async def start(self) -> None:
        """Wait until every component has been started, or cannot be.

        Raises:
            NotServableError: one cannot, and the variant must not do without.
        """
        await asyncio.gather(*(each.tried.wait() for each in self.components.values()))
        if self._plan.strict:
            for name, component in self.components.items():
                if component.fault is not None:
                    raise NotServableError(f"Inference component {name}: {component.fault}")

    async def stop(self, grace_s: float) -> None:
        """End every copy."""
        self._hosts.close()
        self._host_meter.close()
        await asyncio.gather(*(each.stop(grace_s) for each in self.components.values()))

    def kill(self) -> None:
        """End every process at once."""
        for component in self.components.values():
            component.kill()

    async def follow(self, capacity: Mapping[str, Any]) -> None:
        """Take on another weight, and another number of instances unless that follows the copies.

        Copies on an instance that goes are moved to another one where there is room.
        """
        self.weight = capacity["weight"]
        if self._hosts.managed:
            return
        for host in self._hosts.resize(capacity["instances"]):
            for component in self.components.values():
                component.move_from(host)

    def _count_changed(self) -> None:
        if self.counted is not None:
            self.counted()
