"""An update on its way: traffic moves to the new fleet in steps, watched by alarms.

What the steps are is ``hosting.update_policy``; waits follow the service's clock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from hosting.update_policy import UpdatePolicy
from local_runtime.clock import Clock
from local_runtime.endpoints import Endpoint
from local_runtime.errors import NotServableError
from local_runtime.instances import Fleet, Variant

_log = logging.getLogger(__name__)

# How often alarms are looked at: service seconds, and bounds on the wall.
_LOOK_S: Final = 10.0
_SHORTEST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 1.0

# Words of the service model for the status of a variant.
Stage = Literal["Creating", "ActivatingTraffic", "Baking", "Deleting"]


class RolloutTakenBackError(NotServableError):
    """The new fleet was started, and traffic is back at the old one; the message says why."""


class Watch(Protocol):
    """Tells the states of alarms by name; None for one that does not exist."""

    def __call__(self, names: Sequence[str]) -> Awaitable[Mapping[str, str | None]]: ...


Tell = Callable[[Stage, float], Awaitable[None]]


class Rollout:
    """Moves an endpoint's traffic from its fleet to a new one, or back.

    The new fleet is the endpoint's ``candidate`` meanwhile. Whoever calls makes it the endpoint's
    fleet after ``run``, and retires it after ``take_back``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        new: Fleet,
        policy: UpdatePolicy,
        clock: Clock,
        *,
        capacities: Mapping[str, Any],
        old_capacities: Mapping[str, Any],
        watch: Watch,
        tell: Tell,
        spent_s: float = 0.0,
    ) -> None:
        """Args:
        endpoint: whose traffic moves.
        new: the fleet that gets it; of a rolling update, with the instances of the first batch.
        policy: how it moves.
        clock: for the waits.
        capacities: the weights and sizes that the new fleet shall have.
        old_capacities: those that the old one has, by variant.
        watch: how the alarms are looked at.
        tell: is called whenever the update has come further.
        spent_s: how much of the policy's timeout has gone by.
        """
        assert endpoint.fleet is not None
        self._endpoint = endpoint
        self._old = endpoint.fleet
        self._new = new
        self._policy = policy
        self._clock = clock
        self._capacities = capacities
        self._old_capacities = old_capacities
        self._watch = watch
        self._tell = tell
        self._spent_s = spent_s

    async def run(self) -> None:
        """Move all traffic.

        Raises:
            RolloutTakenBackError: an alarm went off, or it took too long.
            ContainerFailedError: an instance of a later batch does not start.
        """
        self._check_time()
        if self._policy.strategy == "rolling":
            await self._roll()
        else:
            await self._shift()
        if self._policy.termination_wait_s > 0:
            await self._bake(self._policy.termination_wait_s, 1.0)
        elif self._policy.alarms:
            await self._check_alarms()

    async def take_back(self) -> None:
        """Give all traffic back to the old fleet, which is as large as before when this ends."""
        if self._policy.strategy == "rolling":
            [variant] = self._old.variants
            wanted = self._old_capacities[variant.name]
            running = len(variant.instances)
            for count in self._policy.rollback_batches(wanted["instances"]):
                if count > running:
                    await self._old.follow({variant.name: {**wanted, "instances": count}})
        self._endpoint.candidate, self._endpoint.candidate_share = None, 0.0

    async def _shift(self) -> None:
        """Blue/green: both fleets run in full, and the share of the new one grows."""
        counts = [len(each.instances) for each in self._new.variants if isinstance(each, Variant)]
        shares = self._policy.shares(min(counts, default=1))
        for step, share in enumerate(shares):
            await self._give(share)
            if self._policy.waits_after(step, len(shares)) and self._policy.wait_s > 0:
                await self._bake(self._policy.wait_s, share)

    async def _roll(self) -> None:
        """Rolling: as many instances of the old fleet end as have started of the new one."""
        [variant] = self._new.variants
        [before] = self._old.variants
        wanted, old = self._capacities[variant.name], self._old_capacities[before.name]
        batches = self._policy.batches(wanted["instances"])
        for step, count in enumerate(batches):
            await self._tell("Creating", self._endpoint.candidate_share)
            started_s = time.monotonic()
            await self._new.follow({variant.name: {**wanted, "instances": count}})
            self._spent_s += time.monotonic() - started_s
            self._check_time()
            await self._give(count / wanted["instances"])
            if self._policy.waits_after(step, len(batches)) and self._policy.wait_s > 0:
                await self._bake(self._policy.wait_s, count / wanted["instances"])
            await self._tell("Deleting", self._endpoint.candidate_share)
            left = round(old["instances"] * (1 - count / wanted["instances"]))
            if step < len(batches) - 1:
                # The last ones go when the endpoint has the new fleet: it can still be taken back.
                await self._old.follow({before.name: {**old, "instances": max(left, 1)}})

    async def _give(self, share: float) -> None:
        self._endpoint.candidate, self._endpoint.candidate_share = self._new, share
        _log.info("endpoint %s: %.0f %% of traffic moved", self._endpoint.name, share * 100)
        await self._tell("ActivatingTraffic", share)

    async def _bake(self, wait_s: float, share: float) -> None:
        """Let the new fleet serve for a while, looking at the alarms."""
        await self._tell("Baking", share)
        look_s = self._clock.wall_s(_LOOK_S)
        look_s = min(max(look_s, _SHORTEST_LOOK_S), _LONGEST_LOOK_S) * self._clock.speed
        end_s = self._clock.now_s() + wait_s
        while True:
            await self._check_alarms()
            left_s = end_s - self._clock.now_s()
            if left_s <= 0:
                break
            await self._clock.sleep(min(look_s, left_s))
        self._spent_s += wait_s
        self._check_time()

    async def _check_alarms(self) -> None:
        if not self._policy.alarms:
            return
        states = await self._watch(self._policy.alarms)
        missing = [name for name in self._policy.alarms if states.get(name) is None]
        if missing:
            raise RolloutTakenBackError(
                f"The update was rolled back: alarm {', '.join(missing)} does not exist."
            )
        ringing = [name for name in self._policy.alarms if states[name] == "ALARM"]
        if ringing:
            raise RolloutTakenBackError(
                f"The update was rolled back: alarm {', '.join(ringing)} is in state ALARM."
            )

    def _check_time(self) -> None:
        timeout_s = self._policy.timeout_s
        if timeout_s is not None and self._spent_s > timeout_s:
            raise RolloutTakenBackError(
                "The update was rolled back: it took longer than its"
                f" MaximumExecutionTimeoutInSeconds ({timeout_s:g})."
            )
