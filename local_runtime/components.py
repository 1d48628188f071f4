"""An inference component where it runs: its copies, and how they become what the record asks for.

Invariant: a copy has its place on an instance before it starts and until it has ended, so that the
copies on an instance never need more than it has.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from hosting.placement import Resources, Strategy
from local_runtime.artifacts import remove_tree
from local_runtime.component_hosts import Host, Hosts, NoRoomError, Place
from local_runtime.component_meter import ComponentMeter
from local_runtime.containers import Container
from local_runtime.environment import Machine
from local_runtime.errors import NoCapacity, NotServableError
from local_runtime.instance import Instance, InstancePlanner, least_busy
from local_runtime.tasks import together

_log = logging.getLogger(__name__)

_DRAIN_POLL_S: Final = 0.05
_RETRY_S: Final = 2.0

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a deployment of a component needs is in ``folder``; ``plan`` plans a copy."""

    plan: InstancePlanner
    folder: Path


Prepare = Callable[[Entry, Entry], Awaitable[Prepared]]


class Report(Protocol):
    """Tells the record about a component."""

    async def __call__(
        self, entry: Entry, outcome: str, *, copies: int, reason: str | None = None
    ) -> None:
        """Args:
        entry: of the component, whose generation this is about.
        outcome: of the work on it; Progress: it goes on.
        copies: that run.
        reason: why it failed.
        """


class Copy(Instance):
    """One copy: containers on a part of an instance."""

    def __init__(self, place: Place, containers: list[Container]) -> None:
        super().__init__(place.host.instance_id, containers)
        self.place = place


@dataclass(frozen=True, slots=True)
class _Blueprint:
    """How copies of one deployment are made."""

    prepared: Prepared
    needs: Resources
    strategy: Strategy


