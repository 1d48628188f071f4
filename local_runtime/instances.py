"""What serves an endpoint: a fleet of variants, each with instances that hold the containers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hosting.limits import SERVERLESS_PAYLOAD_MAX_BYTES
from local_runtime.containers import Container
from local_runtime.environment import Environment, Machine
from local_runtime.errors import ServiceUnavailable, ValidationError
from local_runtime.serverless import ServerlessPlan, ServerlessVariant
from local_runtime.settings import Limits
from local_runtime.tasks import together
from local_runtime.workers import ContainerPlan

_DRAIN_POLL_S: Final = 0.05


class Instance:
    """One machine of a variant, on AWS; here the processes it would run."""

    def __init__(self, instance_id: str, containers: Sequence[Container]) -> None:
        self.instance_id = instance_id
        self.containers = tuple(containers)
        self.outstanding = 0

    @property
    def available(self) -> bool:
        """Whether every container has a worker that can answer."""
        for container in self.containers:  # noqa: SIM110 - a generator costs more than the look
            if container.ready_workers == 0:
                return False
        return True


class Variant:
    """A production variant and its share of the traffic."""

    def __init__(
        self, name: str, weight: float, instances: Sequence[Instance], *, direct: bool
    ) -> None:
        self.name = name
        self.header = b"x-amzn-invoked-production-variant: %b\r\n" % name.encode("ascii")
        self.weight = weight
        self.instances = tuple(instances)
        self.direct = direct

    def pick_instance(self) -> Instance:
        """The available instance with the fewest requests.

        Raises:
            ServiceUnavailable: there is none.
        """
        best: Instance | None = None
        for instance in self.instances:
            if instance.available and (best is None or instance.outstanding < best.outstanding):
                best = instance
        if best is None:
            raise ServiceUnavailable(
                f"variant {self.name} has no container that can answer now; try again"
            )
        return best

    @property
    def outstanding(self) -> int:
        """Requests that are being answered."""
        return sum(instance.outstanding for instance in self.instances)

    def longest_s(self, limits: Limits) -> float:
        """The longest time that a request can take."""
        hops = max(len(instance.containers) for instance in self.instances)
        return hops * (limits.queue_timeout_s + limits.invocation_timeout_s)

    async def start(self) -> None:
        """Start every container and wait until all are ready.

        Raises:
            ContainerFailedError: one is not.
        """
        await together(*(container.start() for container in self._containers))

    async def stop(self, grace_s: float) -> None:
        """End every container."""
        await asyncio.gather(*(container.stop(grace_s) for container in self._containers))

    def kill(self) -> None:
        """End every process at once."""
        for container in self._containers:
            container.kill()

    def can_follow(self, capacity: Mapping[str, Any], limits: Limits) -> bool:
        """Whether no instance has to come or go."""
        wanted: int = min(capacity["instances"], limits.max_instances_per_variant)
        return len(self.instances) == wanted

    async def follow(self, capacity: Mapping[str, Any]) -> None:
        """Take on another weight."""
        self.weight = capacity["weight"]

    @property
    def _containers(self) -> list[Container]:
        return [container for instance in self.instances for container in instance.containers]


AnyInstance = Instance | Environment
AnyVariant = Variant | ServerlessVariant


class Fleet:
    """Everything that serves one generation of an endpoint."""

    def __init__(self, variants: Sequence[AnyVariant], *, payload_limit: int) -> None:
        self.variants = tuple(variants)
        self.payload_limit = payload_limit
        self._weights = [variant.weight for variant in variants]

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

    async def follow(self, capacities: Mapping[str, Any], limits: Limits) -> bool:
        """Take on other weights and sizes; False when they need a new fleet."""
        if not all(each.can_follow(capacities[each.name], limits) for each in self.variants):
            return False
        await together(*(each.follow(capacities[each.name]) for each in self.variants))
        self._weights = [variant.weight for variant in self.variants]
        return True

    async def start(self) -> None:
        """Start every container and wait until all are ready.

        Raises:
            ContainerFailedError: one is not; none is left running.
        """
        try:
            await together(*(variant.start() for variant in self.variants))
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
        await asyncio.gather(*(variant.stop(grace_s) for variant in self.variants))

    def kill(self) -> None:
        """End every process at once."""
        for variant in self.variants:
            variant.kill()


class VariantPlan:
    """A variant before its containers start."""

    def __init__(
        self,
        name: str,
        weight: float,
        instances: Sequence[tuple[str, Sequence[ContainerPlan]]],
        *,
        direct: bool,
    ) -> None:
        self.name = name
        self.weight = weight
        self.instances = instances
        self.direct = direct


def assemble(plans: Sequence[VariantPlan | ServerlessPlan], machine: Machine) -> Fleet:
    """The fleet that plans describe; nothing has started yet."""
    settings = machine.settings
    serverless = any(isinstance(plan, ServerlessPlan) for plan in plans)
    return Fleet(
        [
            ServerlessVariant(plan, machine)
            if isinstance(plan, ServerlessPlan)
            else _on_instances(plan, machine)
            for plan in plans
        ],
        payload_limit=(
            SERVERLESS_PAYLOAD_MAX_BYTES if serverless else settings.realtime_payload_bytes
        ),
    )


def _on_instances(plan: VariantPlan, machine: Machine) -> Variant:
    limits, register = machine.settings.limits, machine.register
    return Variant(
        plan.name,
        plan.weight,
        [
            Instance(
                instance_id, [Container(container, limits, register) for container in containers]
            )
            for instance_id, containers in plan.instances
        ],
        direct=plan.direct,
    )
