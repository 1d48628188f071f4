"""An instance: on AWS one machine of a variant, here the containers that it would run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TypeVar

from local_runtime.containers import Container
from local_runtime.multi_model import MultiModelContainer
from local_runtime.tasks import together
from local_runtime.workers import ContainerPlan

InstancePlanner = Callable[[str], Sequence[ContainerPlan]]
"""Makes the containers of one more instance, given its id."""


class Instance:
    """One machine of a variant, on AWS; here the processes it would run."""

    def __init__(self, instance_id: str, containers: Sequence[Container]) -> None:
        self.instance_id = instance_id
        self.containers = tuple(containers)
        self.multi_model = next(
            (each for each in self.containers if isinstance(each, MultiModelContainer)), None
        )
        self.outstanding = 0

    @property
    def available(self) -> bool:
        """Whether every container has a worker that can answer."""
        for container in self.containers:  # noqa: SIM110 - a generator costs more than the look
            if container.ready_workers == 0:
                return False
        return True

    async def start(self) -> None:
        """Start every container.

        Raises:
            ContainerFailedError: one is not ready in time.
        """
        await together(*(container.start() for container in self.containers))

    async def stop(self, grace_s: float) -> None:
        """End every container."""
        await asyncio.gather(*(container.stop(grace_s) for container in self.containers))

    def kill(self) -> None:
        """End every process at once."""
        for container in self.containers:
            container.kill()


_Unit = TypeVar("_Unit", bound=Instance)


def least_busy(instances: Sequence[_Unit], turn: int) -> _Unit:
    """The available one with the fewest requests; those that have as few take turns.

    Where each is being started again: the one that the fewest wait for.
    """
    count = len(instances)
    best: _Unit | None = None
    for position in range(turn, turn + count):
        instance = instances[position % count]
        if instance.available and (best is None or instance.outstanding < best.outstanding):
            best = instance
    return min(instances, key=attrgetter("outstanding")) if best is None else best
