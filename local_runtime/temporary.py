"""Temporary folders that the next runtime removes when nobody is left to do it.

A folder is somebody's as long as a process holds the lock on a file in it. The system lets go of
the lock when the last one ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import Final

from local_runtime.artifacts import remove_tree

LOCK: Final = "lock"
RUN: Final = "slr-"
STATE: Final = "local-runtime-state-"


def make_folder(prefix: str, *, within: str | None = None) -> tuple[Path, int]:
    """A new folder of this user's alone, and the descriptor that makes it ours.

    Args:
        prefix: ``RUN`` or ``STATE``.
        within: where it is made; the system's folder for such things without it.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    unlocked = folder / f"{LOCK}.new"
    lock = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Nobody sees the file before it is locked.
    unlocked.rename(folder / LOCK)
    return folder, lock


def remove_left_behind() -> None:
    """Remove this user's folders whose owners were killed before they could do it."""
    for parent in {tempfile.gettempdir(), "/tmp"}:  # noqa: S108 - where short paths are made
        for prefix in (RUN, STATE):
            for folder in Path(parent).glob(f"{prefix}*"):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(folder)
        finally:
            os.close(lock)