class HostedComponent:
    """One component of a variant. It answers requests in the place of the variant.

    At most one task works on it. ``copies`` are those that get requests.
    """

    direct = multi_model = False

    def __init__(
        self, name: str, *, variant: str, hosts: Hosts, machine: Machine, prepare: Prepare
    ) -> None:
        """Args:
        name: of the component.
        variant: that it is on.
        hosts: the variant's instances.
        machine: where it runs.
        prepare: fetches what a deployment of the component needs.
        """
        self.component = name
        self.name = variant
        self.header = b"x-amzn-invoked-production-variant: %b\r\n" % variant.encode("ascii")
        self.weight = 1.0
        self.copies: tuple[Copy, ...] = ()
        self.meter: ComponentMeter | None = None
        self.report: Report | None = None
        self.fault: str | None = None
        self._hosts = hosts
        self._machine = machine
        self._limits = machine.settings.limits
        self._prepare = prepare
        self._entry: Entry | None = None
        self._turn = 0
        self._done: int | None = None
        self._deployment: int | None = None
        self._blueprint: _Blueprint | None = None
        self._work_task: asyncio.Task[None] | None = None
        self._leaving: dict[Copy, asyncio.Task[None]] = {}
        self._moving: set[asyncio.Task[None]] = set()
        self.tried = asyncio.Event()

    # -- requests

    def pick_instance(self) -> Copy:
        """The copy that answers soonest.

        Raises:
            NoCapacity: there is no copy.
        """
        if not self.copies:
            if self.meter is not None:
                self.meter.found_no_copy()
            raise NoCapacity
        self._turn += 1
        return least_busy(self.copies, self._turn)

    @property
    def units(self) -> tuple[Copy, ...]:
        """Every copy, also those that only finish what they have begun."""
        return (*self.copies, *self._leaving)

    # -- life

    def desire(self, entry: Entry) -> None:
        """Take in what the record says now."""
        before, self._entry = self._entry, entry
        if entry["status"] == "Deleting" and (before is None or before["status"] != "Deleting"):
            self._work_task = asyncio.create_task(self._take_down(entry, self._work_task))
        elif self._work_task is None or self._work_task.done():
            self._work_task = asyncio.create_task(self._work())

    async def stop(self, grace_s: float) -> None:
        """End every copy; the runtime ends, or the fleet does."""
        tasks = [*self._leaving.values(), *self._moving]
        if self._work_task is not None:
            tasks.append(self._work_task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(copy.stop(grace_s) for copy in self.units))
        if self.meter is not None:
            self.meter.close()

    def kill(self) -> None:
        """End every process at once."""
        for copy in self.units:
            copy.kill()

    async def _work(self) -> None:
        while self._entry is not None and self._entry["generation"] != self._done:
            entry = self._entry
            try:
                if entry["status"] == "Failed" or await self._bring_about(entry):
                    self._done = entry["generation"]
            except Exception:
                # A fault of ours must not leave the component in Creating for ever.
                _log.exception("inference component %s: work on it failed", self.component)
                self._done = entry["generation"]
                reason = "The local runtime failed; its own output says why."
                await self._tell(entry, "Failed", reason)
            finally:
                self.tried.set()

    async def _bring_about(self, entry: Entry) -> bool:
        """Reach what an entry says; a failure is told, and what served before serves on.

        Returns:
            Whether this is the end of it; otherwise it is to be tried again.
        """
        status = entry["status"]
        try:
            await self._reach(entry)
        except (NotServableError, OSError) as error:
            self.fault = str(error)
            _log.warning("inference component %s: %s", self.component, error)
            if status != "InService":
                await self._fall_back(entry, str(error))
                return True
            # It has served before: nothing to report, and no giving up.
            await self._tell(entry, "Progress")
            self.tried.set()
            await asyncio.sleep(_RETRY_S)
            return False
        self.fault = None
        await self._tell(entry, "Progress" if status == "InService" else "InService")
        return True

    async def _fall_back(self, entry: Entry, reason: str) -> None:
        previous = entry["previous"]
        if previous is None:
            await self._leave_all()
            await self._tell(entry, "Failed", reason)
            return
        if self._blueprint is None:  # another data plane served it, and this one never has
            try:
                await self._reach({**entry, **previous, "deployment": None})
            except (NotServableError, OSError) as error:
                _log.warning("inference component %s: %s", self.component, error)
        self._deployment = entry["deployment"]
        await self._tell(entry, "RolledBack", reason)

    async def _reach(self, entry: Entry) -> None:
        wanted = entry["copies"]
        if self._blueprint is None or entry["deployment"] != self._deployment:
            blueprint = await self._draw(entry)
            try:
                if self._blueprint is None:
                    await self._begin(
                        blueprint,
                        wanted,
                        deployment=entry["deployment"],
                        whole=entry["status"] == "Creating",
                    )
                else:
                    await self._replace(self._blueprint, blueprint, wanted)
            except (NotServableError, OSError):
                if self._blueprint is not blueprint:
                    await self._clear(blueprint)
                raise
            self._deployment = entry["deployment"]
        else:
            await self._resize(self._blueprint, wanted)

    async def _draw(self, entry: Entry) -> _Blueprint:
        specification = entry["specification"]
        scheduling = specification.get("SchedulingConfig", {})
        default = self._machine.settings.choices.component_placement
        return _Blueprint(
            prepared=await self._prepare(entry, specification.get("StartupParameters", {})),
            needs=Resources.from_api(specification["ComputeResourceRequirements"]),
            strategy=scheduling.get("PlacementStrategy", default),
        )

    async def _begin(
        self, blueprint: _Blueprint, wanted: int, *, deployment: int | None, whole: bool
    ) -> None:
        if whole:
            await self._add(blueprint, wanted, at_least=wanted)
            self._blueprint = blueprint
        else:
            self._blueprint, self._deployment = blueprint, deployment
            await self._resize(blueprint, wanted)

    async def _resize(self, blueprint: _Blueprint, wanted: int) -> None:
        missing = wanted - len(self.copies)
        if missing > 0:
            await self._add(blueprint, missing, at_least=0)
            if len(self.copies) < wanted:
                raise NoRoomError
        for _ in range(-missing):
            self._leave(self._superfluous(blueprint, self.copies))

    async def _replace(self, old: _Blueprint, new: _Blueprint, wanted: int) -> None:
        """Change every copy for one of another deployment, without ever having none."""
        before, largest = self.copies, max(wanted, len(self.copies))
        started: list[Copy] = []
        try:
            while len(started) < wanted:
                remaining = [copy for copy in before if copy in self.copies]
                try:
                    started += await self._add(new, 1, at_least=1)
                except NoRoomError:
                    if not remaining or len(self.copies) <= 1:
                        raise
                    await self._leave(self._superfluous(old, remaining))
                else:
                    if len(self.copies) > largest:
                        self._leave(self._superfluous(old, remaining))
        except (NotServableError, OSError):
            await asyncio.gather(*(self._leave(copy) for copy in started))
            gone = len(before) - len(self.copies)
            if gone:
                await self._add(old, gone, at_least=0)
            raise
        self._blueprint = new
        for copy in before:
            if copy in self.copies:
                self._leave(copy)
        task = asyncio.create_task(self._clear(old))
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _clear(self, blueprint: _Blueprint) -> None:
        """Remove what copies were made of, when those that leave have left."""
        await asyncio.gather(*self._leaving.values(), return_exceptions=True)
        await asyncio.to_thread(remove_tree, blueprint.prepared.folder)

    # -- single copies

    async def _add(self, blueprint: _Blueprint, count: int, *, at_least: int) -> list[Copy]:
        """Start copies: as many as fit, and none unless ``at_least`` so many do.

        Raises:
            NoRoomError: too few fit.
            ContainerFailedError: one does not start; none of them is left running.
        """
        places = self._take(blueprint, count)
        if len(places) < at_least:
            for place in places:
                self._hosts.give_back(place)
            raise NoRoomError
        copies = [self._copy(blueprint, place) for place in places]
        try:
            await together(*(copy.start() for copy in copies))
        except BaseException:
            for copy in copies:
                await asyncio.shield(self._end(copy, 0.0))
            raise
        self.copies += tuple(copies)
        return copies

    def _take(self, blueprint: _Blueprint, count: int) -> list[Place]:
        places: list[Place] = []
        while len(places) < count:
            try:
                place = self._hosts.take(blueprint.needs, self.component, blueprint.strategy)
            except NoRoomError:
                break
            places.append(place)
        return places

    def _copy(self, blueprint: _Blueprint, place: Place) -> Copy:
        copy_id = f"{place.host.instance_id}-{secrets.token_hex(4)}"
        return Copy(
            place,
            [
                Container(plan, self._limits, self._machine.register)
                for plan in blueprint.prepared.plan(copy_id)
            ],
        )

    def _superfluous(self, blueprint: _Blueprint, among: tuple[Copy, ...] | list[Copy]) -> Copy:
        host = self._hosts.leaves_first(blueprint.strategy, [copy.place for copy in among])
        there = [copy for copy in among if copy.place.host is host]
        return min(there, key=lambda copy: (copy.available, copy.outstanding))

    def _leave(self, copy: Copy) -> asyncio.Task[None]:
        """From here on a copy gets no request; it ends when it has answered those that it has."""
        self.copies = tuple(kept for kept in self.copies if kept is not copy)
        task = asyncio.create_task(self._drain_and_end(copy))
        self._leaving[copy] = task
        return task

    async def _leave_all(self) -> None:
        await asyncio.gather(*(self._leave(copy) for copy in self.copies), return_exceptions=True)

    async def _drain_and_end(self, copy: Copy) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self.longest_s
        while copy.outstanding and loop.time() < deadline_s:  # noqa: ASYNC110 - see Fleet.drain
            await asyncio.sleep(_DRAIN_POLL_S)
        await self._end(copy, self._limits.stop_grace_s)
        del self._leaving[copy]

    async def _end(self, copy: Copy, grace_s: float) -> None:
        await copy.stop(grace_s)
        for container in copy.containers:
            await asyncio.to_thread(remove_tree, container.plan.home)
        self._hosts.give_back(copy.place)

    @property
    def longest_s(self) -> float:
        """The longest time that a request can take."""
        return self._limits.queue_timeout_s + self._limits.streaming_timeout_s

    # -- instances that go, and the end

    def move_from(self, host: Host) -> None:
        """An instance goes: its copies are started elsewhere, if there is room, and leave."""
        task = asyncio.create_task(self._move_from(host))
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _move_from(self, host: Host) -> None:
        for copy in [copy for copy in self.copies if copy.place.host is host]:
            try:
                if self._blueprint is not None:
                    await self._add(self._blueprint, 1, at_least=1)
            except (NotServableError, OSError) as error:
                _log.warning("inference component %s loses a copy: %s", self.component, error)
            self._leave(copy)
        if self._entry is not None:
            await self._tell(self._entry, "Progress")

    async def _take_down(self, entry: Entry, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        self.tried.set()
        await self._leave_all()
        if self._blueprint is not None:
            await self._clear(self._blueprint)
        if self.meter is not None:
            self.meter.close()
        await self._tell(entry, "Deleted")

    async def _tell(self, entry: Entry, outcome: str, reason: str | None = None) -> None:
        if self.report is not None:
            await self.report(entry, outcome, copies=len(self.copies), reason=reason)
