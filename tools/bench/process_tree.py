"""What a process and all its descendants use of the machine (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

_KIB = 1024
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def proportional_bytes(pid: int) -> int:
    """The proportional set size of a tree of processes.

    A page that several processes share counts once: each has its part of it.
    """
    return sum(_own(each) for each in _tree(pid))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows meanwhile
        try:
            tasks = list(Path(f"/proc/{parent}/task").iterdir())
            lists = [(task / "children").read_text() for task in tasks]
        except OSError:  # it has ended
            continue
        found += [int(child) for children in lists for child in children.split()]
    return found


def _own(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * _KIB for line in lines if line.startswith("Pss:"))


def processor_s(pid: int) -> float:
    """Processor seconds of a tree of processes, and of children that were waited for."""
    return sum(_spent(each) for each in _tree(pid))


def _spent(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # The second field is the program's name in parentheses, which may hold anything.
    return sum(int(ticks) for ticks in stat.rpartition(")")[2].split()[11:15]) / _TICKS_PER_S
