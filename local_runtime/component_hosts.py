"""The instances that inference components share: who has what of them, and how many there are.

No process runs for an instance itself; it is a set of resources that copies take their part of.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import Final

from hosting.endpoint import ManagedInstances
from hosting.placement import Occupancy, Resources, Strategy, choose_copy, choose_instance
from local_runtime.clock import Clock
from local_runtime.errors import NotServableError

# AWS's words, as its users have reported them.
_NO_ROOM: Final = (
    "There is not enough hardware resources on the instances for this endpoint to create a copy of"
    " the inference component."
)


class NoRoomError(NotServableError):
    """A copy fits on no instance, and there may be no more of them."""

    def __init__(self) -> None:
        super().__init__(_NO_ROOM)


class Place:
    """A copy's part of an instance, from before it starts until after it has ended."""

    def __init__(self, host: Host, needs: Resources, component: str) -> None:
        self.host = host
        self.needs = needs
        self.component = component


class Host:
    """One instance."""

    def __init__(self, capacity: Resources) -> None:
        self.instance_id = f"i-{secrets.token_hex(9)[:17]}"
        self.capacity = capacity
        self.places: set[Place] = set()

    @property
    def used(self) -> Resources:
        """What its copies take."""
        used = Resources()
        for place in self.places:
            used += place.needs
        return used

    def occupancy(self, component: str) -> Occupancy:
        """How full it is, as one component sees it."""
        copies = sum(place.component == component for place in self.places)
        return Occupancy(capacity=self.capacity, used=self.used, copies=copies)


class Hosts:
    """All instances of a variant."""

    def __init__(
        self,
        count: int,
        capacity: Resources,
        managed: ManagedInstances | None,
        *,
        clock: Clock,
        idle_s: float,
        changed: Callable[[], None],
    ) -> None:
        """Args:
        count: to begin with.
        capacity: of each.
        managed: how many there may be; None: their number does not follow the copies.
        clock: for the time until an empty one goes.
        idle_s: that time.
        changed: is called when there are more or fewer.
        """
        self._capacity = capacity
        self._managed = managed
        self._clock = clock
        self._idle_s = idle_s
        self._changed = changed
        self.all = [Host(capacity) for _ in range(count)]
        self._idle: dict[Host, asyncio.Task[None]] = {}
        for host in self.all:
            self._watch(host)

    @property
    def managed(self) -> bool:
        """Whether their number follows the copies."""
        return self._managed is not None

    def take(self, needs: Resources, component: str, strategy: Strategy) -> Place:
        """Give a copy its place; another instance starts for it if it may.

        Raises:
            NoRoomError: it fits nowhere.
        """
        seen = [host.occupancy(component) for host in self.all]
        position = choose_instance(needs, seen, strategy)
        if position is not None:
            host = self.all[position]
        elif (
            self._managed is not None
            and len(self.all) < self._managed.maximum
            and self._capacity.holds(needs)
        ):
            host = Host(self._capacity)
            self.all.append(host)
            self._changed()
        else:
            raise NoRoomError
        place = Place(host, needs, component)
        host.places.add(place)
        waiting = self._idle.pop(host, None)
        if waiting is not None:
            waiting.cancel()
        return place

    def give_back(self, place: Place) -> None:
        """The copy has ended."""
        place.host.places.discard(place)
        self._watch(place.host)

    def leaves_first(self, strategy: Strategy, places: Collection[Place]) -> Host:
        """The instance that gives up one of these copies, of which there is at least one."""
        seen = []
        for host in self.all:
            copies = sum(place.host is host for place in places)
            seen.append(Occupancy(capacity=host.capacity, used=host.used, copies=copies))
        position = choose_copy(seen, strategy)
        return self.all[position] if position is not None else next(iter(places)).host

    def resize(self, count: int) -> list[Host]:
        """Have another number of instances; those that are left out still hold their copies."""
        while len(self.all) < count:
            self.all.append(Host(self._capacity))
        order = sorted(self.all, key=lambda host: (len(host.places), -self.all.index(host)))
        gone = order[: len(self.all) - count]
        self.all = [host for host in self.all if host not in gone]
        return gone

    def close(self) -> None:
        """Nothing is to be removed any more."""
        for waiting in self._idle.values():
            waiting.cancel()

    def _watch(self, host: Host) -> None:
        if self._managed is not None and not host.places and host in self.all:
            task = asyncio.get_running_loop().create_task(self._remove_idle(host, self._managed))
            self._idle[host] = task

    async def _remove_idle(self, host: Host, managed: ManagedInstances) -> None:
        await self._clock.sleep(self._idle_s)
        self._idle.pop(host, None)
        if not host.places and len(self.all) > managed.minimum:
            self.all.remove(host)
            self._changed()
