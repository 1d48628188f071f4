"""Looks after what containers take of this machine: memory, processes.

Serverless environments and the models of multi-model containers have limits of their own. Here is
what keeps any other container from taking the machine away from the rest. Linux only, like
everything that reads ``/proc``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from local_runtime.process_watch import proportional_bytes
from local_runtime.settings import Limits
from local_runtime.utilization import Process, memory_in_use, process_count, processes

_log = logging.getLogger(__name__)

_LOOK_S: Final = 0.25
_MIB: Final = 1024 * 1024
_STOPPED: Final = b"T"
# A handler that starts processes may start some while others are being stopped.
_ROUNDS: Final = 20


class Watched(Protocol):
    """A container as it is seen from here."""

    title: str

    @property
    def process_groups(self) -> list[int]:
        """The groups that its workers run in."""

    def say(self, line: str) -> None:
        """Write into its log."""


@dataclass(frozen=True, slots=True)
class _Excess:
    """What a container has too much of, in words."""

    container: Watched
    groups: frozenset[int]
    reason: str


class ContainerWatch:
    """Ends the processes of a container that takes more than it may."""

    def __init__(self, limits: Limits) -> None:
        self._memory_bytes = limits.container_memory_bytes
        self._processes = limits.container_processes

    async def run(self, containers: Iterable[Watched]) -> None:
        """Look again and again; ``containers`` may change meanwhile."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._possible():
                continue
            present = [(each, frozenset(each.process_groups)) for each in containers]
            for excess in await asyncio.to_thread(self._look, present):
                _log.warning("%s was stopped: %s", excess.container.title, excess.reason)
                excess.container.say(f"The container was stopped: {excess.reason}.")

    def _possible(self) -> bool:
        """Whether any container can have too much; none has more than the whole machine.

        That takes 0.1 ms. A look at every process takes thirty times as long in a thread that the
        answers to requests then wait for.
        """
        return memory_in_use() > self._memory_bytes or process_count() > self._processes

    def _look(self, containers: list[tuple[Watched, frozenset[int]]]) -> list[_Excess]:
        wanted = [(each, groups) for each, groups in containers if groups]
        if not wanted:
            return []
        found = list(processes())
        excesses = []
        for container, groups in wanted:
            reason = self._excess(_family(groups, found))
            if reason is not None:
                _end(groups)
                excesses.append(_Excess(container, groups, reason))
        return excesses

    def _excess(self, family: list[Process]) -> str | None:
        if len(family) > self._processes:
            return f"too many processes: {len(family)}, the limit is {self._processes}"
        # Pages that several share count for each: the exact sum takes much longer to find out.
        if (
            sum(process.resident_bytes for process in family) > self._memory_bytes
            and sum(proportional_bytes(process.pid) for process in family) > self._memory_bytes
        ):
            return f"insufficient memory, the limit is {self._memory_bytes // _MIB} MB"
        return None


def _family(groups: frozenset[int], found: list[Process]) -> list[Process]:
    """The processes of some groups, and all that they have started and that still belongs to it.

    One that has left its group and session and whose parents have ended is not found; it is ended
    with the container, by the mark in its environment.
    """
    parents = {process.pid: process.parent for process in found}

    def belongs(process: Process) -> bool:
        if process.group in groups or process.session in groups:
            return True
        ancestor = process.parent
        while ancestor in parents:
            if ancestor in groups:
                return True
            ancestor = parents[ancestor]
        return False

    return [process for process in found if belongs(process)]


def _end(groups: frozenset[int]) -> None:
    """Kill the processes of some groups, and all that they have started."""
    family = _hold(groups)
    # Oldest first: one that waits for a child to begin must not go on when that child is gone.
    for process in sorted(family, key=lambda process: process.pid):
        _signal(process, signal.SIGKILL)


def _hold(groups: frozenset[int]) -> list[Process]:
    """Stop a family. One that is killed while a child of its is not yet known leaves an orphan
    that belongs to nobody; only when all hold still is the family complete.
    """
    family: list[Process] = []
    for _ in range(_ROUNDS):
        family = [each for each in _family(groups, list(processes())) if each.state != b"Z"]
        moving = [each for each in family if each.state != _STOPPED]
        if not moving:
            break
        for process in moving:
            _signal(process, signal.SIGSTOP)
    return family


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, number)
