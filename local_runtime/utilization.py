"""How much processor, memory and disk process groups use, by Linux's ``/proc``.

On other systems there is no such folder, and every number is zero.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU as the sum over cores (200: two are busy), memory as a share of what there is."""

    cpu_percent: float
    memory_percent: float


class ProcessGroups:
    """Looks at process groups from time to time; CPU is that since the look before."""

    def __init__(self, memory_mib: int | None) -> None:
        """Args:
        memory_mib: what 100 percent of memory is; None: all that the machine has.
        """
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._memory_bytes = total if memory_mib is None else memory_mib * _MIB
        self._ticks: dict[int, int] = {}
        self._looked_s = time.monotonic()

    def usage(self, instances: Sequence[Sequence[int]]) -> list[Usage]:
        """The usage of each of some sets of groups."""
        now_s = time.monotonic()
        elapsed_s = max(now_s - self._looked_s, 1e-3)
        self._looked_s = now_s
        wanted = {group for groups in instances for group in groups}
        ticks, memory = _look(wanted)
        found = [
            Usage(
                # A process that ended takes its ticks with it: never less than nothing.
                cpu_percent=100
                * max(sum(ticks[g] - self._ticks.get(g, 0) for g in groups if g in ticks), 0)
                / _TICKS_PER_S
                / elapsed_s,
                memory_percent=100
                * sum(memory.get(group, 0) for group in groups)
                / self._memory_bytes,
            )
            for groups in instances
        ]
        self._ticks = ticks
        return found


@dataclass(frozen=True, slots=True)
class Members:
    """The processes of a group; pages that several of them share count for each."""

    pids: list[int]
    resident_bytes: int


def members(groups: set[int]) -> dict[int, Members]:
    """The processes of some groups; a group that has ended is left out."""
    pids: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for pid, fields in _stats():
        group = int(fields[2])
        if group in groups:
            pids.setdefault(group, []).append(pid)
            resident[group] = resident.get(group, 0) + int(fields[21]) * _PAGE_BYTES
    return {group: Members(pids[group], resident[group]) for group in pids}


@dataclass(frozen=True, slots=True)
class Process:
    """A process, and which others it belongs with."""

    pid: int
    parent: int
    group: int
    session: int
    state: bytes
    resident_bytes: int


def processes() -> Iterator[Process]:
    """Every process of the machine."""
    for pid, fields in _stats():
        yield Process(
            pid=pid,
            parent=int(fields[1]),
            group=int(fields[2]),
            session=int(fields[3]),
            state=fields[0],
            resident_bytes=int(fields[21]) * _PAGE_BYTES,
        )


def process_count() -> int:
    """How many processes the machine has."""
    try:
        return sum(entry.name.isdigit() for entry in os.scandir(_PROC))
    except FileNotFoundError:
        return 0


def memory_in_use() -> int:
    """The bytes of the machine's memory that are not free; files that are kept there count."""
    if sys.platform != "linux":
        return 0
    return _PAGE_BYTES * (os.sysconf("SC_PHYS_PAGES") - os.sysconf("SC_AVPHYS_PAGES"))


def _stats() -> Iterator[tuple[int, list[bytes]]]:
    """Every process and the fields that /proc has about it, from the third on."""
    try:
        entries = [entry.name for entry in os.scandir(_PROC) if entry.name.isdigit()]
    except FileNotFoundError:
        return
    for name in entries:
        try:
            stat = _content(f"{_PROC}/{name}/stat")
        except OSError:
            continue  # it has ended meanwhile
        # The second field is the program's name in parentheses, which may hold anything.
        # Source: proc_pid_stat(5).
        yield int(name), stat.rpartition(b")")[2].split()


def _content(path: str) -> bytes:
    """A small file of the kernel's: without a file object around it, a third of the work."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def _look(groups: set[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Clock ticks and resident bytes by process group."""
    ticks: dict[int, int] = {}
    memory: dict[int, int] = {}
    for _, fields in _stats():
        group = int(fields[2])
        if group in groups:
            ticks[group] = ticks.get(group, 0) + sum(int(fields[n]) for n in (11, 12, 13, 14))
            memory[group] = memory.get(group, 0) + int(fields[21]) * _PAGE_BYTES
    return ticks, memory


def folder_bytes(folders: Iterable[Path]) -> int:
    """What the files below some folders take on disk; one that is missing takes nothing."""
    total = 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):
                    # Blocks of 512 bytes, whatever the file system's own are. Source: stat(2).
                    total += os.lstat(Path(parent, name)).st_blocks * 512
    return total
