"""Limits on memory and processors without control groups: a thread that looks and acts.

Memory is the proportional share of what the processes hold (PSS), looked at a hundred times per
second while they work; beyond the limit they are killed. Processor time is what the kernel has
counted for them; who is ahead of its share is stopped (SIGSTOP) until the share has caught up, so
that over a request the ratio is exact although single steps are coarse. Linux only: elsewhere
neither is limited.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_TICK_S: Final = 0.005
_IDLE_TICK_S: Final = 0.25
# What may be used at once after a pause, as with a control group's period.
_BURST_S: Final = 0.02
# Finding the children of a process costs more than looking at it.
_TICKS_PER_LOOK: Final = 2
_CPUCLOCK_SCHED: Final = 2  # include/linux/posix-timers.h
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class CpuBudget:
    """Processor seconds that were earned by time passing and spent by working."""

    def __init__(self, cpus: float) -> None:
        """Args:
        cpus: seconds earned per second.
        """
        self._cpus = cpus
        self._earned_s = 0.0
        self._looked_at_s: float | None = None
        self._spent_before_s = 0.0

    def overdrawn(self, now_s: float, spent_s: float) -> bool:
        """Take in what was spent until now; whether that is more than was earned."""
        if self._looked_at_s is None:
            self._earned_s = self._cpus * _BURST_S
        else:
            self._earned_s += self._cpus * (now_s - self._looked_at_s)
            self._earned_s -= max(0.0, spent_s - self._spent_before_s)
            self._earned_s = min(self._earned_s, self._cpus * _BURST_S)
        self._looked_at_s = now_s
        self._spent_before_s = spent_s
        return self._earned_s < 0


class WatchIsolation:
    """The thread, and all that it looks at. It runs while there is something."""

    def __init__(self) -> None:
        self._watched: set[WatchedGroup] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def confine(self, pid: int, *, memory_bytes: int, cpus: float) -> WatchedGroup:
        limited = cpus < (os.cpu_count() or 1)
        group = WatchedGroup(
            pid, memory_bytes, CpuBudget(cpus) if limited else None, self._wake.set, self._forget
        )
        if sys.platform == "linux":
            with self._lock:
                self._watched.add(group)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._look, daemon=True, name="watch")
                    self._thread.start()
        return group

    def close(self) -> None:
        with self._lock:
            self._watched.clear()
        self._wake.set()

    def _forget(self, group: WatchedGroup) -> None:
        with self._lock:
            self._watched.discard(group)

    def _look(self) -> None:
        while True:
            with self._lock:
                groups = list(self._watched)
                if not groups:
                    self._thread = None
                    return
            for group in groups:
                group.look(time.monotonic())
            if any(group.works for group in groups):
                time.sleep(_TICK_S)
            else:
                self._wake.wait(_IDLE_TICK_S)
                self._wake.clear()


class WatchedGroup:
    """One environment's processes: those of its group and their children."""

    def __init__(
        self,
        pid: int,
        memory_limit_bytes: int,
        budget: CpuBudget | None,
        wake: Callable[[], None],
        forget: Callable[[WatchedGroup], None],
    ) -> None:
        self.works = True
        self._pid = pid
        self._members = [pid]
        self._limit_bytes = memory_limit_bytes
        self._budget = budget
        self._wake = wake
        self._forget = forget
        # Signals go out under the lock, so that none is sent once the processes are known to
        # have ended and their number may be somebody else's.
        self._lock = threading.Lock()
        self._shares_cpu = False
        self._stopped = False
        self._over = False
        self.out_of_memory = False
        self._ticks = 0

    # -- what the environment says

    def share_cpu(self) -> None:
        self._shares_cpu = True

    def begin_work(self) -> None:
        self.works = True
        self._wake()

    def end_work(self) -> None:
        self.works = False

    def release(self) -> None:
        with self._lock:
            self._shares_cpu = False
            self._resume()

    def ended(self) -> None:
        with self._lock:
            self._over = True
        self._forget(self)

    def remove(self) -> None:
        pass

    def memory_bytes(self) -> int:
        return sum(_resident_bytes(pid) for pid in self._members)

    # -- what the thread does

    def look(self, now_s: float) -> None:
        """Act on what the processes use now."""
        if self._ticks % _TICKS_PER_LOOK == 0:
            self._members = [self._pid, *_descendants(self._pid)]
            # The share is at most what is resident, and much more expensive to find out.
            if self.memory_bytes() > self._limit_bytes and self._share_bytes() > self._limit_bytes:
                self._kill()
        self._ticks += 1
        if self._budget is not None and self._shares_cpu:
            spent_s = sum(_processor_s(pid) for pid in self._members)
            overdrawn = self._budget.overdrawn(now_s, spent_s)
            with self._lock:
                if overdrawn and not self._stopped and self._shares_cpu:
                    self._stopped = self._signal(signal.SIGSTOP)
                elif not overdrawn:
                    self._resume()

    def _share_bytes(self) -> int:
        return sum(proportional_bytes(pid) for pid in self._members)

    def _kill(self) -> None:
        with self._lock:
            self.out_of_memory = self._signal(signal.SIGKILL) or self.out_of_memory

    def _resume(self) -> None:
        if self._stopped:
            self._signal(signal.SIGCONT)
            self._stopped = False

    def _signal(self, number: int) -> bool:
        if self._over:
            return False
        try:
            os.killpg(self._pid, number)
        except ProcessLookupError:
            return False
        return True


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            for child in Path(task.path, "children").read_bytes().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - a hundred times a second
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def proportional_bytes(pid: int) -> int:
    """What a process holds, of pages that it shares its part; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Pss:"))


def _processor_s(pid: int) -> float:
    """Time that all threads of a process have run, to the nanosecond."""
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return 0.0
