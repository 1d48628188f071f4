"""What a process and all its descendants hold of the machine's memory (Linux)."""

from __future__ import annotations

from pathlib import Path

_KIB = 1024


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
