"""Holding an environment to the memory and the processors of its size.

A serverless variant says how much memory it has; processors come in proportion. Two ways to make
that true: control groups of Linux (``cgroups``), or a watch over the processes (``process_watch``).
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final, Protocol

from local_runtime.cgroups import CgroupIsolation, CgroupsUnusableError, delegated_folder
from local_runtime.process_watch import WatchIsolation

_log = logging.getLogger(__name__)

_MIB: Final = 1024 * 1024


class Confinement(Protocol):
    """What holds one environment to its size."""

    def share_cpu(self) -> None:
        """From now on its processors are limited, too; memory is from the beginning."""

    def begin_work(self) -> None:
        """It has something to do: it is being started, or a request has come."""

    def end_work(self) -> None:
        """It waits."""

    def release(self) -> None:
        """It shall end: let it run, so that it can."""

    def ended(self) -> None:
        """Its process has ended."""

    @property
    def out_of_memory(self) -> bool:
        """Whether it has ended for lack of memory."""

    def remove(self) -> None:
        """Nothing is left of it; may take a moment."""

    def memory_bytes(self) -> int:
        """What it uses now."""


class Isolation(Protocol):
    """Confines environments."""

    def confine(self, pid: int, *, memory_bytes: int, cpus: float) -> Confinement:
        """Hold the process group ``pid``, and all that it starts, to a size."""

    def close(self) -> None:
        """Every environment has ended."""


def choose_isolation(choice: str) -> Isolation:
    """The isolation that the settings ask for.

    Raises:
        CgroupsUnusableError: ``cgroup`` is asked for and does not work here.
    """
    if choice != "watch":
        try:
            return CgroupIsolation(delegated_folder())
        except CgroupsUnusableError as error:
            if choice == "cgroup":
                raise
            _log.info("no control groups (%s): a watch holds serverless environments", error)
    if sys.platform != "linux":
        _log.warning("memory and processors of serverless environments are limited on Linux only")
    return WatchIsolation()


def processors(memory_mb: int, mb_per_vcpu: float) -> float:
    """The processors that come with a memory size; at most what this machine has."""
    return min(memory_mb / mb_per_vcpu, float(os.cpu_count() or 1))


def in_bytes(memory_mb: int) -> int:
    """A memory size as the API counts it, in bytes."""
    return memory_mb * _MIB
