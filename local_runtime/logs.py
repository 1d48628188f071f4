"""What containers print, on disk, in the layout of AWS's log groups and streams."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

LOGS: Final = "logs"
"""The folder below the state directory that containers print to."""

TAIL_LINES: Final = 20
_TAIL_BYTES: Final = 16 * 1024


def log_file(state_dir: Path, region: str, log_group: str, log_stream: str) -> Path:
    """Where a container's output goes; ``.log`` keeps the stream's name usable as a folder."""
    return state_dir / LOGS / region / log_group.lstrip("/") / f"{log_stream}.log"


def open_log(path: Path) -> int:
    """Open for appending; several processes may write to one file.

    Returns:
        A file descriptor, the caller's to close.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def log_size(path: Path) -> int:
    """Bytes written so far."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def tail(path: Path, *, since: int = 0, lines: int = TAIL_LINES) -> list[str]:
    """The last non-empty lines written after byte ``since``."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # A file that has been cut in between is shorter than where we began: take all of it.
            start = since if since <= size else 0
            file.seek(max(start, size - _TAIL_BYTES))
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


def cut_large(state_dir: Path, limit_bytes: int) -> None:
    """Move what a log holds to ``<name>.1`` when it has grown beyond the limit.

    The writers keep their descriptors: opened for appending, they continue at the new end.
    """
    for path in (state_dir / LOGS).rglob("*.log"):
        try:
            if path.stat().st_size > limit_bytes:
                moved = path.with_name(f"{path.name}.part")
                shutil.copyfile(path, moved)
                os.truncate(path, 0)
                # Last, so that a new ``.1`` tells readers that the log has begun anew.
                moved.replace(path.with_name(f"{path.name}.1"))
        except FileNotFoundError:
            continue
