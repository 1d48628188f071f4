"""What serves an endpoint: a fleet of variants, each with instances that hold the containers."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hosting.limits import SERVERLESS_PAYLOAD_MAX_BYTES
from local_runtime.artifacts import remove_tree
from local_runtime.component_variant import ComponentVariant, ComponentVariantPlan
from local_runtime.components import HostedComponent
from local_runtime.containers import Container
from local_runtime.data_capture import DataCapture
from local_runtime.environment import Environment, Machine
from local_runtime.errors import (
    ComponentNameMissing,
    ComponentNameNotSupported,
    ServiceUnavailable,
    ValidationError,
)
from local_runtime.instance import Instance, InstancePlanner, least_busy
from local_runtime.multi_model import MultiModelContainer
from local_runtime.request_meter import RequestMeter
from local_runtime.serverless import ServerlessPlan, ServerlessVariant
from local_runtime.settings import Limits
from local_runtime.tasks import together
from local_runtime.workers import ContainerPlan

_DRAIN_POLL_S: Final = 0.05


class VariantPlan:
    """A variant before its containers start.

    ``plan_instance`` makes the containers of one more instance, given its id. A ``shadow`` gets
    copies of requests only.
    """

    def __init__(
        self,
        name: str,
        weight: float,
        count: int,
        plan_instance: InstancePlanner,
        *,
        direct: bool,
        multi_model: bool = False,
        shadow: bool = False,
    ) -> None:
        self.name = name
        self.weight = weight
        self.count = count
        self.plan_instance = plan_instance
        self.direct = direct
        self.multi_model = multi_model
        self.shadow = shadow


class Variant:
    """A production variant on instances, and its share of the traffic.

    ``instances`` are those that get requests. Instances that were scaled in answer what they have
    begun and are stopped behind it.
    """

    def __init__(self, plan: VariantPlan, machine: Machine) -> None:
        self.name = plan.name
        self.header = b"x-amzn-invoked-production-variant: %b\r\n" % plan.name.encode("ascii")
        self.weight = plan.weight
        self.direct = plan.direct
        self.multi_model = plan.multi_model
        self._plan = plan
        self._machine = machine
        self._limits = machine.settings.limits
        self.meter: RequestMeter | None = None
        self._wanted = plan.count
        self._turn = 0
        self.instances = tuple(self._instance() for _ in range(plan.count))
        self._resizing: asyncio.Task[None] | None = None
        self._leaving: dict[Instance, asyncio.Task[None]] = {}

    def _instance(self) -> Instance:
        instance_id = f"i-{secrets.token_hex(9)[:17]}"
        return Instance(
            instance_id,
            [self._container(plan) for plan in self._plan.plan_instance(instance_id)],
        )

    def _container(self, plan: ContainerPlan) -> Container:
        if plan.multi_model is None:
            return Container(plan, self._limits, self._machine.register)
        return MultiModelContainer(plan, plan.multi_model, self._machine)

    def pick_instance(self) -> Instance:
        """The instance that answers soonest.

        Raises:
            ServiceUnavailable: there is none.
        """
        if not self.instances:
            raise ServiceUnavailable(f"variant {self.name} has no instance now; try again")
        self._turn += 1
        return least_busy(self.instances, self._turn)

    def pick_instance_for(self, target_model: str) -> Instance:
        """The instance that answers soonest for a model.

        It is one that has the model in memory, unless each of those has so many requests for it
        that another one is worth a copy. A model that is nowhere goes where most memory is free.

        Raises:
            ServiceUnavailable: no instance can answer.
        """
        holder: Instance | None = None
        fewest = 0
        others: list[tuple[int, int, Instance]] = []
        for position, instance in enumerate(self.instances):
            container = instance.multi_model
            if container is None or not instance.available:
                continue
            requests = container.outstanding_for(target_model)
            if requests is None:
                others.append((container.memory_used, position, instance))
            elif holder is None or requests < fewest:
                holder, fewest = instance, requests
        if others and (holder is None or fewest >= self._limits.multi_model_copy_at_requests):
            return min(others, key=lambda other: other[:2])[2]
        return self.pick_instance() if holder is None else holder

    @property
    def units(self) -> Sequence[Instance]:
        """What containers run in, also those that only finish what they have begun."""
        return (*self.instances, *self._leaving)

    @property
    def outstanding(self) -> int:
        """Requests that are being answered."""
        return sum(instance.outstanding for instance in (*self.instances, *self._leaving))

    def longest_s(self, limits: Limits) -> float:
        """The longest time that a request can take."""
        hops = max((len(i.containers) for i in (*self.instances, *self._leaving)), default=0)
        return hops * (limits.queue_timeout_s + limits.invocation_timeout_s)

    async def start(self) -> None:
        """Start every instance.

        Raises:
            ContainerFailedError: a container is not ready in time.
        """
        await together(*(instance.start() for instance in self.instances))

    async def stop(self, grace_s: float) -> None:
        """End every instance."""
        if self.meter is not None:
            self.meter.close()
        tasks = [*self._leaving.values()]
        if self._resizing is not None:
            tasks.append(self._resizing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        everything = (*self.instances, *self._leaving)
        await asyncio.gather(*(instance.stop(grace_s) for instance in everything))

    def kill(self) -> None:
        """End every process at once."""
        for instance in (*self.instances, *self._leaving):
            instance.kill()

    # -- scaling

    async def follow(self, capacity: Mapping[str, Any]) -> None:
        """Take on another weight, and start or stop instances until there are as many as wanted.

        Starting goes on when the caller is cancelled: who wants another number asks again, and
        instances that are nearly ready are not thrown away.

        Raises:
            ContainerFailedError: an instance cannot be started; those that serve are kept.
        """
        self.weight = capacity["weight"]
        self._wanted = capacity["instances"]
        if self._resizing is None or self._resizing.done():
            self._resizing = asyncio.create_task(self._resize())
        await asyncio.shield(self._resizing)

    async def _resize(self) -> None:
        while len(self.instances) != self._wanted:
            missing = self._wanted - len(self.instances)
            if missing > 0:
                await together(*(self._add() for _ in range(missing)))
            else:
                self._remove(-missing)

    async def _add(self) -> None:
        instance = self._instance()
        try:
            await instance.start()
        except BaseException:
            await asyncio.shield(instance.stop(0.0))
            raise
        self.instances += (instance,)

    def _remove(self, count: int) -> None:
        # Those that lose least: out of order, then the least busy, then the youngest.
        ages = {instance: age for age, instance in enumerate(reversed(self.instances))}
        order = sorted(ages, key=lambda i: (i.available, i.outstanding, ages[i]))
        for instance in order[:count]:
            self.instances = tuple(kept for kept in self.instances if kept is not instance)
            self._leaving[instance] = asyncio.create_task(self._leave(instance))

    async def _leave(self, instance: Instance) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self.longest_s(self._limits)
        while instance.outstanding and loop.time() < deadline_s:  # noqa: ASYNC110 - see Fleet.drain
            await asyncio.sleep(_DRAIN_POLL_S)
        await instance.stop(self._limits.stop_grace_s)
        for container in instance.containers:
            await asyncio.to_thread(remove_tree, container.plan.home)
        del self._leaving[instance]


AnyInstance = Instance | Environment
AnyVariant = Variant | ServerlessVariant | ComponentVariant
# What answers requests: a component does so in the place of the variant that it is on.
AnyTarget = AnyVariant | HostedComponent


class Fleet:
    """Everything that serves one generation of an endpoint."""

    def __init__(
        self,
        variants: Sequence[AnyVariant],
        *,
        shadows: Sequence[Variant] = (),
        payload_limit: int,
    ) -> None:
        self.variants = tuple(variants)
        self.shadows = tuple(shadows)
        self.payload_limit = payload_limit
        self.capture: DataCapture | None = None
        self._weights = [variant.weight for variant in variants]
        self.component_variants = [
            variant for variant in self.variants if isinstance(variant, ComponentVariant)
        ]

    @property
    def components(self) -> Mapping[str, HostedComponent]:
        """Every inference component, by name."""
        return {
            name: component
            for variant in self.component_variants
            for name, component in variant.components.items()
        }

    def pick_target(self, component: str | None, variant: str | None) -> AnyTarget:
        """What answers a request: a component where there are such, otherwise a variant.

        Args:
            component: that the caller names.
            variant: that the caller names.

        Raises:
            ValidationError: there is no such component or variant, or the component is not named.
        """
        if not self.component_variants:
            if component is not None:
                raise ComponentNameNotSupported
            return self.pick_variant(variant)
        if component is None:
            raise ComponentNameMissing
        for hosting in self.component_variants:
            found = hosting.components.get(component)
            if found is not None and variant in {None, hosting.name}:
                return found
        raise ValidationError(f"Inference component {component} not found for the endpoint.")

    def pick_variant(self, target: str | None) -> AnyVariant:
        """The variant that the caller wants, or one by weight.

        Raises:
            ValidationError: there is no such variant, or every weight is 0.
        """
        if target is not None:
            for variant in self.variants:
                if variant.name == target:
                    return variant
            raise ValidationError(f"Variant {target} not found for the endpoint.")
        if len(self.variants) == 1 and self._weights[0] > 0:
            return self.variants[0]
        if not any(self._weights):
            raise ValidationError("No variant of the endpoint has a weight above 0.")
        return random.choices(self.variants, self._weights)[0]  # noqa: S311 - no secret

    async def follow(self, capacities: Mapping[str, Any]) -> None:
        """Take on other weights and sizes.

        Raises:
            ContainerFailedError: what has to be started for it does not start.
        """
        try:
            await together(*(each.follow(capacities[each.name]) for each in self.variants))
        finally:
            self._weights = [variant.weight for variant in self.variants]

    async def start(self) -> None:
        """Start every container and wait until all are ready.

        Raises:
            ContainerFailedError: one is not; none is left running.
        """
        try:
            await together(*(variant.start() for variant in self._all))
        except BaseException:
            await asyncio.shield(self.stop(0.0))
            raise

    async def drain(self, limits: Limits) -> None:
        """Wait until the requests that it has begun are answered or have timed out."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + max(variant.longest_s(limits) for variant in self.variants)
        # An event would have to be set on the invocation path; a drain is rare and may look.
        while any(v.outstanding for v in self.variants) and loop.time() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL_S)

    async def stop(self, grace_s: float) -> None:
        """End every container."""
        await asyncio.gather(*(variant.stop(grace_s) for variant in self._all))
        if self.capture is not None:
            await self.capture.close()

    def kill(self) -> None:
        """End every process at once."""
        for variant in self._all:
            variant.kill()

    @property
    def _all(self) -> tuple[AnyVariant, ...]:
        return (*self.variants, *self.shadows)


AnyPlan = VariantPlan | ServerlessPlan | ComponentVariantPlan


def assemble(plans: Sequence[AnyPlan], machine: Machine) -> Fleet:
    """The fleet that plans describe; nothing has started yet."""
    settings = machine.settings
    serverless = [plan for plan in plans if isinstance(plan, ServerlessPlan)]
    instances = [plan for plan in plans if isinstance(plan, VariantPlan)]
    return Fleet(
        [
            *(ServerlessVariant(plan, machine) for plan in serverless),
            *(ComponentVariant(p, machine) for p in plans if isinstance(p, ComponentVariantPlan)),
            *(Variant(plan, machine) for plan in instances if not plan.shadow),
        ],
        shadows=[Variant(plan, machine) for plan in instances if plan.shadow],
        payload_limit=(
            SERVERLESS_PAYLOAD_MAX_BYTES if serverless else settings.realtime_payload_bytes
        ),
    )
