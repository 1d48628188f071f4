"""How much memory a process has to itself."""

from __future__ import annotations

import os

_KIB = 1024
_PRIVATE = (b"Private_Clean:", b"Private_Dirty:")
# jemalloc (pyarrow brings it, and scikit-learn imports pyarrow) starts its thread again in a fork.
_FORK_SAFE_THREADS = frozenset({b"jemalloc_bg_thd"})


def private_bytes(process: int | str = "self") -> int | None:
    """The memory that comes free when the process ends: what it shares with nobody.

    A process forked from a large one shares most of its pages; they do not count. None where the
    system does not tell, or the process is gone.
    """
    try:
        with open(f"/proc/{process}/smaps_rollup", "rb") as report:
            lines = report.read().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * _KIB for line in lines if line.startswith(_PRIVATE))


def thread_count() -> int | None:
    """How many threads this process has that a fork would lose; None where nobody tells."""
    try:
        names = [
            _read(f"/proc/self/task/{thread}/comm") for thread in os.listdir("/proc/self/task")
        ]
    except OSError:
        return None
    return sum(name not in _FORK_SAFE_THREADS for name in names)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read().strip()
